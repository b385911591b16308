"""Filling a fresh Dagster instance from what the buckets hold, so that a platform whose instance was lost goes on from there.

Only what can be seen is reported: snapshots by their pointers and manifests, endpoints and routes by the data plane, and
the checks that a commit itself is the proof of, or that comparing snapshot ids decides. `integrity` is reported where the
stored bytes are read; otherwise its result stays missing until the next run or scrub, and nothing is called sound.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from mcml_assets.asset_checks.evaluation import evaluation
from mcml_assets.declaration import DATA_VERSION_TAG, asset_key, snapshot_metadata
from mcml_assets.domain.acting import Acting
from mcml_assets.domain.errors import ConfigurationError, McmlError
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.domain.workload import Placement, Workload
from mcml_assets.failover.control import Control
from mcml_assets.failover.takeover import originals
from mcml_assets.serving.folder import DataPlaneFolder
from mcml_assets.serving.manifest import endpoint_name
from mcml_assets.serving.routes import read_route
from mcml_assets.snapshots.store import SnapshotStore

BY_LOCATION = ("raw_data", "feature_snapshot", "model")
ORIGINAL_OF = {"raw_data": "landing", "model": "training_run"}
PROVED_BY_COMMIT = {"landing": "contract", "training_run": "quality"}
"""What is committed only after this check of it passed."""

Event = dg.AssetMaterialization | dg.AssetCheckEvaluation


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """How many events were reported, and what could not be read."""

    materializations: int
    check_results: int
    problems: tuple[str, ...]


def rebuild(control: Control, workloads: Sequence[Workload], dagster_home: Path, *, verify: bool) -> Rebuilt:
    """Report everything that is there to the instance of `dagster_home`; `verify` reads all stored bytes.

    Raises `ConfigurationError` for an instance that has a history: events would come twice, and out of order.
    """
    problems: list[str] = []
    counts = {dg.AssetMaterialization: 0, dg.AssetCheckEvaluation: 0}
    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        known = [key for workload in workloads for key in _keys(workload) if instance.get_materialized_partitions(key)]
        if known:
            raise ConfigurationError(
                f"the instance in {dagster_home} knows {known[0].to_user_string()} already; rebuild fills a fresh one: "
                "move that folder away first"
            )
        for workload in workloads:
            for placement in workload.placements:
                for event in _events(control, workload, placement, problems, verify=verify):
                    instance.report_runless_asset_event(_tied(instance, event))
                    counts[type(event)] += 1
    return Rebuilt(counts[dg.AssetMaterialization], counts[dg.AssetCheckEvaluation], tuple(problems))


def _keys(workload: Workload) -> list[dg.AssetKey]:
    nouns = ("landing", *BY_LOCATION, "training_run", "endpoint", "traffic_route")
    return [asset_key(workload, noun) for noun in nouns]


def _events(
    control: Control, workload: Workload, placement: Placement, problems: list[str], *, verify: bool
) -> Iterator[Event]:
    """Upstream first: what is reported later must not look older than what it was made of."""
    jurisdiction = placement.jurisdiction
    try:
        acting = control.register.read(workload, jurisdiction)
    except McmlError as error:
        problems.append(f"{workload.name} in {jurisdiction}: {error}")
        return
    locations = [placed.key for placed in placement.locations]
    yield from _original(control, workload, jurisdiction, acting, "landing", problems)
    for noun in ("raw_data", "feature_snapshot"):
        for location in locations:
            yield from _held(control, workload, location, acting, noun, problems, verify=verify)
    yield from _original(control, workload, jurisdiction, acting, "training_run", problems)
    for location in locations:
        yield from _held(control, workload, location, acting, "model", problems, verify=verify)
    for location in locations:
        status = control.platform.status(endpoint_name(workload.name, location))
        if status.healthy and status.wanted_digest is not None:
            yield _materialized(workload, "endpoint", location, status.wanted_digest, {"state": status.state.value})
    route = read_route(DataPlaneFolder.of(control.settings), workload.name, jurisdiction)
    if route is not None:
        metadata = {"epoch": route.epoch, "acting_location": route.locations[0], "model_version": route.version}
        yield _materialized(workload, "traffic_route", jurisdiction, None, metadata)


def _original(
    control: Control, workload: Workload, jurisdiction: str, acting: Acting, noun: str, problems: list[str]
) -> Iterator[Event]:
    store = _opened(lambda: originals(workload, acting.location, noun, control.open_snapshots), problems)
    manifest = _current(store, problems)
    if manifest is None:
        return
    yield _snapshot(workload, noun, jurisdiction, manifest)
    yield _checked(workload, noun, PROVED_BY_COMMIT[noun], jurisdiction, True, "it was committed, and so had passed")


def _held(
    control: Control,
    workload: Workload,
    location: str,
    acting: Acting,
    noun: str,
    problems: list[str],
    *,
    verify: bool,
) -> Iterator[Event]:
    store = _opened(lambda: control.open_snapshots(workload, location, noun), problems)
    manifest = _current(store, problems)
    if manifest is None or store is None:
        return
    yield _snapshot(workload, noun, location, manifest)
    if noun in ORIGINAL_OF:
        original = _opened(lambda: originals(workload, acting.location, ORIGINAL_OF[noun], control.open_snapshots), problems)
        there = _current(original, problems)
        if there is not None:
            same = there.snapshot_id == manifest.snapshot_id
            yield _checked(workload, noun, "parity", location, same, f"{acting.location} has {there.snapshot_id[:12]}")
    if verify:
        wrong = store.verify(manifest)
        yield _checked(workload, noun, "integrity", location, not wrong, f"{len(wrong)} corrupt files")


def _opened(opener: Callable[[], SnapshotStore], problems: list[str]) -> SnapshotStore | None:
    try:
        return opener()
    except McmlError as error:
        problems.append(str(error))
        return None


def _current(store: SnapshotStore | None, problems: list[str]) -> Manifest | None:
    try:
        return store.current() if store is not None else None
    except McmlError as error:
        problems.append(str(error))
        return None


def _snapshot(workload: Workload, noun: str, partition: str, manifest: Manifest) -> dg.AssetMaterialization:
    return _materialized(workload, noun, partition, manifest.snapshot_id, snapshot_metadata(manifest))


def _materialized(
    workload: Workload, noun: str, partition: str, version: str | None, metadata: Mapping[str, Any]
) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(
        asset_key(workload, noun),
        partition=partition,
        description="Found by mcml rebuild; the run that made it is no longer known.",
        metadata={**metadata, "rebuilt": True},
        tags={DATA_VERSION_TAG: version} if version is not None else None,
    )


def _tied(instance: dg.DagsterInstance, event: Event) -> Event:
    """A result about what was reported just before it."""
    if isinstance(event, dg.AssetMaterialization) or event.partition is None:
        return event
    return evaluation(instance, event.asset_check_key, event.partition, passed=event.passed, metadata=event.metadata)


def _checked(workload: Workload, noun: str, check: str, partition: str, passed: bool, why: str) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=asset_key(workload, noun), check_name=check, passed=passed, partition=partition,
        metadata={"rebuilt": True, "why": why},
    )  # fmt: skip
