"""A workload as the platform understands it: where it is placed, what it reads, computes, trains and serves.

These are the frozen facts of one `defs.yaml`, already validated; reading and judging the YAML belongs to
`configuration/`, and turning a workload into Dagster assets to `build.py`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from mcml_assets.domain.canary import DEFAULT_CANARY, CanaryRules
from mcml_assets.domain.contract import OnBreakingContract
from mcml_assets.domain.drift import DEFAULT_DRIFT, DriftThresholds
from mcml_assets.domain.endpoint_access import EndpointCapability
from mcml_assets.domain.error_budget import DEFAULT_OBJECTIVES, Objectives
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.quality import DEFAULT_QUALITY, QualityThresholds
from mcml_assets.domain.retention import Retention
from mcml_assets.domain.table_difference import Tolerance
from mcml_assets.domain.topology import Location, did_you_mean

if TYPE_CHECKING:
    from mcml_assets.domain.traffic import TrafficAccess


class Role(StrEnum):
    """What a location is to a workload: the first of its placement, or a standby with or without a running endpoint."""

    PRIMARY = "primary"
    WARM = "warm"
    COLD = "cold"


class Classification(StrEnum):
    """How sensitive the workload's data is; `restricted` values never appear in a log, an event or MLflow."""

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"
    RESTRICTED = "restricted"


class Failback(StrEnum):
    """Who decides that a primary which answers again gets its work back: the platform, or a person."""

    AUTO = "auto"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class PlacedLocation:
    """One location in a placement, with its role there."""

    location: Location
    role: Role

    @property
    def key(self) -> str:
        return self.location.key


@dataclass(frozen=True, slots=True)
class Placement:
    """The ordered locations of a workload in one jurisdiction; the first is the primary.

    `traffic` has the global load balancers that publish the route there.
    """

    jurisdiction: str
    locations: tuple[PlacedLocation, ...]
    traffic: "tuple[TrafficAccess, ...]" = ()

    @property
    def primary(self) -> PlacedLocation:
        return self.locations[0]

    @property
    def standbys(self) -> tuple[PlacedLocation, ...]:
        return self.locations[1:]


@dataclass(frozen=True, slots=True)
class LockIn:
    """The one cloud a workload cannot leave, and why: an architect's decision, on record."""

    cloud: str
    reason: str


@dataclass(frozen=True, slots=True)
class FunctionReference:
    """A plain function the user wrote beside `defs.yaml`: `features.py` and `customer_features`."""

    file: Path
    name: str

    def __str__(self) -> str:
        return f"{self.file.name}:{self.name}"


@dataclass(frozen=True, slots=True)
class JurisdictionColumn:
    """Which rows of a source belong to which jurisdiction: the values of `column`, by jurisdiction.

    Rows with any other value are placed nowhere and must not enter.
    """

    column: str
    values: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Source:
    """One table the workload reads, as a Parquet file.

    With an `event_time` column the source is incremental: the first landing takes `first_batch_days`, each later
    one the next `batch_days`. Without one it is a reference table, taken whole whenever it changed. `columns` are
    the expected names with their Arrow types (`int64`, `string`, `timestamp[us]`), `placed_by` filters rows by jurisdiction.
    """

    name: str
    path: Path
    columns: Mapping[str, str]
    event_time: str | None
    first_batch_days: int | None
    batch_days: int | None
    placed_by: JurisdictionColumn | None


@dataclass(frozen=True, slots=True)
class Entity:
    """What a caller asks about (`customer`), and the column that identifies it (`customer_id`), with its Arrow type."""

    name: str
    key: str
    type: str


@dataclass(frozen=True, slots=True)
class FeatureView:
    """One Feast feature view: a table that the features function returns, keyed by `join_key`.

    `join_key_from` names another view whose feature of that name supplies the key when a prediction is asked for
    (an applicant's `zipcode` leads to the neighbourhood's features); None when the caller supplies it.
    `ttl_days` bounds how old a feature row may be in the point-in-time join; None for no bound.
    """

    name: str
    join_key: str
    join_key_type: str
    join_key_from: str | None
    ttl_days: int | None
    features: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Features:
    """How features are computed.

    The function is called once per as-of date: every `every_days` from `first_after_days` after the earliest event,
    and at the watermark; with no `every_days`, at the watermark only. `contract` gives rules about the features beyond
    those that follow from `views`, as a pandera schema by view; None for no more.
    `compute_profile` is None where the run itself computes.
    """

    function: FunctionReference
    entity: Entity
    views: tuple[FeatureView, ...]
    first_after_days: int | None
    every_days: int | None
    contract: FunctionReference | None = None
    compute_profile: str | None = None


@dataclass(frozen=True, slots=True)
class Training:
    """How a candidate is made and judged.

    `target` gives one labelled row per entity and time; `horizon_days` is how long after its time a label is known,
    so that the split can leave a gap of that length (0 when the label comes with the event). The newest `test_share`
    of labelled times is held out, and `metric` decides how a candidate does there. `compute_profile` is None where the run
    itself trains; a candidate of a fallback may differ from the served model's golden predictions by `equivalence_tolerance`.
    """

    train: FunctionReference
    target: FunctionReference
    metric: str
    horizon_days: int
    test_share: float
    compute_profile: str | None = None
    equivalence_tolerance: float | None = None


@dataclass(frozen=True, slots=True)
class UserCheck:
    """A check that a user wrote as one function: the asset that its parameter names, and what its docstring promises."""

    function: FunctionReference
    asset: str
    description: str


@dataclass(frozen=True, slots=True)
class RolloutSteps:
    """How a new version takes over a location: copies of `shadow_percent` of the requests for `shadow_seconds`, then each
    share of `percents` (rising, the last is 100) for `dwell_seconds`. `canaries` are the locations it reaches first.
    """

    percents: tuple[int, ...]
    dwell_seconds: float
    shadow_seconds: float
    shadow_percent: int = 100
    canaries: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Serving:
    """The endpoint's needs: the compute profile by name, the tolerance within which golden predictions must agree, what the
    endpoint platform of every location has to be able to do, what is promised of the answers, and by which steps a new
    version takes over (None: at once, when its server is ready).
    """

    compute_profile: str
    golden_predictions: int
    golden_tolerance: float
    timeout_seconds: float
    needs: tuple[EndpointCapability, ...] = ()
    objectives: Objectives = DEFAULT_OBJECTIVES
    rollout: RolloutSteps | None = None


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The numbers a workload's checks are judged by: how good a candidate must be, and how far data may move."""

    quality: QualityThresholds = DEFAULT_QUALITY
    drift: DriftThresholds = DEFAULT_DRIFT


FIRST_VERSION = "1.0"
DEFAULT_RETENTION = Retention(keep_last=5, keep_days=30)


@dataclass(frozen=True, slots=True)
class Workload:
    """One machine learning use case, declared once in its `defs.yaml` and run wherever it is placed.

    `rto_seconds` and `rpo_seconds` are objectives as business continuity uses them. `lock_in` names the
    cloud the workload cannot leave, or is None. `personal_columns` hold personal data that never leaves in a log,
    an event or MLflow. `tolerances` are by feature; a feature without one has to be equal in every location.
    `contract_version` is the version of the contract as it is declared now, `2.1`, and `on_breaking_contract` what
    becomes of rows that landed under an older first number.
    """

    name: str
    owner: str
    description: str
    classification: Classification
    personal_columns: tuple[str, ...]
    regulations: tuple[str, ...]
    placements: tuple[Placement, ...]
    rto_seconds: int
    rpo_seconds: int
    managed_services: tuple[str, ...]
    lock_in: LockIn | None
    cron: str
    sources: tuple[Source, ...]
    contract: FunctionReference
    features: Features
    training: Training
    serving: Serving
    thresholds: Thresholds
    directory: Path
    retention: Retention = DEFAULT_RETENTION
    failback: Failback = Failback.AUTO
    tolerances: Mapping[str, Tolerance] = field(default_factory=dict[str, Tolerance])
    contract_version: str = FIRST_VERSION
    on_breaking_contract: OnBreakingContract = OnBreakingContract.KEEP
    checks: tuple[UserCheck, ...] = ()
    canary: CanaryRules = DEFAULT_CANARY

    @property
    def jurisdictions(self) -> tuple[str, ...]:
        return tuple(placement.jurisdiction for placement in self.placements)

    @property
    def locations(self) -> tuple[PlacedLocation, ...]:
        return tuple(placed for placement in self.placements for placed in placement.locations)

    @property
    def unshown_columns(self) -> tuple[str, ...]:
        """Columns whose values no report may quote: personal ones, and of a restricted workload all that it reads."""
        if self.classification is not Classification.RESTRICTED:
            return self.personal_columns
        return tuple(dict.fromkeys(column for source in self.sources for column in source.columns))

    @property
    def entity_key_is_shown(self) -> bool:
        """Whether a report may name an entity: not where its key stands for a person, under whatever name."""
        return self.classification is not Classification.RESTRICTED and not self.personal_columns

    @property
    def unshown_features(self) -> tuple[str, ...]:
        """The same of features: the key names somebody, and of a restricted workload every feature is somebody's answer."""
        key = (self.features.entity.key, *self.unshown_columns)
        if self.classification is not Classification.RESTRICTED:
            return key
        return (*key, *(name for view in self.features.views for name in (view.join_key, *view.features)))

    def placement(self, jurisdiction: str) -> Placement:
        """The placement in a jurisdiction; `ConfigurationError` when the workload is not placed there."""
        for placement in self.placements:
            if placement.jurisdiction == jurisdiction:
                return placement
        raise ConfigurationError(
            f"{self.name} is not placed in jurisdiction {jurisdiction!r}{did_you_mean(jurisdiction, self.jurisdictions)}"
        )

    def placement_of(self, location: str) -> Placement:
        """The placement that a location belongs to; `ConfigurationError` when the workload is not placed there."""
        return self.placement(self.placed(location).location.jurisdiction)

    def placed(self, key: str) -> PlacedLocation:
        """The placed location with this key; `ConfigurationError` when the workload is not placed there."""
        for placed in self.locations:
            if placed.key == key:
                return placed
        keys = tuple(placed.key for placed in self.locations)
        raise ConfigurationError(f"{self.name} is not placed in {key!r}{did_you_mean(key, keys)}")


def workload_named(name: str, workloads: Iterable[Workload]) -> Workload:
    """The workload of this name. Raises `ConfigurationError` naming the nearest one."""
    by_name = {workload.name: workload for workload in workloads}
    if name not in by_name:
        raise ConfigurationError(f"unknown workload {name!r}{did_you_mean(name, by_name)}")
    return by_name[name]
