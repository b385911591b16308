"""Jobs that care for what is stored, over all workloads and locations; when they run is in `schedules.py`.

One location that does not answer keeps no other from its turn. Which files are read or removed is decided in
`snapshots/scrub.py` and `snapshots/retention.py`; the workloads are read when a job runs, not when it is loaded.
"""

from collections.abc import Generator, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from mcml_assets.asset_checks.evaluation import evaluation
from mcml_assets.asset_checks.integrity import integrity_report
from mcml_assets.asset_checks.readiness import CHECK as READINESS_CHECK
from mcml_assets.asset_checks.readiness import readiness_of, readiness_result
from mcml_assets.asset_checks.replication_lag import CHECK as LAG_CHECK
from mcml_assets.asset_checks.replication_lag import ORIGINS, lag_result
from mcml_assets.configuration.settings import DEFS
from mcml_assets.declaration import asset_key
from mcml_assets.domain.errors import CorruptSnapshot, McmlError
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.domain.workload import Workload
from mcml_assets.resources.endpoints import Endpoints
from mcml_assets.resources.stores import CloudStores

if TYPE_CHECKING:
    from mcml_assets.snapshots.retention import Collected
    from mcml_assets.snapshots.scrub import ScrubReport

CHECK = "integrity"
CHECKED = ("raw_data", "feature_snapshot", "model")


@dg.op(out={}, description="Reads a share of what every location stores, and reports `integrity` of every asset there.")
def scrub_locations(context: dg.OpExecutionContext, stores: CloudStores) -> Iterator[dg.AssetCheckEvaluation]:
    """Fails, after all locations had their turn, when a file is corrupt that no current snapshot names.

    The results belong to the run: of runless ones Dagster keeps one per check and partition, and refuses the second.
    """
    stray: list[str] = []
    for workload, location in _placed(stores):
        stray += yield from scrub_location(context, stores, workload, location)
    if stray:
        raise dg.Failure("files of former snapshots are corrupt:\n" + "\n".join(stray), allow_retries=False)


@dg.op(description="Removes, in every location, snapshots past their retention and files that nothing needs.")
def collect_locations(context: dg.OpExecutionContext, stores: CloudStores, endpoints: Endpoints) -> None:
    """Fails, after all locations had their turn, when one could not be collected; the next day's run tries again."""
    problems: list[str] = []
    for workload, location in _placed(stores):
        try:
            done = _collect(stores, endpoints, workload, location)
        except McmlError as error:
            problems.append(f"{workload.name} in {location}: {type(error).__name__}: {error}")
            continue
        context.log.info(
            "%s in %s: removed %d snapshots, %d files (%d bytes) and %d uploads that never ended; %d snapshots and %d files "
            "(%d bytes) stay",
            workload.name, location, done.removed_snapshots, done.removed_blobs, done.removed_bytes, done.discarded_uploads,
            done.kept_snapshots, done.kept_blobs, done.kept_bytes,
        )  # fmt: skip
    if problems:
        raise dg.Failure("nothing was removed where it was not safe:\n" + "\n".join(problems), allow_retries=False)


@dg.op(out={}, description="Tells for how long each location has lacked the newest snapshots, and reports `replication_lag`.")
def measure_lags(context: dg.OpExecutionContext, stores: CloudStores) -> Iterator[dg.AssetCheckEvaluation]:
    """Of every location that published once: one that never did is missing, and does not lag.

    Without this a location that is never reached again would keep the result of its last copy, which was in time.
    """
    for workload, location in _placed(stores):
        for noun in ORIGINS:
            key = asset_key(workload, noun)
            if location not in context.instance.get_materialized_partitions(key):
                continue
            found = lag_result(workload, stores, location, noun)
            context.log.info("%s/%s in %s: %s", workload.name, noun, location, found.description)
            yield evaluation(
                context.instance, dg.AssetCheckKey(key, LAG_CHECK), location, passed=found.passed, severity=found.severity,
                description=found.description, metadata=found.metadata,
            )  # fmt: skip


@dg.op(out={}, description="Tells whether each location could take the work over now, and reports `readiness`.")
def judge_readiness(
    context: dg.OpExecutionContext, stores: CloudStores, endpoints: Endpoints
) -> Iterator[dg.AssetCheckEvaluation]:
    """Of every location whose endpoint was published once. Without this a standby would keep its last run's result."""
    from mcml_assets.configuration.workload import load_workloads  # noqa: PLC0415 - only when a job runs

    workloads, _ = load_workloads(DEFS, stores.topology)
    for workload in workloads:
        key = asset_key(workload, "endpoint")
        known = context.instance.get_materialized_partitions(key)
        found = readiness_of(workload, stores, endpoints)
        for one in found:
            if one.location not in known:
                continue
            result = readiness_result(one, found)
            context.log.info("%s in %s: %s", workload.name, one.location, one.sentence)
            yield evaluation(
                context.instance, dg.AssetCheckKey(key, READINESS_CHECK), one.location, passed=result.passed,
                severity=result.severity, description=result.description, metadata=result.metadata,
            )  # fmt: skip


@dg.job(description="Compares stored bytes with their digests, so that decay is found before a copy is needed.")
def integrity_scrub() -> None:
    """One op over all locations: its cost is reading, and a run for each would cost more than that."""
    scrub_locations()


@dg.job(description="Applies every workload's retention, and removes what crashed writers left.")
def collection() -> None:
    """One op over all locations."""
    collect_locations()


@dg.job(description="Measures every location's replication lag against the workload's RPO, and its readiness to take over.")
def replication_lag() -> None:
    """Two ops over all locations: they read pointers and manifests only."""
    measure_lags()
    judge_readiness()


def scrub_location(
    context: dg.OpExecutionContext, stores: CloudStores, workload: Workload, location: str
) -> Generator[dg.AssetCheckEvaluation, None, list[str]]:
    """Scrub one workload in one location, yield its checks, and return what is corrupt but in no current snapshot."""
    from mcml_assets.snapshots.scrub import scrub  # noqa: PLC0415 - only when the job runs

    manifests: dict[str, Manifest] = {}
    try:
        for noun in CHECKED:
            try:
                manifest = stores.snapshots(workload, location, noun).current()
            except CorruptSnapshot as error:
                yield _result(context, workload, noun, location, passed=False, metadata={"problem": str(error)})
                continue
            if manifest is not None:
                manifests[noun] = manifest
        others = [placed.key for placed in workload.placement_of(location).locations if placed.key != location]
        report = scrub(
            stores.bucket(location), workload.name, list(manifests.values()), [stores.bucket(key) for key in others],
            days=stores.settings.scrub_days,
        )  # fmt: skip
    except McmlError as error:
        # What cannot be read is not sound, whatever the reason.
        for noun in CHECKED:
            metadata = {"problem": str(error), "error": type(error).__name__}
            yield _result(context, workload, noun, location, passed=False, metadata=metadata)
        return []
    for noun, manifest in manifests.items():
        yield _judge(context, stores, workload, noun, location, manifest, report)
    named = frozenset().union(*(manifest.needs for manifest in manifests.values()))
    return [f"{workload.name} in {location}: {finding}" for finding in report.findings if finding.digest not in named]


def _judge(
    context: dg.OpExecutionContext,
    stores: CloudStores,
    workload: Workload,
    noun: str,
    location: str,
    manifest: Manifest,
    report: "ScrubReport",
) -> dg.AssetCheckEvaluation:
    findings = [str(finding) for finding in report.findings if finding.digest in manifest.needs]
    read_whole = False
    if not findings and not _passed_last(context, workload, noun, location):
        # A sample that is sound does not clear what failed: only all of it does.
        read_whole = True
        try:
            findings = [str(mismatch) for mismatch in stores.snapshots(workload, location, noun).verify(manifest)]
        except McmlError as error:
            findings = [str(error)]
    metadata = {
        "snapshot": manifest.snapshot_id[:12],
        "corrupt_files": len(findings),
        "read_whole": read_whole,
        "scrubbed_files": report.blobs,
        "scrubbed_bytes": report.bytes,
        "scrubbed_share": report.shelves / 256,
        "oldest_reading": report.oldest.isoformat(timespec="seconds"),
        "report": integrity_report(noun, location, findings),
    }
    return _result(context, workload, noun, location, passed=not findings, metadata=metadata)


def _passed_last(context: dg.OpExecutionContext, workload: Workload, noun: str, location: str) -> bool:
    key = dg.AssetCheckKey(asset_key(workload, noun), CHECK)
    infos = context.instance.event_log_storage.get_asset_check_partition_info([key], partition_keys=[location])
    statuses = {info.partition_key: info.latest_execution_status for info in infos}
    status = statuses.get(location)
    return status is not None and status.value == "SUCCEEDED"


def _result(
    context: dg.OpExecutionContext, workload: Workload, noun: str, location: str, *, passed: bool, metadata: dict[str, Any]
) -> dg.AssetCheckEvaluation:
    level, word = ("INFO", "passed") if passed else ("ERROR", "failed")
    context.log.log(level, f"{workload.name}/{noun} in {location}: {CHECK} {word}")
    key = dg.AssetCheckKey(asset_key(workload, noun), CHECK)
    return evaluation(context.instance, key, location, passed=passed, metadata=metadata)


def _collect(stores: CloudStores, endpoints: Endpoints, workload: Workload, location: str) -> "Collected":
    from mcml_assets.snapshots.retention import collect  # noqa: PLC0415 - only when the job runs

    return collect(
        stores.bucket(location),
        workload.name,
        workload.retention,
        needed=endpoints.kept_packages(workload, location),
        grace=timedelta(hours=stores.settings.collection_grace_hours),
    )


def _placed(stores: CloudStores) -> Iterator[tuple[Workload, str]]:
    from mcml_assets.configuration.workload import load_workloads  # noqa: PLC0415 - only when a job runs

    # A workload that cannot be read shows as such in the UI; its files are left alone.
    workloads, _ = load_workloads(DEFS, stores.topology)
    for workload in workloads:
        for placed in workload.locations:
            yield workload, placed.key
