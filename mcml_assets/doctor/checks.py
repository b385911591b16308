"""What `mcml doctor` says of one thing: a check's name, its state, its answer in words, and how to mend it."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What a check found. Only `ok` and `not_applicable` are passes; a `warning` does not change the exit code."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True)
class Check:
    """One question, its answer in words, and how to mend it: a command or a setting, None where nothing is wrong."""

    name: str
    state: State
    detail: str
    remedy: str | None = None
