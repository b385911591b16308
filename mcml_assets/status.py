"""What the platform holds right now, read from the buckets and the data plane: no Dagster needed, none consulted.

Collecting is here, printing in `cli.py`. A value that cannot be had is None, and makes its row unhealthy.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from mcml_assets.clouds.fault_plan import list_faults
from mcml_assets.clouds.registry import open_store
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.acting import Acting
from mcml_assets.domain.errors import ConfigurationError, McmlError
from mcml_assets.domain.lag import replication_lag
from mcml_assets.domain.readiness import SyntheticFacts
from mcml_assets.domain.snapshot import Manifest, Pointer
from mcml_assets.domain.topology import Topology
from mcml_assets.domain.workload import PlacedLocation, Placement, Role, Workload
from mcml_assets.register.quorum import QuorumRegister
from mcml_assets.serving.folder import DataPlaneFolder
from mcml_assets.serving.interfaces import EndpointState, EndpointStatus
from mcml_assets.serving.manifest import endpoint_name
from mcml_assets.serving.platforms import PlacedPlatforms
from mcml_assets.serving.synthetic_results import last_synthetic
from mcml_assets.snapshots.store import SnapshotStore

RUNNING = (EndpointState.READY, EndpointState.ROLLING_OUT)
SERVING_STATES = {Role.PRIMARY: RUNNING, Role.WARM: RUNNING, Role.COLD: (*RUNNING, EndpointState.COLD)}


@dataclass(frozen=True, slots=True)
class LocationStatus:
    """One workload in one location.

    `model_version` is what the location holds, `endpoint_version` what answers there (for a cold standby: what it would
    answer with). `lag_seconds` is the replication lag, None when it cannot be told. `faults` describes those set for it.
    """

    workload: str
    jurisdiction: str
    location: str
    role: str
    acting: bool | None
    epoch: int | None
    snapshot: str | None
    rows: int | None
    watermark: str | None
    feature_snapshot: str | None
    model_version: int | None
    endpoint: str
    endpoint_version: int | None
    lag_seconds: float | None
    healthy: bool
    problem: str | None
    faults: tuple[str, ...]


def collect_status(workloads: Sequence[Workload], topology: Topology, settings: Settings) -> Iterator[LocationStatus]:
    """The status of every placed location, in the order of the placements."""
    platform, folder = PlacedPlatforms(topology, settings), DataPlaneFolder.of(settings)
    try:
        faults = list_faults(settings)
    except ConfigurationError:
        faults = ()  # each store says so itself, as the problem of its row
    register = QuorumRegister(topology, lambda location: open_store(topology.location(location), settings))
    for workload in workloads:
        for placement in workload.placements:
            acting = _acting(register, workload, placement.jurisdiction)
            stores = _Stores(workload, topology, settings)
            newest = stores.newest(acting.location) if isinstance(acting, Acting) else None
            for placed in placement.locations:
                endpoint = platform.status(endpoint_name(workload.name, placed.key))
                set_here = tuple(fault.describe() for fault in faults if fault.concerns(placed.key))
                row = _location_status(workload, placement, placed, acting, newest, stores, endpoint, set_here)
                yield _judged_by_answers(row, last_synthetic(folder, endpoint.name))


def _acting(register: QuorumRegister, workload: Workload, jurisdiction: str) -> Acting | str:
    """Who is acting, or why nobody can tell."""
    try:
        return register.read(workload, jurisdiction)
    except McmlError as error:
        return str(error)


class _Stores:
    """Reads of one workload's pointers and manifests, with an unreadable location as a reason, not an exception."""

    def __init__(self, workload: Workload, topology: Topology, settings: Settings) -> None:
        self._workload, self._topology, self._settings = workload, topology, settings

    def _open(self, location: str, noun: str) -> SnapshotStore:
        return SnapshotStore(open_store(self._topology.location(location), self._settings), self._workload.name, noun)

    def newest(self, location: str) -> Pointer | None:
        """The acting location's newest landed snapshot."""
        try:
            return self._open(location, "landing").current_pointer()
        except McmlError:
            return None

    def current(self, location: str, noun: str) -> Manifest | None:
        return self._open(location, noun).current()


def _location_status(
    workload: Workload,
    placement: Placement,
    placed: PlacedLocation,
    acting: Acting | str,
    newest: Pointer | None,
    stores: _Stores,
    endpoint: EndpointStatus,
    faults: tuple[str, ...],
) -> LocationStatus:
    raw = features = model = None
    problem = None
    try:
        raw = stores.current(placed.key, "raw_data")
        features = stores.current(placed.key, "feature_snapshot")
        model = stores.current(placed.key, "model")
    except McmlError as error:
        problem = str(error)
    if isinstance(acting, str):
        problem = problem or acting
    lag = None
    if problem is None:
        holds_newest = raw is not None and newest is not None and raw.snapshot_id == newest.snapshot_id
        lag = replication_lag(holds_newest, newest.committed_at if newest else None, datetime.now(UTC))
    problem = problem or _problem(raw, features, model, endpoint, placed.role, lag, workload.rpo_seconds)
    return LocationStatus(
        workload=workload.name,
        jurisdiction=placement.jurisdiction,
        location=placed.key,
        role=placed.role.value,
        acting=placed.key == acting.location if isinstance(acting, Acting) else None,
        epoch=acting.epoch if isinstance(acting, Acting) else None,
        snapshot=raw.snapshot_id[:12] if raw else None,
        rows=raw.row_count if raw else None,
        watermark=raw.watermark if raw else None,
        feature_snapshot=features.snapshot_id[:12] if features else None,
        model_version=model.annotations["version"] if model else None,
        endpoint=endpoint.state,
        endpoint_version=_served_version(endpoint),
        lag_seconds=lag,
        healthy=problem is None,
        problem=problem,
        faults=faults,
    )


def _judged_by_answers(row: LocationStatus, synthetic: SyntheticFacts | None) -> LocationStatus:
    """A server that says it is ready and fails synthetic transactions is not healthy. None of them says nothing: without
    Dagster nobody makes them.
    """
    if not row.healthy or synthetic is None or not synthetic.fails:
        return row
    return replace(row, healthy=False, problem=f"synthetic transactions fail: {synthetic.problem or 'no reason given'}")


def _served_version(endpoint: EndpointStatus) -> int | None:
    return endpoint.wanted_version if endpoint.state is EndpointState.COLD else endpoint.version


def _problem(
    raw: Manifest | None,
    features: Manifest | None,
    model: Manifest | None,
    endpoint: EndpointStatus,
    role: Role,
    lag: float | None,
    rpo_seconds: int,
) -> str | None:
    for noun, manifest in (("raw_data", raw), ("feature_snapshot", features)):
        if manifest is None:
            return f"no {noun} yet"
    if model is None:
        return "no model yet"
    if endpoint.state not in SERVING_STATES[role]:
        return f"endpoint is {endpoint.state}" + (f": {endpoint.message}" if endpoint.message else "")
    # A version that takes over by steps is on its way, and no fault.
    if endpoint.state is not EndpointState.ROLLING_OUT and _served_version(endpoint) != model.annotations["version"]:
        return f"endpoint is at model v{_served_version(endpoint)}, the location holds v{model.annotations['version']}"
    if lag is None:
        return "replication lag is unknown"
    if lag > rpo_seconds:
        return f"replication lag {lag:.0f} s is past the RPO of {rpo_seconds} s"
    return None


def milestones(workloads: Sequence[Workload], topology: Topology, settings: Settings) -> Iterator[str]:
    """One sentence for each thing that has been published so far, for whoever watches the platform come up."""
    for row in collect_status(workloads, topology, settings):
        who = f"{row.workload:<16} {row.location:<20}"
        if row.snapshot:
            yield f"{who} holds raw data up to {(row.watermark or '')[:10]}, {row.rows:,} rows"
        if row.feature_snapshot:
            yield f"{who} published features {row.feature_snapshot}"
        if row.model_version is not None:
            yield f"{who} holds model v{row.model_version}"
        if row.endpoint in SERVING_STATES[Role(row.role)]:
            yield f"{who} endpoint is {row.endpoint} with model v{row.endpoint_version}"
