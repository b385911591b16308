"""Faults: what can be made to go wrong with a cloud or a location on purpose, for how long, and at which requests.

Only what a fault says and which requests it strikes is here. What a struck request does is `clouds/faulty.py`'s
business, where the faults of a running platform are kept `clouds/fault_plan.py`'s.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Any, cast

from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.topology import did_you_mean

LASTS_BY_DEFAULT = timedelta(minutes=10)
LASTS_AT_MOST = timedelta(hours=24)
# S3 and Azure refuse a request that was signed more than 15 minutes off (RequestTimeTooSkewed, AuthenticationFailed).
SKEW_REFUSED_SECONDS = 900

CONTENT_READS = ("get", "get_with_meta", "get_range", "stream", "get_version")
READS = (*CONTENT_READS, "head", "list")
WRITES = ("put", "put_if_absent", "put_if_match", "delete", "copy_from")
PREDICT = "predict"
READ_FEATURES = "read_features"
TRACK = "track"
TAKE = "take"


class FaultKind(StrEnum):
    """What goes wrong; `MEANINGS` says it to people."""

    OUTAGE = "outage"
    CREDENTIALS_REVOKED = "credentials_revoked"
    THROTTLING = "throttling"
    LATENCY = "latency"
    BANDWIDTH = "bandwidth"
    TRUNCATED_READ = "truncated_read"
    FLIPPED_BIT = "flipped_bit"
    LOST_ACKNOWLEDGEMENT = "lost_acknowledgement"
    LOST_WRITE = "lost_write"
    STALE_READ = "stale_read"
    CLOCK_SKEW = "clock_skew"
    PARTITION = "partition"
    WRONG_ANSWERS = "wrong_answers"
    FEATURE_STORE_DOWN = "feature_store_down"
    REGISTRY_DOWN = "registry_down"
    SOURCE_LATE = "source_late"
    BAD_BATCH = "bad_batch"


MEANINGS: Mapping[FaultKind, str] = {
    FaultKind.OUTAGE: "nothing answers, neither the bucket nor the endpoints",
    FaultKind.CREDENTIALS_REVOKED: "the bucket answers, and refuses who asks",
    FaultKind.THROTTLING: "503 SlowDown, in bursts",
    FaultKind.LATENCY: "every answer comes later",
    FaultKind.BANDWIDTH: "bytes pass at a bounded pace, each request for itself",
    FaultKind.TRUNCATED_READ: "the end of what is read is missing, and nobody says so",
    FaultKind.FLIPPED_BIT: "one bit of what is read, or copied by the provider, is another one, and nobody says so",
    FaultKind.LOST_ACKNOWLEDGEMENT: "a write happens, and the answer that says so is lost",
    FaultKind.LOST_WRITE: "a write is acknowledged, and never happened",
    FaultKind.STALE_READ: "an object reads as it was first seen while the fault lasts, whatever was written since",
    FaultKind.CLOCK_SKEW: "the bucket's clock is ahead of ours (behind, if negative); past 15 minutes it refuses requests",
    FaultKind.PARTITION: "the runs of one side do not reach the buckets of the other; who belongs to neither reaches both",
    FaultKind.WRONG_ANSWERS: "the model server answers in time, and every score is another one than its model gives",
    FaultKind.FEATURE_STORE_DOWN: "the online feature store does not answer its server",
    FaultKind.REGISTRY_DOWN: "MLflow, tracking and registry, does not answer the runs of the location",
    FaultKind.SOURCE_LATE: "the source shows nothing that came after what has landed",
    FaultKind.BAD_BATCH: "what the source gives is cut off in the middle",
}
APPLIES: Mapping[FaultKind, tuple[str, ...]] = {
    FaultKind.OUTAGE: (*READS, *WRITES, PREDICT),
    FaultKind.CREDENTIALS_REVOKED: (*READS, *WRITES),
    FaultKind.THROTTLING: (*READS, *WRITES),
    FaultKind.LATENCY: (*READS, *WRITES),
    FaultKind.BANDWIDTH: (*CONTENT_READS, "put", "put_if_absent", "put_if_match"),
    FaultKind.TRUNCATED_READ: CONTENT_READS,
    FaultKind.FLIPPED_BIT: (*CONTENT_READS, "copy_from"),
    FaultKind.LOST_ACKNOWLEDGEMENT: WRITES,
    FaultKind.LOST_WRITE: WRITES,
    # An old version is asked for by its name: it cannot be stale.
    FaultKind.STALE_READ: ("get", "get_with_meta", "get_range", "stream", "head"),
    FaultKind.CLOCK_SKEW: (*READS, *WRITES),
    FaultKind.PARTITION: (*READS, *WRITES),
    FaultKind.WRONG_ANSWERS: (PREDICT,),
    FaultKind.FEATURE_STORE_DOWN: (READ_FEATURES,),
    FaultKind.REGISTRY_DOWN: (TRACK,),
    FaultKind.SOURCE_LATE: (TAKE,),
    FaultKind.BAD_BATCH: (TAKE,),
}
"""What each kind can strike: operations of an object store, `predict` and `read_features` of an endpoint, `track` of a
training, `take` of a landing.
"""
FROM_ANYWHERE = tuple(
    kind for kind, operations in APPLIES.items() if operations[0] in (*READS, *WRITES) and kind is not FaultKind.PARTITION
)
"""The kinds that strike a store whoever asks it."""


@dataclass(frozen=True, slots=True)
class Amount:
    """A number that a kind of fault takes: its default, and the bounds within which it means something."""

    default: float
    least: float
    most: float
    unit: str


AMOUNTS: Mapping[FaultKind, Mapping[str, Amount]] = {
    FaultKind.THROTTLING: {"burst": Amount(3, 1, 10_000, "requests in a row")},
    FaultKind.LATENCY: {
        "ms": Amount(200, 0, 600_000, "milliseconds"),
        "jitter_ms": Amount(0, 0, 600_000, "milliseconds at most on top"),
    },
    FaultKind.BANDWIDTH: {"bytes_per_second": Amount(1_000_000, 1, 1e12, "bytes per second")},
    FaultKind.TRUNCATED_READ: {"keep": Amount(0.5, 0, 0.999, "share of the last piece that arrives")},
    FaultKind.CLOCK_SKEW: {"seconds": Amount(3600, -1e9, 1e9, "seconds")},
}
SELECTORS = ("operation", "key")
SIDE = "other"
"""The parameter of a partition: the cloud or location on its other side."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of one target, a cloud (`aws`) or a location (`aws/eu-west-2`), which ends by itself.

    `parameters` are the kind's amounts (`AMOUNTS`) and the selectors `operation` (of `APPLIES`) and `key` (a pattern as
    in a shell, `*/current.json`) that narrow it. `probability` is that of one request to be struck; `seed` decides
    which. `why` and `who` are for people; `drill` is the id of the drill that set it, empty for none.

    Raises `ConfigurationError` for what cannot be, with the nearest choice where a word is wrong.
    """

    target: str
    kind: FaultKind
    begins: datetime
    expires: datetime
    parameters: Mapping[str, float | str] = field(default_factory=dict[str, "float | str"])
    probability: float = 1.0
    seed: int = 0
    why: str = ""
    who: str = ""
    drill: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.probability <= 1:
            raise ConfigurationError(f"probability is {self.probability:g}; it is more than 0 and at most 1")
        if self.begins.tzinfo is None or self.expires.tzinfo is None:
            raise ConfigurationError("a fault begins and expires at times with a time zone")
        if not timedelta(0) < self.expires - self.begins <= LASTS_AT_MOST:
            raise ConfigurationError(f"a fault lasts {self.expires - self.begins}; it lasts more than 0 and at most 24 h")
        object.__setattr__(self, "parameters", {name: self._checked(name, given) for name, given in self.parameters.items()})
        if self.kind is FaultKind.PARTITION and not self.parameters.get(SIDE):
            raise ConfigurationError(f"a partition parts {self.target} from another side: name it as parameter {SIDE!r}")

    @property
    def id(self) -> str:
        """Eight hex digits that name this very fault."""
        return sha256(json.dumps(self._document(), sort_keys=True).encode()).hexdigest()[:8]

    def amount(self, name: str) -> float:
        """One of the kind's amounts, its default where none was given."""
        given = self.parameters.get(name, AMOUNTS[self.kind][name].default)
        return cast("float", given)

    def active(self, now: datetime) -> bool:
        """Whether the fault has begun and has not expired."""
        return self.begins <= now < self.expires

    def concerns(self, location: str) -> bool:
        """Whether this location, or its cloud, is the target."""
        return _lies(location, self.target)

    def parts(self, asker: str | None, location: str) -> bool:
        """Whether it keeps who works for the location `asker` from reaching `location`; never somebody of neither side."""
        if self.kind is not FaultKind.PARTITION or asker is None:
            return False
        other = str(self.parameters[SIDE])
        return (_lies(asker, self.target) and _lies(location, other)) or (_lies(asker, other) and _lies(location, self.target))

    def selects(self, operation: str, key: str) -> bool:
        """Whether a request of this kind, about this key, can be struck at all."""
        only, pattern = self.parameters.get("operation", operation), self.parameters.get("key", "*")
        return operation == only and operation in APPLIES[self.kind] and fnmatchcase(key, str(pattern))

    def strikes(self, number: int) -> bool:
        """Whether the request of this number is struck: always the same for one seed.

        Throttling decides once for each burst of requests in a row.
        """
        if self.kind is FaultKind.THROTTLING:
            number //= int(self.amount("burst"))
        return self.draw(number, "strike") < self.probability

    def draw(self, number: int, purpose: str) -> float:
        """A number from 0 to below 1 for one purpose at one request, always the same for one seed."""
        digest = sha256(f"{self.seed}/{purpose}/{number}".encode()).digest()
        return int.from_bytes(digest[:6]) / 2**48

    def describe(self) -> str:
        """One line for people."""
        given = "".join(f" {name}={value:g}" if isinstance(value, float) else f" {name}={value}" for name, value in self._set())
        share = f" at {self.probability:.0%} of requests" if self.probability < 1 else ""
        until = self.expires.astimezone(UTC).strftime("%H:%M:%S UTC")
        return f"{self.kind} of {self.target}{given}{share} until {until}" + (f" ({self.why})" if self.why else "")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, the id among them for readers."""
        return {"id": self.id, **self._document()}

    @classmethod
    def from_json(cls, document: object) -> "Fault":
        """Read what `to_json` wrote. Raises `ConfigurationError` naming the field that is wrong, with the nearest choice."""
        if not isinstance(document, dict):
            raise ConfigurationError("a fault is a JSON object")
        fields = dict(cast("dict[str, Any]", document))
        fields.pop("id", None)
        known = list(cls.__dataclass_fields__)
        for name in fields:
            if name not in known:
                raise ConfigurationError(f"unknown field {name!r} of a fault{did_you_mean(name, known)}")
        for name in ("target", "kind", "begins", "expires"):
            if not isinstance(fields.get(name), str):
                raise ConfigurationError(f"field {name!r} of a fault is {fields.get(name)!r}, not a text")
        try:
            fields["begins"] = datetime.fromisoformat(fields["begins"])
            fields["expires"] = datetime.fromisoformat(fields["expires"])
            fields["kind"] = fault_kind(fields["kind"])
            return cls(**fields)
        except (TypeError, ValueError, AttributeError) as error:
            raise ConfigurationError(f"a fault does not have the expected fields: {error}") from error

    def _set(self) -> list[tuple[str, float | str]]:
        return sorted(self.parameters.items())

    def _document(self) -> dict[str, Any]:
        return {
            "target": self.target,
            "kind": self.kind.value,
            "parameters": dict(self._set()),
            "probability": self.probability,
            "seed": self.seed,
            "begins": self.begins.isoformat(),
            "expires": self.expires.isoformat(),
            "why": self.why,
            "who": self.who,
            "drill": self.drill,
        }

    def _checked(self, name: str, given: object) -> float | str:
        """One parameter's value, as a number where it is one."""
        amounts = AMOUNTS.get(self.kind, {})
        if name == "operation":
            if given not in APPLIES[self.kind]:
                nearest = did_you_mean(str(given), APPLIES[self.kind])
                raise ConfigurationError(f"{self.kind} does not concern the operation {given!r}{nearest}")
            return str(given)
        if name == "key" or (name == SIDE and self.kind is FaultKind.PARTITION):
            return str(given)
        if name not in amounts:
            raise ConfigurationError(f"{self.kind} has no parameter {name!r}{did_you_mean(name, parameters_of(self.kind))}")
        amount = amounts[name]
        try:
            number = float(cast("str", given))
        except (TypeError, ValueError):
            raise ConfigurationError(f"{name} of {self.kind} is {given!r}, not a number of {amount.unit}") from None
        if not amount.least <= number <= amount.most:
            bounds = f"between {amount.least:g} and {amount.most:g}"
            raise ConfigurationError(f"{name} of {self.kind} is {number:g}; it is {bounds} {amount.unit}")
        return number


def parameters_of(kind: FaultKind) -> tuple[str, ...]:
    """The names of the parameters that a kind takes."""
    return (*AMOUNTS.get(kind, {}), *((SIDE,) if kind is FaultKind.PARTITION else ()), *SELECTORS)


def _lies(location: str, target: str) -> bool:
    """Whether a location is the target, or in it."""
    return target in (location, location.partition("/")[0])


def fault_kind(name: str) -> FaultKind:
    """The kind of this name. Raises `ConfigurationError` with the nearest one."""
    try:
        return FaultKind(name)
    except ValueError:
        raise ConfigurationError(
            f"unknown kind of fault {name!r}{did_you_mean(name, [kind.value for kind in FaultKind])}"
        ) from None


def duration(text: str) -> timedelta:
    """What `90s`, `10m`, `1.5h` or `1d` mean. Raises `ConfigurationError` for anything else."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip())
    if parts is None:
        raise ConfigurationError(f"{text!r} is no duration; write 90s, 10m or 1.5h")
    return timedelta(seconds=min(float(parts[1]) * units[parts[2]], 1e9))
