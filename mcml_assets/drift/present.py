"""The features as they are now, from the files of a feature snapshot: what a model would be asked with.

Only the newest files are read, so the cost does not depend on history. Imports pyarrow: import it inside functions.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mcml_assets.domain.drift import DriftReference
from mcml_assets.domain.errors import ContractViolation
from mcml_assets.domain.workload import FeatureView
from mcml_assets.features.frames import EVENT_TIMESTAMP
from mcml_assets.features.key_order import after_their_keys

YEAR = timedelta(days=365)
# Half a month: the nearest as-of date to a year ago lies in the same month, or next to it.
SAME_MONTH = timedelta(days=16)

Fetch = Callable[[str], Path]


def features_at(
    views: Sequence[FeatureView], paths: Iterable[str], fetch: Fetch, when: DriftReference | None, window_days: int
) -> pa.Table | None:
    """One row per entity with the features of all views, as of now (`when` is None) or of an earlier time.

    `paths` are the snapshot's files, `<view>/<as-of date>.parquet`; `fetch` brings one of them. The first view that the
    caller's key leads to says which rows there are; of every other view the newest row of a key is joined, null where it
    has none. Rows that bring their own times count as present for `window_days` before the newest of them. None when
    there is no such earlier time.
    Raises `ContractViolation` when the snapshot has no file of a view.
    """
    dates = {view.name: _dates(view.name, paths) for view in views}
    by_name = {view.name: view for view in views}
    order = after_their_keys({view.name: view.join_key_from for view in views})
    first, *others = (by_name[name] for name in order)
    table = _base(first, dates[first.name], fetch, when, window_days)
    if table is None:
        return None
    for view in others:
        newest = _newest(pq.read_table(fetch(dates[view.name][max(dates[view.name])])), view.join_key)
        columns = [view.join_key, *(name for name in view.features if name not in table.column_names)]
        table = table.join(newest.select(columns), view.join_key, join_type="left outer")
    return table


def _dates(view: str, paths: Iterable[str]) -> dict[date, str]:
    dates = {date.fromisoformat(PurePosixPath(path).stem): path for path in paths if path.split("/")[0] == view}
    if not dates:
        raise ContractViolation(f"the feature snapshot has no file of view {view!r}")
    return dates


def _base(
    view: FeatureView, dates: Mapping[date, str], fetch: Fetch, when: DriftReference | None, window_days: int
) -> pa.Table | None:
    newest = max(dates)
    table = pq.read_table(fetch(dates[newest]))
    if _has_own_times(table):
        return _window(table, when, timedelta(days=window_days))
    if when is None:
        return table
    earlier = _earlier(dates, newest, when)
    return pq.read_table(fetch(dates[earlier])) if earlier else None


def _earlier(dates: Iterable[date], newest: date, when: DriftReference) -> date | None:
    """The as-of date that stands for an earlier time, None when there is none."""
    if when is DriftReference.PREVIOUS:
        return max((day for day in dates if day < newest), default=None)
    wanted = newest - YEAR
    near = [day for day in dates if abs(day - wanted) <= SAME_MONTH]
    return min(near, key=lambda day: abs(day - wanted), default=None)


def _has_own_times(table: pa.Table) -> bool:
    return table.num_rows > 0 and _bound(table, "min") != _bound(table, "max")


def _window(table: pa.Table, when: DriftReference | None, length: timedelta) -> pa.Table | None:
    """The rows of a time of `length`: the newest, the one before it, or a year earlier."""
    back = {None: timedelta(0), DriftReference.PREVIOUS: length, DriftReference.SAME_MONTH_LAST_YEAR: YEAR}[when]
    end = _bound(table, "max") - back
    times = pc.field(EVENT_TIMESTAMP)
    rows = table.filter((times > pa.scalar(end - length, table.schema.field(EVENT_TIMESTAMP).type)) & (times <= end))
    return rows if rows.num_rows or when is None else None


def _bound(table: pa.Table, which: Literal["min", "max"]) -> datetime:
    return table.group_by([]).aggregate([(EVENT_TIMESTAMP, which)])[f"{EVENT_TIMESTAMP}_{which}"][0].as_py()


def _newest(table: pa.Table, key: str) -> pa.Table:
    newest = table.group_by(key).aggregate([(EVENT_TIMESTAMP, "max")])
    return table.join(newest, [key, EVENT_TIMESTAMP], [key, f"{EVENT_TIMESTAMP}_max"], join_type="left semi")
