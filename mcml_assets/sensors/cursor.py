"""What the failover and recovery sensors remember from tick to tick, kept by Dagster in their cursors as one JSON document.

A cursor is memory, not truth: without it a sensor finds out again, from the register and the buckets, and repeats nothing.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TypeVar

from mcml_assets.domain.acting import Acting
from mcml_assets.sensors.failures import Seen

FORMAT = 1
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Known:
    """Who was acting when it was last asked, and the last epoch whose takeover was requested; None when unknown."""

    location: str
    epoch: int
    took_over: int | None

    @classmethod
    def of(cls, acting: Acting, took_over: int | None) -> "Known":
        return cls(acting.location, acting.epoch, took_over)

    @property
    def acting(self) -> Acting:
        return Acting(self.location, self.epoch)


@dataclass
class Cursor:
    """The failover sensor's memory, by `<workload>/<jurisdiction>` and by location.

    `down` is since when a location has been down (Unix seconds), `told` the gist of the last event, `turn` where the
    round of jurisdictions that are looked at without cause goes on.
    """

    failures: Seen | None = None
    acting: dict[str, Known] = field(default_factory=dict[str, Known])
    down: dict[str, float] = field(default_factory=dict[str, float])
    told: dict[str, str] = field(default_factory=dict[str, str])
    turn: int = 0

    @classmethod
    def from_json(cls, text: str | None) -> "Cursor":
        """Read a stored cursor; one of another version is forgotten."""
        document = json.loads(text) if text else {}
        if document.pop("format", None) != FORMAT:
            return cls()
        failures = document.pop("failures")
        acting = {key: Known(**known) for key, known in document.pop("acting").items()}
        seen = Seen(failures["until"], tuple(failures["run_ids"])) if failures else None
        return cls(failures=seen, acting=acting, **document)

    def to_json(self) -> str:
        """The stored form."""
        return json.dumps({"format": FORMAT, **asdict(self)}, separators=(",", ":"))

    def next_turn(self, items: Sequence[Item], count: int) -> list[Item]:
        """The next `count` of these, going round."""
        if not items:
            return []
        begin = self.turn % len(items)
        taken = [items[(begin + step) % len(items)] for step in range(min(count, len(items)))]
        self.turn = (begin + len(taken)) % len(items)
        return taken
