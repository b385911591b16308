"""Waiting for what servers do in their own time."""

import time
from collections.abc import Callable

PATIENCE_SECONDS = 60


def until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)
