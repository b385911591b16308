"""A location's Feast repositories: built new for each feature snapshot, then switched to atomically, and asked for history.
Imports pandas and pyarrow: import it inside functions.

A repository is a self-contained folder (`feature_store.yaml`, registry, online store, data), so Feast's own tools work in
it too. Reading single entities for predictions is `online.py`'s business.
"""

import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.workload import FeatureView, Workload
from mcml_assets.features.feast_import import import_feast
from mcml_assets.features.frames import EVENT_TIMESTAMP
from mcml_assets.features.key_order import after_their_keys
from mcml_assets.features.repositories import (
    FeastRepository,
    is_complete,
    mark_complete,
    only_publisher,
    remove_old,
    repositories_folder,
    switch,
)
from mcml_assets.features.stored_rows import stored_rows

if TYPE_CHECKING:
    import feast

ROW = "mcml_row"
_JOINING = Lock()  # the duckdb connection behind Feast belongs to the whole process
# Feast resolves these paths against the repository's folder. A registry is never changed once it is published: no refresh.
FEATURE_STORE_YAML = """\
project: {project}
provider: local
registry: {{registry_type: file, path: registry.db, cache_ttl_seconds: 0}}
online_store: {{type: sqlite, path: online.db}}
offline_store: {{type: duckdb}}
entity_key_serialization_version: 3
"""


def publish(
    workload: Workload,
    location_key: str,
    manifest_snapshot_id: str,
    files: Mapping[str, Path],
    watermark: datetime,
    settings: Settings,
) -> FeastRepository:
    """Build the Feast repository of a feature snapshot, load its online store, and make it the current one.

    `files` is path in the snapshot (`<view>/<date>.parquet`) -> file, as `compute_features` returns it. The online store
    gets the newest row of each key, none after `watermark`. Publishing the same snapshot again only switches to it. The
    current repository and the one before it stay, for readers that have them open and for rollback.
    Raises what `stored_rows` does.
    """
    parent = repositories_folder(settings, location_key, workload.name)
    parent.mkdir(parents=True, exist_ok=True)
    repository = FeastRepository(parent / manifest_snapshot_id[:16], manifest_snapshot_id, workload.name)
    with only_publisher(parent):
        if not is_complete(repository):
            shutil.rmtree(repository.folder, ignore_errors=True)  # the remains of a build that was killed
            _build(workload, repository, files, watermark)
        switch(parent, repository)
        remove_old(parent, keep=repository.folder)
    return repository


def newest_rows(view: FeatureView, files: Mapping[str, Path], watermark: datetime) -> dict[Any, dict[str, Any]]:
    """What the online store of a feature snapshot holds of a view: by key the newest row's features, None for null.

    `files` and `watermark` are as `publish` takes them. Raises what `stored_rows` does.
    """
    rows = _newest(stored_rows(view, files), view, watermark).select([view.join_key, *view.features]).to_pylist()
    return {
        row[view.join_key]: {name: None if (value := row[name]) != value else value for name in view.features} for row in rows
    }


def historical(repository: FeastRepository, entity_df: pd.DataFrame) -> pd.DataFrame:
    """Point-in-time join: of every view the newest feature row at or before each row's `event_timestamp`.

    `entity_df` needs `event_timestamp` (with a time zone) and the join keys that a caller supplies, those of views without
    `join_key_from`. Its columns (the target, for instance), rows and index are kept in order; the features are
    added, null where the view has no row that is early enough and not older than its `ttl_days`.
    Raises `ConfigurationError` for a missing column.
    """
    store = _open(repository)
    from mcml_assets.features.feast_definitions import JOIN_KEY_FROM  # noqa: PLC0415 - imports feast, 1 s

    views = {view.name: view for view in store.list_feature_views()}
    result = entity_df.copy()
    for name in after_their_keys({name: view.tags.get(JOIN_KEY_FROM) for name, view in views.items()}):
        view = views[name]
        _check_entities(repository, view, result)
        names = [feature.name for feature in view.features]
        joined = _join(store, view, result.loc[:, [*view.join_keys, EVENT_TIMESTAMP]])
        result[names] = joined[names].set_axis(result.index)
    return result


def _check_entities(repository: FeastRepository, view: "feast.FeatureView", entities: pd.DataFrame) -> None:
    for column in (*view.join_keys, EVENT_TIMESTAMP):
        if column not in entities.columns:
            raise ConfigurationError(
                f"{repository.workload}: the point-in-time join of view {view.name!r} needs column {column!r};"
                f" the entity frame has {sorted(map(str, entities.columns))}"
            )
    if not isinstance(entities[EVENT_TIMESTAMP].dtype, pd.DatetimeTZDtype):
        raise ConfigurationError(
            f"{repository.workload}: column {EVENT_TIMESTAMP!r} of the entity frame should be timestamps with a time zone,"
            f" found {entities[EVENT_TIMESTAMP].dtype}"
        )


def _join(store: "feast.FeatureStore", view: "feast.FeatureView", entities: pd.DataFrame) -> pd.DataFrame:
    """Feast's join with one view, answered in the order of the rows asked for: Feast itself promises none."""
    names = [feature.name for feature in view.features]
    if entities.empty:
        return pd.DataFrame(dict.fromkeys(names, pd.Series(dtype="float64")))
    # Feast's duckdb engine fails on nanoseconds. A whole-number key that came out of a join has gaps and is a float then.
    times = entities[EVENT_TIMESTAMP].dt.tz_convert("UTC").astype("datetime64[us, UTC]")
    keys = entities[view.join_keys].convert_dtypes(convert_string=False, convert_boolean=False)
    asked = keys.assign(**{EVENT_TIMESTAMP: times, ROW: range(len(entities))}).reset_index(drop=True)
    with _JOINING:
        job = store.get_historical_features(entity_df=asked, features=[f"{view.name}:{name}" for name in names])
        return job.to_df().sort_values(ROW)


def _build(workload: Workload, repository: FeastRepository, files: Mapping[str, Path], watermark: datetime) -> None:
    """Everything a repository holds; the marker that says it is complete comes last."""
    feast = import_feast()
    from mcml_assets.features.feast_definitions import data_file, definitions  # noqa: PLC0415 - imports feast, 1 s

    data = repository.folder.resolve() / "data"
    data.mkdir(parents=True)
    (repository.folder / "feature_store.yaml").write_text(FEATURE_STORE_YAML.format(project=workload.name))
    tables = {view.name: stored_rows(view, files) for view in workload.features.views}
    for name, table in tables.items():
        pq.write_table(table, data_file(data, name), compression="zstd")
    store = feast.FeatureStore(repo_path=str(repository.folder))
    store.apply(definitions(workload.features, workload.owner, data))
    for view in workload.features.views:
        newest = _newest(tables[view.name], view, watermark)
        if newest.num_rows:
            # `materialize` takes as long, prints to the terminal, and reads times in the machine's own zone.
            store.write_to_online_store(view.name, df=newest.to_pandas())
    mark_complete(repository)


def _newest(history: pa.Table, view: FeatureView, watermark: datetime) -> pa.Table:
    """The newest row of each key that is not after the watermark."""
    until = pa.scalar(watermark, history.schema.field(EVENT_TIMESTAMP).type)
    known = history.filter(pc.field(EVENT_TIMESTAMP) <= until)
    newest = known.group_by(view.join_key).aggregate([(EVENT_TIMESTAMP, "max")])
    keys = [view.join_key, EVENT_TIMESTAMP]
    return known.join(newest, keys, [view.join_key, f"{EVENT_TIMESTAMP}_max"], join_type="left semi").sort_by(view.join_key)


def _open(repository: FeastRepository) -> "feast.FeatureStore":
    """The repository's store. Feast's duckdb engine wants absolute paths, so a folder that was moved is registered anew."""
    store = import_feast().FeatureStore(repo_path=str(repository.folder))
    from mcml_assets.features.feast_definitions import data_file  # noqa: PLC0415 - imports feast, 1 s

    views = store.list_feature_views()
    data = repository.folder.resolve() / "data"
    if any(view.batch_source.path != str(data_file(data, view.name)) for view in views):
        for view in views:
            view.batch_source.file_options.uri = str(data_file(data, view.name))
        store.apply(views)
    return store
