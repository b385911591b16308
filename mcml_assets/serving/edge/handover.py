"""How one Envoy hands its listening sockets over to the next, so that an edge with new settings costs no request. Pure.

This is Envoy's hot restart: processes of one base id follow each other by epoch. The next one takes the sockets over, the
former answers what it was asked and closes its connections, and the next ends it. Starting and ending processes is
`envoy.py`'s business.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

DRAIN_SECONDS = 11  # longer than the edge lets a request take (`listener.REQUEST_SECONDS`)
PARENT_ENDS_SECONDS = 15
"""When the next Envoy ends the former one, after it took over."""

BASE_ID, BASE_ID_FILE, EPOCH = "--base-id", "--base-id-path", "--restart-epoch"


@dataclass(frozen=True, slots=True)
class Generation:
    """Which Envoy of which line of them a process is."""

    base_id: int
    epoch: int

    def precedes(self, other: "Generation") -> bool:
        """Whether that one took over from this one, and ends it."""
        return self.base_id == other.base_id and self.epoch < other.epoch


def first_arguments(base_id_file: Path) -> list[str]:
    """For an Envoy that follows none; it chooses a base id that is free, and writes it to the file."""
    return ["--use-dynamic-base-id", BASE_ID_FILE, str(base_id_file), *_drain()]


def next_arguments(former: Generation) -> list[str]:
    """For an Envoy that takes over from `former`."""
    return [BASE_ID, str(former.base_id), EPOCH, str(former.epoch + 1), *_drain()]


def generation(command: Sequence[str]) -> Generation | None:
    """Which one the process of this command line is; None where it was started so that it hands nothing over."""
    said = dict(pairwise(command))
    try:
        if BASE_ID in said:
            return Generation(int(said[BASE_ID]), int(said[EPOCH]))
        return Generation(int(Path(said[BASE_ID_FILE]).read_text()), 0)
    except (KeyError, ValueError, OSError):
        return None


def _drain() -> list[str]:
    # At once: every answer of the former tells its caller to connect anew, and none is left when it ends.
    return [
        "--drain-strategy", "immediate", "--drain-time-s", str(DRAIN_SECONDS),
        "--parent-shutdown-time-s", str(PARENT_ENDS_SECONDS),
    ]  # fmt: skip
