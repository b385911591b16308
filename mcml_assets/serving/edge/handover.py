"""How one Envoy hands its listening sockets over to the next, so that an edge with new settings costs no request. Pure.

This is Envoy's hot restart: processes of one base id follow each other by epoch. The next one takes the sockets over, the
former answers what it was asked and closes its connections, and the next ends it. Starting and ending processes is
`envoy.py`'s business.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

DRAIN_SECONDS = 11  # longer than the edge lets a request take (`listener.REQUEST_SECONDS`)
PARENT_ENDS_SECONDS = 15
"""When the next Envoy ends the former one, after it took over."""

BASE_ID, EPOCH = "--base-id", "--restart-epoch"


@dataclass(frozen=True, slots=True)
class Generation:
    """Which Envoy of which line of them a process is."""

    base_id: int
    epoch: int = 0

    @property
    def next(self) -> "Generation":
        """The one that takes over from it."""
        return replace(self, epoch=self.epoch + 1)

    @property
    def arguments(self) -> list[str]:
        """What an Envoy is started with to be this one."""
        return [BASE_ID, str(self.base_id), EPOCH, str(self.epoch), *_drain()]

    @property
    def shared_memory(self) -> Path:
        """The file that all of its line share, and that outlives them. Envoy multiplies base ids by ten."""
        return Path(f"/dev/shm/envoy_shared_memory_{10 * self.base_id}")  # noqa: S108 - the kernel's name for it

    def precedes(self, other: "Generation") -> bool:
        """Whether that one took over from this one, and ends it."""
        return self.base_id == other.base_id and self.epoch < other.epoch


def first_generation(folder: Path) -> Generation:
    """An Envoy that follows none. Every folder (absolute) has a line of its own, and always the same."""
    return Generation(int(sha256(str(folder).encode()).hexdigest()[:7], 16))


def generation(command: Sequence[str]) -> Generation | None:
    """Which one the process of this command line is; None where it was started so that it hands nothing over."""
    said = dict(pairwise(command))
    try:
        return Generation(int(said[BASE_ID]), int(said[EPOCH]))
    except (KeyError, ValueError):
        return None


def _drain() -> list[str]:
    # At once: every answer of the former tells its caller to connect anew, and none is left when it ends.
    return [
        "--drain-strategy", "immediate", "--drain-time-s", str(DRAIN_SECONDS),
        "--parent-shutdown-time-s", str(PARENT_ENDS_SECONDS),
    ]  # fmt: skip
