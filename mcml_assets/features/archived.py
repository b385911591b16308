"""Features of a stored snapshot as an endpoint saw them when it was current. Imports pyarrow: import it inside functions.

Answering requests is `online.py`'s business, from the store that `feast_store.py` built of the same snapshot.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from mcml_assets.domain.workload import Workload
from mcml_assets.features.feast_store import newest_rows
from mcml_assets.features.key_order import after_their_keys


def archived_features(
    workload: Workload, files: Mapping[str, Path], watermark: datetime
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Every entity of a feature snapshot with the features of all views, as `OnlineReader.read` gave them.

    `files` is path in the snapshot -> file. Raises `CorruptSnapshot` when a view has no file.
    """
    by_name = {view.name: view for view in workload.features.views}
    order = [by_name[name] for name in after_their_keys({view.name: view.join_key_from for view in by_name.values()})]
    rows = {view.name: newest_rows(view, files, watermark) for view in order}
    entity_view = next(view for view in order if view.join_key_from is None)
    for entity in rows[entity_view.name]:
        features: dict[str, Any] = {}
        for view in order:
            key = entity if view.join_key_from is None else features[view.join_key]
            row = rows[view.name].get(key)
            features |= {name: row[name] if row is not None else None for name in view.features}
        yield entity, features
