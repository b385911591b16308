"""The facts of a decision, read from buckets and endpoints: the same for sensors, commands and what-if; no Dagster.

Nothing is judged here: what the facts mean is `domain/failover.py`'s business. What cannot be read is unknown, never
taken for good.
"""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from mcml_assets.domain.acting import Acting
from mcml_assets.domain.canary import CanaryResult
from mcml_assets.domain.errors import McmlError, ModelRejected
from mcml_assets.domain.failover import Situation, lag_seconds
from mcml_assets.domain.readiness import CanaryFacts, Health, LocationFacts, Serving, SyntheticFacts
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.domain.workload import PlacedLocation, Workload
from mcml_assets.failover.probing import Probe
from mcml_assets.failover.takeover import OpenSnapshots, originals
from mcml_assets.features.digests import ANNOTATION
from mcml_assets.serving.interfaces import EndpointPlatform, EndpointState, EndpointStatus
from mcml_assets.serving.manifest import endpoint_name
from mcml_assets.snapshots.store import SnapshotStore

CONCURRENCY = 8


@dataclass(frozen=True, slots=True)
class Landed:
    """A snapshot that the acting location was known to have landed, and when it was committed."""

    snapshot: str
    committed_at: datetime


@dataclass(frozen=True, slots=True)
class Holding:
    """What a location was found to hold; None for nothing. `problem` is why it could not be read."""

    raw: Manifest | None = None
    committed_at: datetime | None = None
    epoch: int = 0
    features: Manifest | None = None
    model: Manifest | None = None
    canary: Manifest | None = None
    problem: str | None = None


def survey(
    workload: Workload,
    jurisdiction: str,
    acting: Acting,
    *,
    probes: Mapping[str, Probe],
    open_snapshots: OpenSnapshots,
    platform: EndpointPlatform,
    as_of: datetime,
    landed: Landed | None = None,
    served: int | None = None,
    evacuated: frozenset[str] = frozenset(),
    register_problem: str | None = None,
    synthetic: Callable[[str], SyntheticFacts | None] = lambda endpoint: None,
) -> Situation:
    """What is so about a workload in a jurisdiction.

    `probes` tell which locations may be asked at all. `landed` is the newest snapshot that somebody saw the acting
    location land; without it, and with that location silent, the newest copy that a standby holds is the newest known.
    `served` is the model version of the published route, None without one. `as_of` is when the acting location was last
    known to work. `synthetic` gives the last synthetic transaction with an endpoint, by its name.
    """
    placement = workload.placement(jurisdiction)
    keys = [placed.key for placed in placement.locations]
    up = [key for key in keys if probes[key].health is Health.UP]

    def look(location: str) -> Holding:
        return _holding(workload, location, acting, open_snapshots)

    with ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="facts") as pool:
        holdings = dict(zip(up, pool.map(look, up), strict=True))
    newest = _newest(acting, holdings, landed)
    newest_manifest = next(
        (held.raw for held in holdings.values() if newest and held.raw and held.raw.snapshot_id == newest.snapshot), None
    )

    def facts(placed: PlacedLocation) -> LocationFacts:
        held, probe = holdings.get(placed.key, Holding()), probes[placed.key]
        own = held.raw.snapshot_id if held.raw else None
        status = platform.status(endpoint_name(workload.name, placed.key))
        known_model = served if placed.key == acting.location else None
        return LocationFacts(
            location=placed.key,
            jurisdiction=placed.location.jurisdiction,
            health=Health.UNKNOWN if held.problem else probe.health,
            problem=held.problem or probe.problem,
            snapshot=own,
            lag_seconds=lag_seconds(own, newest.snapshot if newest else None, newest.committed_at if newest else None, as_of),
            model=held.model.annotations["version"] if held.model else known_model,
            serving=_serving(status, held),
            missing_bytes=_missing_bytes(held.raw, newest_manifest),
            features_current=_features_current(held),
            untrained=_untrained(held),
            features_of=held.features.parents.get("raw_data") if held.features else None,
            features_content=_content(held.features) if held.features else None,
            features_by=held.features.producer if held.features else None,
            feature_columns=_columns(held.features) if held.features else None,
            model_digest=held.model.snapshot_id if held.model else None,
            canary=_canary(held.canary) if held.canary else None,
            synthetic=synthetic(endpoint_name(workload.name, placed.key)),
        )

    return Situation(
        workload=workload.name,
        jurisdiction=jurisdiction,
        acting=acting,
        rpo_seconds=workload.rpo_seconds,
        locations=tuple(facts(placed) for placed in placement.locations),
        newest=newest.snapshot if newest else None,
        evacuated=evacuated,
        register_problem=register_problem,
        newest_age_seconds=(as_of - newest.committed_at).total_seconds() if newest else None,
        exact_features=not workload.tolerances,
        declared_features=frozenset(
            f"{view.name}.{name}" for view in workload.features.views for name in (view.join_key, *view.features)
        ),
    )


def _holding(workload: Workload, location: str, acting: Acting, open_snapshots: OpenSnapshots) -> Holding:
    def store(noun: str) -> SnapshotStore:
        return open_snapshots(workload, location, noun)

    try:
        acts = location == acting.location
        raw = originals(workload, location, "landing", open_snapshots) if acts else store("raw_data")
        pointer = raw.current_pointer()
        return Holding(
            raw=raw.manifest(pointer.snapshot_id) if pointer else None,
            committed_at=datetime.fromisoformat(pointer.committed_at) if pointer else None,
            epoch=pointer.epoch if pointer else 0,
            features=store("feature_snapshot").current(),
            model=store("model").current(),
            canary=store("canary_training").current(),
        )
    except McmlError as error:
        return Holding(problem=f"it answers, but what it holds cannot be read: {error}")


def _newest(acting: Acting, holdings: Mapping[str, Holding], landed: Landed | None) -> Landed | None:
    """The newest snapshot known of the acting location: its own word, what was seen, or the newest copy there is."""
    own = holdings.get(acting.location)
    if own is not None and own.raw is not None and own.committed_at is not None:
        return Landed(own.raw.snapshot_id, own.committed_at)
    if landed is not None:
        return landed
    copies = [
        (held.epoch, held.committed_at, held.raw.snapshot_id)
        for held in holdings.values()
        if held.raw is not None and held.committed_at is not None
    ]
    if not copies:
        return None
    _, committed_at, snapshot = max(copies)
    return Landed(snapshot, committed_at)


def _serving(status: EndpointStatus, held: Holding) -> Serving:
    """A server that answers counts, also with a former version; a cold endpoint only with the package that is held."""
    if status.state is EndpointState.READY:
        return Serving.READY
    # Who answers while another version starts, takes over by steps, or was refused or rolled back.
    beside = status.state in (EndpointState.STARTING, EndpointState.ROLLING_OUT) or status.error == ModelRejected.__name__
    if status.version is not None and beside:
        return Serving.READY
    if status.state is EndpointState.COLD and held.model is not None and status.wanted_digest == held.model.snapshot_id:
        return Serving.COLD
    return Serving.NOTHING


def _missing_bytes(own: Manifest | None, newest: Manifest | None) -> int | None:
    if newest is None:
        return None
    held = {file.blob for file in own.files} if own else set()
    return sum({file.blob: file.size for file in newest.files if file.blob not in held}.values())


def _features_current(held: Holding) -> bool:
    if held.raw is None or held.features is None:
        return False
    return held.features.parents.get("raw_data") == held.raw.snapshot_id


def _content(features: Manifest) -> str:
    """What is the same wherever the features are: the digests of their rows, where the manifest keeps them."""
    digests = features.annotations.get(ANNOTATION)
    return features.snapshot_id if digests is None else sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


def _columns(features: Manifest) -> frozenset[str]:
    return frozenset(f"{table}.{name}" for table, columns in features.schema.items() for name in columns)


def _canary(evidence: Manifest) -> CanaryFacts:
    result = CanaryResult.from_annotations(evidence.annotations)
    age = (datetime.now(UTC) - datetime.fromisoformat(evidence.created_at)).total_seconds()
    return CanaryFacts(result.agreement, result.reason, max(0.0, age))


def _untrained(held: Holding) -> bool:
    """Whether features of the newest data are there, and the model was made of other data."""
    if held.raw is None or held.model is None:
        return False
    return _features_current(held) and held.model.parents.get("raw_data") != held.raw.snapshot_id
