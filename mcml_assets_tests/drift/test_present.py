"""Promises of the present: it is what the endpoint would be asked with, and reading it does not read history."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mcml_assets.domain.drift import DriftReference
from mcml_assets.domain.errors import ContractViolation
from mcml_assets.domain.workload import FeatureView
from mcml_assets.drift.present import features_at

CUSTOMER = FeatureView("customer", "customer", "int64", None, 45, {"spent": "float64", "city": "string"})
CITY = FeatureView("city", "city", "string", "customer", None, {"inhabitants": "int64"})
TIME = pa.timestamp("us", tz="UTC")
Write = Callable[..., None]


class Snapshot:
    """Files of a feature snapshot in a folder, and which of them were read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.read: list[str] = []

    def write(self, path: str, times: list[datetime], **columns: list) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"event_timestamp": pa.array(times, TIME), **columns}), file)

    def fetch(self, path: str) -> Path:
        self.read.append(path)
        return self.folder / path

    def at(self, when: DriftReference | None = None, views: tuple[FeatureView, ...] = (CUSTOMER,)) -> pa.Table | None:
        paths = [file.relative_to(self.folder).as_posix() for file in self.folder.rglob("*.parquet")]
        return features_at(views, paths, self.fetch, when, window_days=30)


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    """A year of as-of dates, thirty days apart; `spent` says which one a row is of."""
    snapshot = Snapshot(tmp_path)
    for number in range(14):
        day = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=30 * number)
        snapshot.write(
            f"customer/{day:%Y-%m-%d}.parquet", [day] * 2, customer=[1, 2], spent=[float(number)] * 2, city=["York", None]
        )
    return snapshot


def spent(table: pa.Table | None) -> list[float] | None:
    return None if table is None else sorted(table["spent"].to_pylist())


def test_the_present_is_the_newest_as_of_date(snapshot: Snapshot) -> None:
    """One file is read of fourteen, whatever the history."""
    assert spent(snapshot.at()) == [13.0, 13.0]
    assert snapshot.read == ["customer/2025-01-25.parquet"]


def test_an_earlier_time_is_an_as_of_date(snapshot: Snapshot) -> None:
    """The one before, or the one nearest to a year ago."""
    assert spent(snapshot.at(DriftReference.PREVIOUS)) == [12.0, 12.0]
    assert spent(snapshot.at(DriftReference.SAME_MONTH_LAST_YEAR)) == [1.0, 1.0]


def test_an_earlier_time_that_is_not_there_is_none(tmp_path: Path) -> None:
    """With one as-of date there is neither a time before it nor a year ago: the caller is told, nothing is made up."""
    snapshot = Snapshot(tmp_path)
    snapshot.write("customer/2024-01-01.parquet", [datetime(2024, 1, 1, tzinfo=UTC)], customer=[1], spent=[1.0], city=["York"])
    assert snapshot.at(DriftReference.PREVIOUS) is None
    assert snapshot.at(DriftReference.SAME_MONTH_LAST_YEAR) is None


def test_rows_with_their_own_times_are_present_for_a_window(tmp_path: Path) -> None:
    """Of a view that brings its own times the last thirty days count, the thirty before are the time before."""
    snapshot = Snapshot(tmp_path)
    newest = datetime(2024, 6, 30, tzinfo=UTC)
    days = [0, 29, 30, 59, 60, 365]
    times = [newest - timedelta(days=day) for day in days]
    snapshot.write(
        "customer/2024-06-30.parquet", times, customer=[*range(6)], spent=[float(day) for day in days], city=[""] * 6
    )
    assert spent(snapshot.at()) == [0.0, 29.0]
    assert spent(snapshot.at(DriftReference.PREVIOUS)) == [30.0, 59.0]
    assert spent(snapshot.at(DriftReference.SAME_MONTH_LAST_YEAR)) == [365.0]


def test_another_views_features_are_those_of_the_newest_row(snapshot: Snapshot) -> None:
    """The city's features follow the customer's city, as at the endpoint; null for a customer without one."""
    days = [datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)]
    snapshot.write("city/2025-01-25.parquet", [*days, days[0]], city=["York", "York", "Bath"], inhabitants=[1, 141_000, 2])
    table = snapshot.at(views=(CITY, CUSTOMER))
    assert table is not None
    assert dict(zip(table["customer"].to_pylist(), table["inhabitants"].to_pylist(), strict=True)) == {1: 141_000, 2: None}


def test_a_view_without_a_file_is_named(snapshot: Snapshot) -> None:
    """A snapshot that lacks a view is not compared as if it had none."""
    with pytest.raises(ContractViolation, match="no file of view 'city'"):
        snapshot.at(views=(CUSTOMER, CITY))
