"""What is wrong with one revision of an endpoint, and when it is tried again. What follows is `endpoint.py`'s business."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from mcml_assets.serving.folder import DataPlaneFolder
from mcml_assets.serving.interfaces import EndpointState
from mcml_assets.serving.local_platform import REFUSALS

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with one revision: how often, when it may be tried again, and whether trying is of any use."""

    state: EndpointState
    message: str
    failures: int
    not_before: float
    error: str | None = None

    @property
    def permanent(self) -> bool:
        """Whether only another package or manifest can help."""
        return self.error in REFUSALS

    @classmethod
    def after(cls, before: Self | None, state: EndpointState, message: str, now: float, error: str | None) -> Self:
        """One failure more; the first restart of what had served comes at once, the next ones ever later."""
        failures = 1 if before is None else before.failures + 1
        if error in REFUSALS:
            return cls(state, message, failures, now, error)
        immediate = state is EndpointState.STOPPED and failures == 1
        pause = 0.0 if immediate else min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (failures - 1))
        again = f"{message}; failure {failures}, tried again at {clock(pause)}"
        return cls(state, again, failures, now + pause, error)


def last_word(folder: DataPlaneFolder, name: str) -> tuple[str | None, str]:
    """Error class and message that an endpoint's last server left, as a container leaves a termination message."""
    try:
        said = json.loads(folder.endpoint("ended", name).read_bytes())
    except FileNotFoundError:
        return None, "the server ended without a word before it was ready"
    return said["error"], f"{said['error']}: {said['message']}"


def clock(after_seconds: float = 0.0) -> str:
    """The time now, or so much later: ISO 8601, UTC."""
    return (datetime.now(UTC) + timedelta(seconds=after_seconds)).isoformat(timespec="milliseconds")
