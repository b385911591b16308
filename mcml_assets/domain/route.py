"""Routes: which locations answer for a workload in a jurisdiction, in which order, and under which epoch.

Pure: how a route is decided from facts, and its stored form. Writing it is `serving/routes.py`'s business, obeying it
the edge's, and who the acting location is the failover's.
"""

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, cast

from mcml_assets.domain.errors import ConfigurationError, LocationUnavailable, ResidencyViolation
from mcml_assets.domain.flags import FlagChange, FlagName, RouteFlag, checked_flag
from mcml_assets.domain.snapshot import canonical_json
from mcml_assets.domain.workload import Placement

ROUTE_FORMAT = 1
FULL_WEIGHT = 100


@dataclass(frozen=True, slots=True)
class RouteLocation:
    """One location of a route.

    The edge asks the lowest `priority` that is healthy; `weight` (1 to 100) shares the requests among locations of
    the same priority.
    """

    location: str
    weight: int
    priority: int


@dataclass(frozen=True, slots=True)
class Route:
    """What the edge obeys for one workload in one jurisdiction.

    `epoch` grows with every change of acting location, `version` is the model version that the acting location was
    to answer with when the route was planned, `updated_at` is ISO 8601 with a time zone. `flags` are what people decided
    about its locations, `flag_changes` the record of that, oldest first.
    """

    workload: str
    jurisdiction: str
    epoch: int
    version: int
    weights: tuple[RouteLocation, ...]
    updated_at: str
    flags: tuple[RouteFlag, ...] = ()
    flag_changes: tuple[FlagChange, ...] = ()

    def __post_init__(self) -> None:
        _check(self)

    @property
    def name(self) -> str:
        """What the route is called in file names and in the edge's configuration: `online_retail.UK`."""
        return f"{self.workload}.{self.jurisdiction}"

    @property
    def locations(self) -> tuple[str, ...]:
        """The location keys, in the order the edge tries them."""
        return tuple(entry.location for entry in sorted(self.weights, key=lambda entry: entry.priority))

    def flag(self, name: FlagName, location: str) -> int | None:
        """What a flag is set to in a location, None where it is not."""
        return next((flag.value for flag in self.flags if (flag.name, flag.location) == (name, location)), None)

    def to_json(self) -> bytes:
        """The stored form."""
        return canonical_json({"format": ROUTE_FORMAT, **asdict(self)})

    @classmethod
    def from_json(cls, data: bytes) -> "Route":
        """Read a stored route.

        Raises `ConfigurationError` for broken JSON, an unknown format, missing or unknown fields, and for every value
        that a route may not have.
        """
        try:
            document: Any = json.loads(data)
        except ValueError as error:
            raise ConfigurationError(f"route is not readable JSON: {error}") from error
        if not isinstance(document, dict):
            raise ConfigurationError("route is not a JSON object")
        fields = cast("dict[str, Any]", document)
        if fields.pop("format", None) != ROUTE_FORMAT:
            raise ConfigurationError(f"route does not have format {ROUTE_FORMAT}, the one this version reads")
        try:
            weights = tuple(RouteLocation(**entry) for entry in fields.pop("weights"))
            flags = tuple(RouteFlag(**entry) for entry in fields.pop("flags", ()))
            changes = tuple(FlagChange(**entry) for entry in fields.pop("flag_changes", ()))
            return cls(weights=weights, flags=flags, flag_changes=changes, **fields)
        except (TypeError, KeyError) as error:
            raise ConfigurationError(f"route does not have the expected fields: {error}") from error


def plan_route(
    workload: str,
    placement: Placement,
    acting: str,
    ready: Collection[str],
    epoch: int,
    version: int,
    updated_at: str,
) -> Route:
    """The route for a placement: the acting location first, then every other ready one in placement order.

    `acting` and `ready` are location keys; keys in `ready` outside the placement are ignored. The acting location
    stays first while it is not ready, so that the edge returns to it by its own health checks; the standbys answer
    meanwhile.

    Raises `ResidencyViolation` when the acting location is not in the placement, and `LocationUnavailable` when no
    location of the placement is ready.
    """
    placed = tuple(location.key for location in placement.locations)
    if acting not in placed:
        raise ResidencyViolation(
            f"{workload} may not be served from {acting!r} in {placement.jurisdiction}: its placement is {', '.join(placed)}"
        )
    answering = [key for key in placed if key in ready]
    if not answering:
        raise LocationUnavailable(
            acting, f"no location of {workload} in {placement.jurisdiction} is ready ({', '.join(placed)})"
        )
    ordered = [acting, *(key for key in answering if key != acting)]
    return Route(
        workload=workload,
        jurisdiction=placement.jurisdiction,
        epoch=epoch,
        version=version,
        weights=tuple(RouteLocation(key, FULL_WEIGHT, priority) for priority, key in enumerate(ordered)),
        updated_at=updated_at,
    )


def _check(route: Route) -> None:
    """Refuse what the edge could not obey; types too, because stored routes come from outside."""
    where = f"route {route.workload!r} in {route.jurisdiction!r}"
    for field, value in (("workload", route.workload), ("jurisdiction", route.jurisdiction)):
        _require(_is_name(value), where, f"{field} must be a name of letters, digits, '_' and '-', not {value!r}")
    for field, value in (("epoch", route.epoch), ("version", route.version)):
        _require(type(value) is int and value >= 0, where, f"{field} must be a whole number from 0, not {value!r}")
    _require(_is_time(route.updated_at), where, f"updated_at must be ISO 8601 with a zone, not {route.updated_at!r}")
    _require(len(route.weights) > 0, where, "names no location")
    keys = [entry.location for entry in route.weights]
    _require(len(set(keys)) == len(keys), where, f"names a location twice: {', '.join(map(str, keys))}")
    for entry in route.weights:
        _require(
            isinstance(entry.location, str) and len(entry.location.split("/")) == 2,  # pyright: ignore[reportUnnecessaryIsInstance] - read from JSON
            where,
            f"location must be written cloud/region, not {entry.location!r}",
        )
        _require(
            type(entry.weight) is int and 1 <= entry.weight <= FULL_WEIGHT,
            where,
            f"weight of {entry.location} must be 1 to {FULL_WEIGHT}, not {entry.weight!r}",
        )
    for flag in route.flags:
        _require(type(flag.value) is int, where, f"flag {flag.name} must be a whole number, not {flag.value!r}")
        checked_flag(flag.name, flag.value)
    priorities = {entry.priority for entry in route.weights}
    _require(
        priorities == set(range(len(priorities))),
        where,
        f"priorities must count up from 0 without a gap, not {sorted(map(str, priorities))}",
    )


def _require(holds: bool, where: str, message: str) -> None:
    if not holds:
        raise ConfigurationError(f"{where}: {message}")


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value != "" and all(part.isalnum() for part in value.replace("-", "_").split("_"))


def _is_time(value: object) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False
