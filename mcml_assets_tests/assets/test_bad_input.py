"""Data that nobody wishes for, through the check as Dagster runs it: a person reads what is wrong, and never a trace."""

import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from mcml_assets.build import DEFS
from mcml_assets.configuration.settings import Settings
from mcml_assets.declaration import now
from mcml_assets_tests.assets.conftest import Bench, checks_of, failure_of

LOCATION = "aws/eu-west-2"
ROWS = 20_000
SINCE = datetime(2010, 12, 6, 9, tzinfo=UTC).replace(tzinfo=None)
CHECKS = ("contract", "integrity", "parity", "replication_lag")
Change = Callable[[dict[str, Any]], Mapping[str, Any]]


def lines(rows: int) -> dict[str, Any]:
    """Sound invoice lines, one invoice each."""
    text = pa.string()
    return {
        "InvoiceNo": pa.array([f"{500_000 + row}" for row in range(rows)], text),
        "StockCode": pa.array(["85123A"] * rows, text),
        "Description": pa.array(["WHITE HANGING HEART"] * rows, text),
        "Quantity": pa.array([6] * rows, pa.int64()),
        "InvoiceDate": pa.array([SINCE] * rows, pa.timestamp("us")),
        "UnitPrice": pa.array([2.55] * rows, pa.float64()),
        "CustomerID": pa.array([17_850] * rows, pa.int64()),
        "Country": pa.array(["United Kingdom"] * rows, text),
    }


def nulls(rows: dict[str, Any]) -> dict[str, Any]:
    return {name: pa.nulls(len(column), column.type) for name, column in rows.items()}


# What is stored, and what the check says of it: nothing where it passes.
INPUTS: dict[str, tuple[int, Change, list[str]]] = {
    "no row": (0, lambda rows: {}, ["| InvoiceDate | newest within 14 days of the watermark (no row has a time) | 1 |"]),
    "a single row": (1, lambda rows: {}, []),
    "nothing but nulls": (9, nulls, ["| Quantity | not null | 9 |", "| InvoiceDate | not null | 9 |"]),
    "constant columns": (ROWS, lambda rows: {}, []),
    "infinite values": (
        9,
        lambda rows: {"UnitPrice": pa.array([float("inf"), *[1.0] * 7, float("-inf")])},
        ["| UnitPrice | in_range(-20000, 50000) | 2 | `inf`, `-inf` |"],
    ),
    "a new column": (9, lambda rows: {"Channel": pa.array(["web"] * 9)}, ["| no other columns | 1 | `Channel` |"]),
    "ten thousand categories": (
        ROWS, lambda rows: {"StockCode": pa.array([f"SKU {row % 10_000}" for row in range(ROWS)])}, []
    ),
    "ten thousand wrong categories": (
        ROWS,
        lambda rows: {"StockCode": pa.array([f"SKU-{row % 10_000}" for row in range(ROWS)])},
        ["| StockCode | 1 to 12 letters, digits, spaces or _ | 20,000 | `SKU-0`, `SKU-1`, `SKU-2` |"],
    ),
    "mixed types": (
        9, lambda rows: {"Quantity": pa.array([*["6"] * 8, "six"])}, ["| Quantity | is of type int64 | 1 | `string` |"]
    ),
    "times with a zone": (
        9,
        lambda rows: {"InvoiceDate": rows["InvoiceDate"].cast(pa.timestamp("us", "UTC"))},
        ["| InvoiceDate | is of type datetime64[ns] | 1 | `timestamp[us, tz=UTC]` |"],
    ),
    "nested values": (
        9,
        lambda rows: {"Description": pa.array([{"en": "HEART"}] * 9)},
        ["| Description | is of type str | 1 | `struct<en: string>` |"],
    ),
}  # fmt: skip


def opened(folder: Path) -> Bench:
    """The example over clouds of its own."""
    shutil.copytree(DEFS / "online_retail", folder / "online_retail", ignore=shutil.ignore_patterns("__pycache__"))
    return Bench(folder / "online_retail" / "defs.yaml", Settings(home=folder / "home"))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """One whose raw data the tests write."""
    return opened(tmp_path_factory.mktemp("stored"))


@pytest.fixture(scope="module")
def landing_shop(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """One where nothing has landed."""
    return opened(tmp_path_factory.mktemp("landing"))


def stored(shop: Bench, table: Mapping[str, Any], folder: Path) -> None:
    """Make these rows the location's raw data, as if they had come past every landing."""
    file = folder / "rows.parquet"
    parquet.write_table(pa.table(dict(table)), file)
    shop.stores.snapshots(shop.workload, LOCATION, "raw_data").commit(
        {"transactions/part-00000.parquet": file}, tables_schema={"transactions": shop.workload.sources[0].columns},
        row_count=len(next(iter(table.values()))), watermark="2010-12-06T10:00:00", parents={}, code_version="test",
        epoch=1, producer=LOCATION, created_at=now(), annotations={"contract": "1.0", "number": 0},
    )  # fmt: skip


@pytest.mark.parametrize("what", INPUTS)
def test_what_is_stored_is_judged_in_words(shop: Bench, tmp_path: Path, what: str) -> None:
    """The contract names column, rule, count and what was found, and what is right passes; the other checks have words too."""
    rows, change, expected = INPUTS[what]
    sound = lines(rows)
    stored(shop, {**sound, **change(sound)}, tmp_path)
    result = shop.run_checks(LOCATION, {"raw_data": CHECKS})
    found = {one.check_name: one for one in result.get_asset_check_evaluations() if one.partition == LOCATION}
    assert found.keys() == set(CHECKS), failure_of(result)
    for name, one in found.items():
        said = f"{one.description} {[value.value for value in one.metadata.values()]}"
        assert len(said) > 20, name
        assert "Traceback" not in said, name
    assert found["integrity"].passed
    verdict = found["contract"]
    report = str(verdict.metadata["report"].value)
    assert [line for line in expected if line not in report] == []
    assert verdict.passed == (not expected)
    assert "Traceback" not in report
    assert "17850" not in report


def test_what_cannot_be_read_at_all_is_told(shop: Bench, tmp_path: Path) -> None:
    """Bytes that are no Parquet are a problem in one sentence, not an error of the run."""
    stored(shop, lines(1), tmp_path)
    file = tmp_path / "rows.parquet"
    file.write_bytes(b"PAR1 of another kind")
    shop.stores.snapshots(shop.workload, LOCATION, "raw_data").commit(
        {"transactions/part-00000.parquet": file}, tables_schema={"transactions": shop.workload.sources[0].columns},
        row_count=1, watermark="2010-12-06T10:00:00", parents={}, code_version="test", epoch=1, producer=LOCATION,
        created_at=now(), annotations={"contract": "1.0", "number": 0},
    )  # fmt: skip
    verdict = shop.check(LOCATION, "raw_data", "contract")
    assert not verdict.passed
    assert "expected a Parquet file, found 20 bytes" in str(verdict.metadata["problem"].value)


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("no row", "expected rows, found none"),
        ("a new column", "column 'Channel' (string) is not declared"),
        ("mixed types", "column 'Quantity': expected int64, found string"),
        ("times with a zone", "column 'InvoiceDate': expected timestamp[us], found timestamp[us, tz=UTC]"),
        ("nested values", "column 'Description': expected string, found struct<en: string>"),
    ],
)
def test_what_a_source_delivers_is_refused_by_the_check(landing_shop: Bench, what: str, told: str) -> None:
    """The landing's check fails with the problem in words, as well as the run."""
    rows, change, _ = INPUTS[what]
    sound = lines(rows)
    parquet.write_table(pa.table({**sound, **change(sound)}), landing_shop.workload.sources[0].path)
    result = landing_shop.run("UK", "landing")
    assert checks_of(result) == {"contract": False}, failure_of(result)
    (verdict,) = result.get_asset_check_evaluations()
    assert told in str(verdict.metadata["problem"].value)
    assert told in failure_of(result)
