"""What sensors remember from tick to tick, kept by Dagster in their cursors as one JSON document: its form, and how far runs
were read in it. What the failover sensor remembers is here too; the others' memories are in their own modules.

A cursor is memory, not truth: without it a sensor finds out again, from the register and the buckets, and repeats nothing.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from mcml_assets.domain.acting import Acting
from mcml_assets.sensors.failures import Seen

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

FORMAT = 1
Item = TypeVar("Item")


def remembered(text: str | None, version: int) -> dict[str, Any] | None:
    """The fields of a stored cursor; None where there is none, or one of another version, which is forgotten."""
    document = json.loads(text) if text else {}
    return document if document.pop("format", None) == version else None


def stored(memory: "DataclassInstance", version: int) -> str:
    """A memory as it is stored; `remembered` gives its fields back."""
    return json.dumps({"format": version, **asdict(memory)}, separators=(",", ":"))


def seen(fields: dict[str, Any] | None) -> Seen | None:
    """How far runs were read, by the stored fields."""
    return Seen(fields["until"], tuple(fields["run_ids"])) if fields else None


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


@dataclass(frozen=True, slots=True)
class Stranded:
    """That a jurisdiction's work can neither go on nor move: since when (Unix seconds), and why."""

    since: float
    why: str


@dataclass
class Cursor:
    """The failover sensor's memory, by `<workload>/<jurisdiction>` and by location.

    `down` is since when a location has been down (Unix seconds), `told` the gist of the last event, `turn` where the
    round of jurisdictions that are looked at without cause goes on, `stranded` what the watchdog tells people of.
    """

    failures: Seen | None = None
    acting: dict[str, Known] = field(default_factory=dict[str, Known])
    down: dict[str, float] = field(default_factory=dict[str, float])
    told: dict[str, str] = field(default_factory=dict[str, str])
    turn: int = 0
    stranded: dict[str, Stranded] = field(default_factory=dict[str, Stranded])

    @classmethod
    def from_json(cls, text: str | None) -> "Cursor":
        """Read a stored cursor; one of another version is forgotten."""
        document = remembered(text, FORMAT)
        if document is None:
            return cls()
        failures = seen(document.pop("failures"))
        acting = {key: Known(**known) for key, known in document.pop("acting").items()}
        stranded = {key: Stranded(**one) for key, one in document.pop("stranded", {}).items()}
        return cls(failures=failures, acting=acting, stranded=stranded, **document)

    def to_json(self) -> str:
        """The stored form."""
        return stored(self, FORMAT)

    def next_turn(self, items: Sequence[Item], count: int) -> list[Item]:
        """The next `count` of these, going round."""
        if not items:
            return []
        begin = self.turn % len(items)
        taken = [items[(begin + step) % len(items)] for step in range(min(count, len(items)))]
        self.turn = (begin + len(taken)) % len(items)
        return taken
