"""Feature flags of a route: what a person decided about one location until further notice, with who and why.

Pure. A route carries its flags, and what was changed about them; obeying them is the edge's and its controller's business.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.topology import did_you_mean

KEPT_CHANGES = 100


class FlagName(StrEnum):
    """What can be decided."""

    MODEL_VERSION = "model_version"
    SHADOW = "shadow"
    READ_ONLY = "read_only"


MEANINGS: Mapping[FlagName, str] = {
    FlagName.MODEL_VERSION: "only servers of this model version are asked there, and no other version takes over",
    FlagName.SHADOW: "percent of the live requests that are copied there; in a rollout it replaces what the workload declares",
    FlagName.READ_ONLY: "1: the location answers with what it has, and takes up nothing new",
}
BOUNDS: Mapping[FlagName, tuple[int, int | None]] = {
    FlagName.MODEL_VERSION: (1, None),
    FlagName.SHADOW: (0, 100),
    FlagName.READ_ONLY: (0, 1),
}


@dataclass(frozen=True, slots=True)
class RouteFlag:
    """A flag in one location, who set it and why, and when (ISO 8601 with a zone)."""

    name: str
    location: str
    value: int
    who: str
    reason: str
    set_at: str


@dataclass(frozen=True, slots=True)
class FlagChange:
    """An entry of the record: a flag was set to a value, or cleared (None)."""

    name: str
    location: str
    value: int | None
    who: str
    reason: str
    at: str


def checked_flag(name: str, value: int) -> FlagName:
    """The flag of this name. Raises `ConfigurationError` for an unknown one, and for a value that it may not have."""
    if name not in list(FlagName):
        raise ConfigurationError(f"unknown flag {name!r}{did_you_mean(name, [known.value for known in FlagName])}")
    lowest, highest = BOUNDS[FlagName(name)]
    if value < lowest or (highest is not None and value > highest):
        bounds = f"from {lowest}" if highest is None else f"from {lowest} to {highest}"
        raise ConfigurationError(f"flag {name} is a whole number {bounds}, not {value}: {MEANINGS[FlagName(name)]}")
    return FlagName(name)


def with_change(
    flags: Sequence[RouteFlag], changes: Sequence[FlagChange], change: FlagChange
) -> tuple[tuple[RouteFlag, ...], tuple[FlagChange, ...]]:
    """Flags and record after a change. Raises `ConfigurationError` for clearing what is not set, or as `checked_flag`."""
    others = tuple(flag for flag in flags if (flag.name, flag.location) != (change.name, change.location))
    record = (*changes, change)[-KEPT_CHANGES:]
    if change.value is None:
        if len(others) == len(flags):
            raise ConfigurationError(f"flag {change.name} is not set in {change.location}")
        return others, record
    name = checked_flag(change.name, change.value)
    flag = RouteFlag(name.value, change.location, change.value, change.who, change.reason, change.at)
    return tuple(sorted((*others, flag), key=lambda one: (one.location, one.name))), record
