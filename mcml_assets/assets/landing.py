"""`landing`: the next batch of the source, judged by the contract, committed at the acting location.

How rows are chosen is `sources/`'s business, how a snapshot is committed `snapshots/`'s.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import dagster as dg

from mcml_assets.asset_checks.contract import contract_check, contract_result, unjudged_result
from mcml_assets.asset_checks.contract_version import (
    contract_version,
    contract_version_check,
    contract_version_result,
)
from mcml_assets.assets.failures import typed_failures
from mcml_assets.assets.source import seen_source
from mcml_assets.automation import TAKEOVER_TAG, when_missing_or_on_cron
from mcml_assets.clouds.fault_plan import planned_fault
from mcml_assets.contracts.version import judged_by, landed_under, still_under
from mcml_assets.declaration import asset_key, code_version, column_schema, declared, moment_of, now, published
from mcml_assets.domain.acting import Acting
from mcml_assets.domain.contract import OnBreakingContract, breaks, version_key
from mcml_assets.domain.errors import ConfigurationError, ContractViolation
from mcml_assets.domain.faults import TAKE, FaultKind
from mcml_assets.domain.snapshot import CONTRACT, OLDER_CONTRACTS, Manifest, SnapshotFile
from mcml_assets.domain.workload import Source, Workload
from mcml_assets.failover.probing import shared_prober
from mcml_assets.failover.takeover import become_original
from mcml_assets.partitions import by_jurisdiction
from mcml_assets.resources.stores import CloudStores
from mcml_assets.snapshots.store import SnapshotStore

if TYPE_CHECKING:
    from mcml_assets.contracts.rules import RuleResult
    from mcml_assets.sources.parquet import Batch

DATA_VERSION_TAG = "dagster/data_version"


@dataclass(frozen=True, slots=True)
class Landing:
    """What one landing found: the former snapshot with its files, and the next batch of each source.

    `retaken`: all rows were taken again under a contract that breaks the former snapshot's, whose files are left behind.
    """

    former: Manifest | None
    landed: Mapping[str, Path]
    batches: Mapping[str, "Batch"]
    retaken: bool = False

    @property
    def empty(self) -> bool:
        return all(batch.exhausted for batch in self.batches.values())

    @property
    def number(self) -> int:
        return self.former.annotations["number"] + 1 if self.former else 0

    @property
    def kept(self) -> Manifest | None:
        """The former snapshot, as far as its rows go on."""
        return None if self.retaken else self.former

    def files(self) -> dict[str, Path | SnapshotFile]:
        """The files of the next snapshot: all former ones, with new ones added or put in their place."""
        files: dict[str, Path | SnapshotFile] = {file.path: file for file in self.kept.files} if self.kept else {}
        for batch in self.batches.values():
            files.update({file.path: file.local for file in batch.files})
        return files

    def rows(self) -> dict[str, int]:
        """Rows of each source in the next snapshot; a reference table's new content replaces the former."""
        former: Mapping[str, int] = self.kept.annotations["rows"] if self.kept else {}
        return {
            name: batch.rows + (former.get(name, 0) if batch.watermark is not None or not batch.files else 0)
            for name, batch in self.batches.items()
        }

    def watermarks(self) -> dict[str, str]:
        """The watermark of each incremental source."""
        return {name: batch.watermark for name, batch in self.batches.items() if batch.watermark is not None}


def build_landing(workload: Workload) -> dg.AssetsDefinition:
    """The `landing` asset of a workload, with its checks `contract` and `contract_version`."""
    check = contract_check(asset_key(workload, "landing"), by_jurisdiction(workload))
    version_check = contract_version_check(asset_key(workload, "landing"), by_jurisdiction(workload))

    @dg.asset(
        **declared(workload, "landing"),
        deps=[asset_key(workload, source.name) for source in workload.sources],
        partitions_def=by_jurisdiction(workload),
        automation_condition=when_missing_or_on_cron(workload.cron),
        kinds={"parquet", "pandera"},
        check_specs=[check, version_check],
        output_required=False,  # at the end of the data there is nothing new to publish
    )
    def landing(context: dg.AssetExecutionContext, stores: CloudStores) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        """The next batch of the source, validated and committed by the acting location.

        One partition per jurisdiction; rows of any other never enter. Guarantee: no line is taken twice and none is
        lost, lines that arrive late are counted; a batch that breaks the contract is not committed, and the former
        snapshot stays current.
        """
        jurisdiction = context.partition_key
        with typed_failures(stores, workload), TemporaryDirectory() as scratch:
            acting = stores.acting(workload, jurisdiction)
            snapshots = stores.snapshots(workload, acting.location, "landing")
            taken_over = become_original(workload, acting, "landing", stores.snapshots, shared_prober(stores.settings))
            # A takeover that is asked for twice, by two daemons or after a crash, must not take two batches.
            repeated = TAKEOVER_TAG in context.run.tags and taken_over is None and snapshots.current_pointer() is not None
            try:
                given = _given(workload, stores, acting.location, Path(scratch))
                late = planned_fault(stores.settings, FaultKind.SOURCE_LATE, TAKE, acting.location) is not None
                found = _look(given, jurisdiction, snapshots, Path(scratch), take=not repeated and not late)
                for source in workload.sources:
                    context.log_event(seen_source(workload, source))
                version, verdict = _judge(workload, found)
            except ContractViolation as error:
                # What cannot even be read breaks the contract, too: the check says so, and not only the run.
                yield unjudged_result(check, error)
                raise
            result = contract_result(check, version, verdict)
            readers = contract_version_result(version_check, workload, version, found.former)
            if broken := [rule for rule in verdict if rule.failures]:
                yield result
                raise ContractViolation(
                    f"the batch for {jurisdiction} breaks {len(broken)} rules of {workload.contract}; "
                    + "; ".join(f"{rule.table}.{rule.column or '*'}: {rule.rule} ({rule.failures})" for rule in broken[:5])
                )
            if found.empty and found.former is not None:
                context.log.info(
                    "%s: the source has nothing new; snapshot %s stays current", jurisdiction, found.former.snapshot_id[:12]
                )
                if _recorded(context) != found.former.snapshot_id:
                    note = {"note": "The source has nothing new."}
                    yield published(found.former, note | _takeover_metadata(context, taken_over))
                yield from (result, readers)
                return
            manifest = _commit(workload, jurisdiction, acting, snapshots, found)
        yield published(manifest, _batch_metadata(workload, found) | _takeover_metadata(context, taken_over))
        # After what they are about: Dagster ties a check's result to the newest materialization there is.
        yield from (result, readers)

    return landing


def _given(workload: Workload, stores: CloudStores, location: str, scratch: Path) -> Workload:
    """The workload with its sources as they are given just now: cut off in the middle while a bad batch is planned."""
    if planned_fault(stores.settings, FaultKind.BAD_BATCH, TAKE, location) is None:
        return workload
    from mcml_assets.sources.files import cut_off  # noqa: PLC0415 - pyarrow, only when data is read

    return replace(workload, sources=tuple(cut_off(source, scratch / "cut") for source in workload.sources))


def _look(workload: Workload, jurisdiction: str, snapshots: SnapshotStore, scratch: Path, *, take: bool) -> Landing:
    """What has landed, and the next batch of each source; with `take` False, as if there were none."""
    from mcml_assets.sources.parquet import Batch, next_batch  # noqa: PLC0415 - pyarrow and duckdb, only when data is read

    former = snapshots.current()
    watermarks: Mapping[str, str] = former.annotations["watermarks"] if former else {}
    number = former.annotations["number"] + 1 if former else 0
    if take and former is not None and version_key(contract_version(former)) > version_key(workload.contract_version):
        raise ConfigurationError(
            f"{workload.name}: what is current in {snapshots.location} landed under contract {contract_version(former)}, and "
            f"{workload.contract_version} is declared: deploy the newer version before anything lands here"
        )
    if take and former is not None and _starts_again(workload, former):
        again = {
            source.name: next_batch(
                source, jurisdiction, (), None, number, scratch / "batch", again_until=watermarks.get(source.name)
            )
            for source in workload.sources
        }
        return Landing(former, {}, again, retaken=True)
    landed = snapshots.fetch(former, scratch / "landed") if former else {}
    if not take:
        nothing = {source.name: Batch((), watermarks.get(source.name), 0, 0, 0, exhausted=True) for source in workload.sources}
        return Landing(former, landed, nothing)
    return Landing(
        former,
        landed,
        {
            source.name: next_batch(
                source,
                jurisdiction,
                _of_source(landed, source),
                watermarks.get(source.name),
                number,
                scratch / "batch",
            )
            for source in workload.sources
        },
    )


def _starts_again(workload: Workload, former: Manifest) -> bool:
    """Whether the contract broke since, and says that all rows are to be taken again."""
    retake = workload.on_breaking_contract is OnBreakingContract.RETAKE
    return retake and breaks(contract_version(former), workload.contract_version)


def _of_source(files: Mapping[str, Path], source: Source) -> Sequence[Path]:
    return [local for path, local in sorted(files.items()) if path.startswith(f"{source.name}/")]


def _judge(workload: Workload, found: Landing) -> "tuple[str, tuple[RuleResult, ...]]":
    """The contract about all that would be current, for a row may repeat one that landed long ago; each by its own version.

    With the version of the snapshot: the declared one, or the former snapshot's where that stays current.
    """
    from mcml_assets.contracts.of_versions import judge_versions  # noqa: PLC0415 - pandera, only when data is read

    files = {path: file if isinstance(file, Path) else found.landed[path] for path, file in found.files().items()}
    stays = found.former if found.empty else None
    schema = stays.schema if stays is not None else _schema(workload)
    version = contract_version(stays) if stays is not None else workload.contract_version
    older = {before: paths for before, paths in landed_under(stays).items() if before != version}
    older = older if stays is not None else _older(workload, found)
    present = files.keys() - {path for paths in older.values() for path in paths}

    def of_tables(paths: Collection[str]) -> dict[str, list[Path]]:
        return {name: [files[path] for path in sorted(paths) if path.startswith(f"{name}/")] for name in schema}

    parts = [(judged_by(workload, before, schema), of_tables(paths)) for before, paths in older.items()]
    watermark = min(found.watermarks().values(), default=None)
    judged = judge_versions([*parts, (judged_by(workload, version, schema), of_tables(present))], moment_of(watermark))
    return version, judged


def _older(workload: Workload, found: Landing) -> dict[str, list[str]]:
    """The files of the next snapshot that older versions of the contract judge, as they landed under those."""
    taken = {file.path for batch in found.batches.values() for file in batch.files}
    return still_under(workload, found.kept, found.files().keys() - taken)


def _schema(workload: Workload) -> dict[str, Mapping[str, str]]:
    return {source.name: source.columns for source in workload.sources}


def _commit(workload: Workload, jurisdiction: str, acting: Acting, snapshots: SnapshotStore, found: Landing) -> Manifest:
    watermarks = found.watermarks()
    return snapshots.commit(
        found.files(),
        tables_schema=_schema(workload),
        row_count=sum(found.rows().values()),
        watermark=min(watermarks.values(), default=None),
        parents={},
        code_version=code_version(workload),
        epoch=acting.epoch,
        producer=acting.location,
        created_at=now(),
        annotations={
            "number": found.number,
            "rows": found.rows(),
            "watermarks": watermarks,
            "jurisdiction": jurisdiction,
            CONTRACT: workload.contract_version,
            **({OLDER_CONTRACTS: older} if (older := _older(workload, found)) else {}),
        },
    ).manifest


def _batch_metadata(workload: Workload, found: Landing) -> dict[str, Any]:
    return {
        "batch": found.number,
        "new_rows": sum(batch.rows for batch in found.batches.values()),
        "late_rows": sum(batch.late_rows for batch in found.batches.values()),
        "withdrawn_rows": sum(batch.withdrawn_rows for batch in found.batches.values()),
        "dagster/column_schema": column_schema(workload.sources[0].columns),
    }


def _takeover_metadata(context: dg.AssetExecutionContext, taken_over: Manifest | None) -> dict[str, Any]:
    """What a new acting location went on from, and which snapshot of the former one it never got."""
    if taken_over is None:
        return {}
    said = {"taken_over_snapshot": taken_over.snapshot_id[:12], "taken_over_up_to": taken_over.watermark or "unknown"}
    recorded = _recorded(context)
    if recorded is None or recorded == taken_over.snapshot_id:
        return said
    context.log.warning(
        "snapshot %s, which the former acting location landed, had not been replicated: what is in it beyond %s is taken "
        "from the source again, and what the source no longer has is lost",
        recorded[:12], taken_over.watermark,
    )  # fmt: skip
    return {**said, "left_behind_snapshot": recorded[:12]}


def _recorded(context: dg.AssetExecutionContext) -> str | None:
    """The snapshot that Dagster knows as the partition's latest."""
    tags = context.instance.event_log_storage.get_latest_tags_by_partition(
        context.asset_key,
        dg.DagsterEventType.ASSET_MATERIALIZATION,
        tag_keys=[DATA_VERSION_TAG],
        asset_partitions=[context.partition_key],
    )
    return tags.get(context.partition_key, {}).get(DATA_VERSION_TAG)
