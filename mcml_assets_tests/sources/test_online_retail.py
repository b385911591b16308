"""The real retail data, landed batch by batch to its end, and counted against pandas."""

from pathlib import Path

import pandas as pd
import pytest

from mcml_assets.configuration.workload import load_workload
from mcml_assets.domain.workload import Source, Workload
from mcml_assets_tests.configuration.workload_files import local_topology
from mcml_assets_tests.sources.parquet_sources import Landings

DEFS = Path(__file__).parents[2] / "mcml_assets" / "defs"
LANDINGS = 8


@pytest.fixture(scope="module")
def workload() -> Workload:
    """The workload as it ships."""
    return load_workload(DEFS / "online_retail" / "defs.yaml", local_topology())


@pytest.fixture(scope="module")
def transactions(workload: Workload) -> pd.DataFrame:
    """The whole source, read by pandas."""
    return pd.read_parquet(source_of(workload).path)


@pytest.mark.parametrize("jurisdiction", ["UK", "EU"])
def test_eight_landings_take_every_line_once(
    workload: Workload, transactions: pd.DataFrame, tmp_path: Path, jurisdiction: str
) -> None:
    """180 days, then 30 and 30 to the end: each window has the lines that pandas counts there, repeats included."""
    source = source_of(workload)
    assert source.placed_by is not None
    ours = transactions[transactions["Country"].isin(source.placed_by.values[jurisdiction])]
    landings = Landings(source, jurisdiction, tmp_path)
    start = pd.Timestamp("2010-12-01")
    for number in range(LANDINGS):
        batch = landings.land()
        assert batch.watermark is not None
        end = pd.Timestamp(batch.watermark)
        if number < LANDINGS - 1:
            assert end == pd.Timestamp("2010-12-01") + pd.Timedelta(days=180 + 30 * number)
        window = ours[(ours["InvoiceDate"] >= start) & (ours["InvoiceDate"] < end)]
        assert (batch.rows, batch.late_rows, batch.withdrawn_rows) == (len(window), 0, 0)
        (file,) = batch.files
        assert (file.first_event, file.last_event) == (
            window["InvoiceDate"].min().isoformat(),
            window["InvoiceDate"].max().isoformat(),
        )
        start = end
    assert start == transactions["InvoiceDate"].max() + pd.Timedelta(microseconds=1)
    assert landings.land().exhausted
    landed = pd.concat([pd.read_parquet(file) for _, file in sorted(landings.files.items())], ignore_index=True)
    pd.testing.assert_frame_equal(landed, ours.reset_index(drop=True))
    assert landed.duplicated().sum() == ours.duplicated().sum() > 0


def test_no_line_of_another_country_is_placed(workload: Workload, transactions: pd.DataFrame) -> None:
    """Every value that is placed is in the data as it is spelt, and both jurisdictions leave some countries out."""
    source = source_of(workload)
    assert source.placed_by is not None
    placed = [country for countries in source.placed_by.values.values() for country in countries]
    countries = set(transactions["Country"])
    assert set(placed) <= countries
    assert len(placed) == len(set(placed)) < len(countries) == 38


def source_of(workload: Workload) -> Source:
    """The workload's one source."""
    (source,) = workload.sources
    return source
