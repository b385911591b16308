"""Whether the online store answers what a feature snapshot holds, for a sample of entities that the snapshot's id decides.

Imports pandas-free pyarrow and numpy: import it inside functions. Reading one entity online is `online.py`'s business.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mcml_assets.comparison.cell_hash import Buffers, Hasher, mixed
from mcml_assets.domain.errors import UnknownEntity
from mcml_assets.domain.workload import FeatureView, Workload
from mcml_assets.features.frames import EVENT_TIMESTAMP
from mcml_assets.features.key_order import after_their_keys
from mcml_assets.features.online import OnlineReader
from mcml_assets.features.stored_rows import stored_rows


@dataclass(frozen=True, slots=True)
class OnlineDifference:
    """What a sample found: `sampled` of `entities`; those the store does not know, and by feature how many differ.

    `largest` is the largest difference of two numbers, None where none differ.
    """

    entities: int
    sampled: int
    unknown: int
    differing: Mapping[str, int]
    largest: float | None

    @property
    def agrees(self) -> bool:
        return self.sampled > 0 and not self.unknown and not self.differing


def compare_online(
    workload: Workload, files: Mapping[str, Path], watermark: datetime, snapshot_id: str, reader: OnlineReader, size: int
) -> OnlineDifference:
    """Read `size` entities online, and compare every feature with the newest row of the snapshot's files.

    The same snapshot gives the same sample in every location, and the next one another.
    """
    views = {view.name: view for view in workload.features.views}
    newest = {name: _newest(view, files, watermark) for name, view in views.items()}
    entity_views = [view for view in views.values() if view.join_key_from is None]
    keys = newest[entity_views[0].name][entity_views[0].join_key].combine_chunks()
    sample = _sample(keys, snapshot_id, size)
    offline = _expected(workload, newest, sample)
    unknown, differing, largest = 0, dict[str, int](), None
    for key in sample:
        try:
            online = reader.read(key)
        except UnknownEntity:
            unknown += 1
            continue
        for feature, value in offline[key].items():
            if not _same(value, online[feature]):
                differing[feature] = differing.get(feature, 0) + 1
                gap = _gap(value, online[feature])
                largest = gap if largest is None else max(largest, gap or 0.0)
    return OnlineDifference(len(keys), len(sample), unknown, differing, largest)


def _newest(view: FeatureView, files: Mapping[str, Path], watermark: datetime) -> pa.Table:
    """The newest row of each key that is not after the watermark."""
    rows = stored_rows(view, files)
    rows = rows.filter(pc.field(EVENT_TIMESTAMP) <= pa.scalar(watermark, rows.schema.field(EVENT_TIMESTAMP).type))
    rows = rows.sort_by([(view.join_key, "ascending"), (EVENT_TIMESTAMP, "ascending")])
    if not len(rows):
        return rows
    keys = rows[view.join_key].combine_chunks()
    last = pc.not_equal(keys.slice(0, len(keys) - 1), keys.slice(1)).to_numpy(zero_copy_only=False)  # pyright: ignore[reportAttributeAccessIssue] - pyarrow makes its functions at import
    return rows.filter(pa.array(np.append(last, True)))


def _sample(keys: pa.Array, snapshot_id: str, size: int) -> list[Any]:
    """The keys whose hashes, moved by the snapshot's id, are smallest."""
    if not len(keys):
        return []
    h, _ = Hasher("entity", keys.type, Buffers(len(keys))).hash(keys)
    order = np.argsort(mixed(h ^ np.uint64(int(snapshot_id[:16], 16))), kind="stable")[:size]
    return keys.take(pa.array(np.sort(order))).to_pylist()


def _expected(workload: Workload, newest: Mapping[str, pa.Table], sample: Sequence[Any]) -> dict[Any, dict[str, Any]]:
    """Each sampled entity's features by the snapshot; a view that is keyed by another one's feature follows that."""
    expected: dict[Any, dict[str, Any]] = {key: {} for key in sample}
    views = {view.name: view for view in workload.features.views}
    for name in after_their_keys({view.name: view.join_key_from for view in workload.features.views}):
        view = views[name]
        wanted = {key: key if view.join_key_from is None else expected[key][view.join_key] for key in sample}
        table = newest[name]
        values = pa.array(
            [value for value in set(wanted.values()) if value is not None], table.schema.field(view.join_key).type
        )
        rows = table.filter(pc.is_in(table[view.join_key], value_set=values)).to_pylist()  # pyright: ignore[reportAttributeAccessIssue] - pyarrow makes its functions at import
        by_key = {row[view.join_key]: row for row in rows}
        for key, value in wanted.items():
            row = by_key.get(value, {})
            expected[key] |= {feature: row.get(feature) for feature in view.features}
    return expected


def _same(offline: Any, online: Any) -> bool:
    """Equal; a missing value is NaN or null, which the online store does not tell apart."""
    missing = [value is None or value != value for value in (offline, online)]
    return all(missing) or (not any(missing) and offline == online)


def _gap(offline: Any, online: Any) -> float | None:
    numbers = all(isinstance(value, int | float) for value in (offline, online))
    return abs(float(offline) - float(online)) if numbers else None
