"""`parity` of copies: every location holds what the acting location made. Compares snapshot ids; reads no data.

Except raw data that two locations landed under different versions of the contract: see `raw_versions.py`.

What is computed independently is compared in `feature_parity.py`, what answers in `endpoint_parity.py`.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg

from mcml_assets.asset_checks.partitioned import partitioned_check
from mcml_assets.asset_checks.raw_versions import RawVersions
from mcml_assets.asset_checks.survey import survey
from mcml_assets.asset_checks.verdict import CHECK, Verdict, unreadable, verdict_result
from mcml_assets.asset_checks.versions import versions_told
from mcml_assets.declaration import asset_key
from mcml_assets.domain.errors import McmlError
from mcml_assets.domain.parity import Holding, convene
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.domain.workload import Workload
from mcml_assets.failover.takeover import originals
from mcml_assets.partitions import by_location
from mcml_assets.resources.stores import CloudStores
from mcml_assets.snapshots.store import SnapshotStore


def build_raw_data_parity(workload: Workload) -> dg.AssetChecksDefinition:
    """`raw_data` is the snapshot that the acting location landed."""
    return _build_parity(workload, noun="raw_data", origin="landing", generation="number")


def build_model_parity(workload: Workload) -> dg.AssetChecksDefinition:
    """`model` is the package that the acting location trained."""
    return _build_parity(workload, noun="model", origin="training_run", generation="version")


def _build_parity(workload: Workload, noun: str, origin: str, generation: str) -> dg.AssetChecksDefinition:
    """`generation` is the annotation that tells one landing or training from the next."""

    @partitioned_check(
        asset_key(workload, noun),
        CHECK,
        f"The snapshot here is the one of `{origin}` at the acting location; of several, the majority names the odd one out.",
        by_location(workload),
    )
    def parity(context: dg.AssetCheckExecutionContext, stores: CloudStores) -> dg.AssetCheckResult:
        location = context.partition_key
        placement = workload.placement_of(location)
        try:
            acting = stores.acting(workload, placement.jurisdiction).location
            here = stores.snapshots(workload, location, noun).current()
        except McmlError as error:
            return unreadable(error)
        if here is None:
            return unreadable(f"{location} holds no {noun}")

        def open_at(key: str) -> SnapshotStore:
            at_acting = key == acting
            return originals(workload, key, origin, stores.snapshots) if at_acting else stores.snapshots(workload, key, noun)

        found = survey(placement, noun, open_at)
        held = {**found.manifests, location: here}
        holdings = [Holding(key, manifest.annotations[generation], manifest.snapshot_id) for key, manifest in held.items()]
        with TemporaryDirectory() as scratch:
            own = stores.snapshots(workload, location, noun)
            versions = RawVersions(held, lambda key: own if key == location else open_at(key), Path(scratch))
            try:
                quorum = convene(holdings, here.annotations[generation], versions.agree, found.abstained)
            except McmlError as error:
                return unreadable(error)
        told = versions_told(held) | ({"version_difference": versions.problem} if versions.problem is not None else {})
        return verdict_result(
            context,
            workload,
            noun,
            Verdict(
                location=location,
                snapshot=here.snapshot_id,
                quorum=quorum,
                contents={key: manifest.snapshot_id[:12] for key, manifest in held.items()},
                alone_is_enough=location == acting,
                remedy="The repair sensor has the odd one out copy anew, twice at most; where nobody is, a person has to say.",
                problem=_problem(location, noun, acting, origin, here, found.manifests.get(acting), generation),
                metadata=told,
            ),
        )

    return parity


def _problem(
    location: str, noun: str, acting: str, origin: str, here: Manifest, made: Manifest | None, generation: str
) -> str | None:
    """What is wrong here whatever the other copies are."""
    if made is None:
        return None
    own, newest = here.annotations[generation], made.annotations[generation]
    if own < newest:
        return f"{location} is behind: it holds {noun} of {generation} {own}, and {acting} has {origin} {newest}."
    if own == newest and here.snapshot_id != made.snapshot_id and location == acting:
        return (
            f"{location} holds {noun} {here.snapshot_id[:12]}, which is not the {origin} {made.snapshot_id[:12]} that it made."
        )
    return None
