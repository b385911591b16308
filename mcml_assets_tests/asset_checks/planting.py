"""How the defects of the catalogue are planted: each spoils what one location of a real workload holds, serves or runs.

Which checks find which is `defects.py`'s business.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from mcml_assets.assets.feature_work import feast_repository
from mcml_assets.domain.snapshot import Manifest, snapshot_watermark
from mcml_assets.features.digests import ANNOTATION, annotation, view_digests
from mcml_assets.features.feast_store import publish
from mcml_assets.features.repositories import FeastRepository, current_repository, repositories_folder, switch
from mcml_assets_tests.asset_checks.conftest import Served
from mcml_assets_tests.assets.conftest import Bench

SPOILT = "gcp/europe-west1"
ACTING = "azure/westeurope"


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


def republish(spoil: Callable[[pa.Table], pa.Table], *, admits: bool = True) -> Callable[[Bench], None]:
    """Commit spoilt features and load the online store with them, as this location's pipeline would have."""

    def plant(bench: Bench) -> None:
        feast_repository(bench.workload, bench.stores, SPOILT, recommit(bench, "feature_snapshot", spoil, admits=admits))

    return plant


def two_hours_behind(noun: str, origin: str) -> Callable[[Bench], None]:
    """Have this location lack what the acting one committed two hours ago, twice the recovery point objective."""

    def plant(bench: Bench) -> None:
        go_back(noun)(bench)
        version = bench.stores.snapshots(bench.workload, ACTING, origin).pointer.read()
        assert version is not None
        since = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
        earlier = replace(version.pointer, committed_at=since).to_json()
        bench.stores.bucket(ACTING).put_if_match(f"{bench.workload.name}/{origin}/current.json", earlier, version.etag)

    return plant


def in_pence(table: pa.Table) -> pa.Table:
    for column in ("monetary_value", "spend_30d"):
        table = changed(table, column, lambda values: values.to_numpy() * 100)
    return table


def with_first(column: str, value: object) -> Callable[[pa.Table], pa.Table]:
    """The first cell of a column holds this value."""
    return lambda table: changed(table, column, lambda values: [value, *values.to_pylist()[1:]])


def spoil_the_source(bench: Bench) -> None:
    """Have every line of the source say that nothing was sold."""
    (source,) = bench.workload.sources
    table = parquet.read_table(source.path)
    parquet.write_table(changed(table, "Quantity", lambda values: np.zeros(len(values), int)), source.path)


def forget_the_versions(bench: Bench) -> None:
    """Take away what tells readers which contract they read."""
    shutil.rmtree(bench.workload.directory / "contracts")


def learn_nothing(bench: Bench) -> None:
    """Have training see no feature, as a broken join would."""
    train = bench.workload.directory / "train.py"
    blind = "    x = x.fillna(0) * 0\n    with threadpool_limits"
    train.write_text(train.read_text().replace("    with threadpool_limits", blind))


def answer_a_hair_off(bench: Served) -> None:
    """One prediction of this location's server is off by a millionth."""
    bench.servers.spoilt[SPOILT] = lambda predictions: [predictions[0] + 1e-6, *predictions[1:]]


def answer_as_yesterday(bench: Served) -> None:
    """This location's server goes on with the package before the one that is held."""
    snapshots = bench.stores.snapshots(bench.workload, SPOILT, "model")
    pointer = snapshots.current_pointer()
    assert pointer is not None
    assert pointer.previous is not None
    bench.answer_from(SPOILT, snapshots.manifest(pointer.previous))
