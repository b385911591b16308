"""The catalogue of defects: each is planted in one location of a real workload, and says which checks find it there.

`test_defects.py` plants them all and runs the real checks; `defects_page.py` shows the table. A new check joins by its
name in `CHECKS`, a new defect by a line in `DEFECTS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from mcml_assets.assets.feature_work import feast_repository
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.features.digests import ANNOTATION, annotation, view_digests
from mcml_assets.features.repositories import FeastRepository, current_repository, repositories_folder, switch
from mcml_assets_tests.assets.conftest import Bench

SPOILT = "gcp/europe-west1"
SOUND = ("azure/westeurope", "aws/eu-central-1")
CHECKS: Mapping[str, tuple[str, ...]] = {
    "raw_data": ("integrity", "parity", "replication_lag"),
    "feature_snapshot": ("integrity", "parity", "online_parity", "replication_lag"),
    "model": ("integrity", "parity", "replication_lag"),
}
"""The checks that are run on every defect, in every location."""


@dataclass(frozen=True, slots=True)
class Defect:
    """What is spoilt, in which asset, and which of its checks fail there; every other check passes, everywhere."""

    name: str
    asset: str
    found_by: frozenset[str]
    plant: Callable[[Bench], None]
    note: str = ""


def features(name: str, spoil: Callable[[pa.Table], pa.Table], *, admits: bool = True, note: str = "") -> Defect:
    """Features that this location computed otherwise, committed and published as its pipeline would have."""

    def plant(bench: Bench) -> None:
        manifest = recommit(bench, "feature_snapshot", spoil, admits=admits)
        feast_repository(bench.workload, bench.stores, SPOILT, manifest)

    return Defect(name, "feature_snapshot", frozenset({"parity"}), plant, note)


def raw_data(name: str, spoil: Callable[[pa.Table], pa.Table]) -> Defect:
    """Raw data that is not what was landed, with a manifest of its own that fits it."""
    return Defect(name, "raw_data", frozenset({"parity"}), lambda bench: recommit(bench, "raw_data", spoil) and None)


def recommit(bench: Bench, noun: str, spoil: Callable[[pa.Table], pa.Table], *, admits: bool = True) -> Manifest:
    """Commit the spoilt location's snapshot anew with its last file changed; unless it `admits`, with the former digests."""
    snapshots = bench.stores.snapshots(bench.workload, SPOILT, noun)
    manifest = current(bench, noun)
    with TemporaryDirectory() as scratch:
        files = snapshots.fetch(manifest, Path(scratch))
        last = files[max(files)]
        table = spoil(parquet.read_table(last))
        parquet.write_table(table, last)
        annotations = dict(manifest.annotations)
        if noun == "feature_snapshot" and admits:
            annotations[ANNOTATION] = annotation(view_digests(bench.workload, files))
        return snapshots.commit(
            files,
            tables_schema=manifest.schema,
            row_count=manifest.row_count,
            watermark=manifest.watermark,
            parents=manifest.parents,
            code_version=manifest.code_version,
            epoch=manifest.epoch,
            producer=manifest.producer,
            created_at=manifest.created_at,
            annotations=annotations,
        ).manifest


def current(bench: Bench, noun: str) -> Manifest:
    manifest = bench.stores.snapshots(bench.workload, SPOILT, noun).current()
    assert manifest is not None
    return manifest


def flip_a_byte(noun: str) -> Callable[[Bench], None]:
    """Flip one bit of the largest file that no other asset's snapshot shares."""

    def plant(bench: Bench) -> None:
        file = max(current(bench, noun).files, key=lambda file: file.size)
        bucket = bench.settings.clouds_folder / "gcp" / bench.stores.topology.location(SPOILT).bucket
        (blob,) = (bucket / bench.workload.name / "blobs").rglob(file.digest)
        content = bytearray(blob.read_bytes())
        content[len(content) // 2] ^= 1
        blob.chmod(0o644)
        blob.write_bytes(content)

    return plant


def go_back(noun: str) -> Callable[[Bench], None]:
    """Have `current` name the snapshot before the newest, as a restored backup would."""

    def plant(bench: Bench) -> None:
        snapshots = bench.stores.snapshots(bench.workload, SPOILT, noun)
        version = snapshots.pointer.read()
        assert version is not None
        assert version.pointer.previous is not None
        snapshots.pointer.move(version.pointer.previous, version.pointer.epoch, version)

    return plant


def serve_former_features(bench: Bench) -> None:
    """Have the online store be the one before the newest, which every location keeps."""
    folder = repositories_folder(bench.settings, SPOILT, bench.workload.name)
    newest = current_repository(folder)
    former = bench.stores.snapshots(bench.workload, SPOILT, "feature_snapshot").current_pointer()
    assert former is not None
    assert former.previous is not None
    switch(folder, replace(newest, folder=folder / former.previous[:16], snapshot_id=former.previous))


def spoil_the_online_store(bench: Bench) -> None:
    """Build the online store from features that are not the snapshot's."""
    manifest = current(bench, "feature_snapshot")
    with TemporaryDirectory() as scratch:
        files = bench.stores.snapshots(bench.workload, SPOILT, "feature_snapshot").fetch(manifest, Path(scratch))
        last = files[max(files)]
        parquet.write_table(changed(parquet.read_table(last), "frequency", lambda values: values.to_numpy() + 1), last)
        repository = current_repository(repositories_folder(bench.settings, SPOILT, bench.workload.name))
        rebuild(bench, repository, files, manifest)


def rebuild(bench: Bench, repository: FeastRepository, files: Mapping[str, Path], manifest: Manifest) -> None:
    import shutil

    from mcml_assets.domain.snapshot import snapshot_watermark
    from mcml_assets.features.feast_store import publish

    shutil.rmtree(repository.folder)
    publish(bench.workload, SPOILT, manifest.snapshot_id, files, snapshot_watermark(manifest), bench.settings)


def changed(table: pa.Table, column: str, change: Callable[[pa.ChunkedArray], Any]) -> pa.Table:
    field = table.schema.field(column)
    return table.set_column(table.column_names.index(column), field, pa.array(change(table[column]), field.type))


def last_digit(values: pa.ChunkedArray) -> np.ndarray:
    numbers = values.to_numpy().copy()
    numbers[7] = np.nextafter(numbers[7], np.inf)
    return numbers


def swapped(table: pa.Table) -> pa.Table:
    names = ["basket_size" if name == "recency_days" else "recency_days" if name == "basket_size" else name
             for name in table.column_names]  # fmt: skip
    return table.rename_columns(names).select(table.column_names)


def in_another_zone(column: str) -> Callable[[pa.Table], pa.Table]:
    return lambda table: changed(table, column, lambda values: [time - timedelta(hours=1) for time in values.to_pylist()])


def renamed(table: pa.Table) -> pa.Table:
    return changed(table, "Country", lambda values: [value.replace("EIRE", "Ireland") for value in values.to_pylist()])


def a_hair_more(table: pa.Table) -> pa.Table:
    return changed(table, "monetary_value", lambda values: values.to_numpy() * (1 + 1e-11))


def without_a_row(table: pa.Table) -> pa.Table:
    return pa.concat_tables([table.slice(0, 5), table.slice(6)])


def with_a_row_twice(table: pa.Table) -> pa.Table:
    return pa.concat_tables([table, table.slice(5, 1)])


DEFECTS: tuple[Defect, ...] = (
    features("a row lost", without_a_row),
    features("a row doubled", with_a_row_twice),
    features("a value changed in the last digit", lambda table: changed(table, "recency_days", last_digit)),
    features("two columns swapped", swapped),
    features("a time zone shifted", in_another_zone("event_timestamp")),
    features("every sum changed by 1e-11 of itself", a_hair_more, note="More than the declared tolerance of 1e-12."),
    features(
        "a row lost, and a manifest that denies it",
        without_a_row,
        admits=False,
        note="Where ids differ, each location computes its own digests again.",
    ),
    raw_data("a row lost", without_a_row),
    raw_data("a row doubled", with_a_row_twice),
    raw_data("a time zone shifted", in_another_zone("InvoiceDate")),
    raw_data("a category renamed", renamed),
    Defect("one byte flipped", "raw_data", frozenset({"integrity"}), flip_a_byte("raw_data")),
    Defect(
        "one byte flipped",
        "feature_snapshot",
        frozenset({"integrity", "online_parity"}),
        flip_a_byte("feature_snapshot"),
        "The offline side of `online_parity` cannot be read.",
    ),
    Defect("one byte flipped", "model", frozenset({"integrity"}), flip_a_byte("model")),
    Defect("a stale snapshot served", "raw_data", frozenset({"parity"}), go_back("raw_data")),
    Defect(
        "a stale snapshot served",
        "feature_snapshot",
        frozenset({"parity", "online_parity"}),
        go_back("feature_snapshot"),
        "The online store was built from the newest.",
    ),
    Defect("a stale online store", "feature_snapshot", frozenset({"online_parity"}), serve_former_features),
    Defect("an online store of other values", "feature_snapshot", frozenset({"online_parity"}), spoil_the_online_store),
    Defect("a model of yesterday", "model", frozenset({"parity"}), go_back("model")),
)
OWN: tuple[tuple[str, str, str, str, str], ...] = (
    (
        "contract_version",
        "landing",
        "a contract without an exported version",
        "mcml_assets_tests.assets.test_contract_versions",
        "test_a_contract_without_an_exported_version_is_told",
    ),
    (
        "contract",
        "landing",
        "lines that break a rule",
        "mcml_assets_tests.assets.test_contract",
        "test_a_broken_rule_shows_rows_but_no_customer",
    ),
    (
        "drift",
        "feature_snapshot, endpoint",
        "pounds that became pence",
        "mcml_assets_tests.assets.test_drift",
        "test_a_change_of_units_is_found_and_holds_nothing_back",
    ),
    (
        "parity",
        "endpoint",
        "golden predictions off by 1e-6 in one server",
        "mcml_assets_tests.asset_checks.test_endpoint_parity",
        "test_a_server_that_answers_otherwise_is_the_odd_one_out",
    ),
    (
        "parity",
        "endpoint",
        "a model of yesterday that answers",
        "mcml_assets_tests.asset_checks.test_endpoint_parity",
        "test_a_model_of_yesterday_is_told_by_its_package_and_no_vote_absolves_it",
    ),
    (
        "quality",
        "training_run",
        "a candidate worse than the model now served",
        "mcml_assets_tests.assets.test_chain",
        "test_a_candidate_worse_than_what_is_served_is_refused",
    ),
    (
        "evidence",
        "endpoint",
        "an upstream check that failed, never ran, or was about another snapshot",
        "mcml_assets_tests.asset_checks.test_evidence",
        "test_evidence_is_complete_or_says_what_is_missing",
    ),
    (
        "replication_lag",
        "raw_data",
        "a standby two hours behind, and an acting location that nobody can ask",
        "mcml_assets_tests.asset_checks.test_parity",
        "test_lag_warns_past_the_rpo_and_when_it_is_unknown",
    ),
)
"""Defects that are planted in tests of their own: check, asset, what is planted, the test's module and name."""
