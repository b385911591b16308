"""What `landing` promises: batches follow one another, bad data never becomes current, and the end of the data is said."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from mcml_assets.domain.snapshot import Manifest
from mcml_assets_tests.assets.conftest import Bench, checks_of, failure_of, published_by

ACTING = "aws/eu-west-2"


@pytest.fixture
def retail(bench: Callable[[str], Bench]) -> Bench:
    return bench("online_retail")


def source_of(bench: Bench) -> Path:
    return bench.workload.sources[0].path


def landed(bench: Bench) -> Manifest:
    manifest = bench.stores.snapshots(bench.workload, ACTING, "landing").current()
    assert manifest is not None
    return manifest


def test_each_landing_adds_the_next_batch(retail: Bench) -> None:
    """The second landing keeps the first one's file by its digest, and adds thirty days."""
    assert retail.run("UK", "landing").success
    first = landed(retail)
    assert retail.run("UK", "landing").success
    second = landed(retail)
    assert set(first.files) < set(second.files)
    assert (first.watermark, second.watermark) == ("2011-05-30T00:00:00", "2011-06-29T00:00:00")
    assert second.row_count > first.row_count


def test_at_the_end_of_the_data_nothing_changes(retail: Bench) -> None:
    """After the last batch a landing succeeds, publishes nothing, and leaves the snapshot as it was."""
    for _ in range(8):
        assert retail.run("EU", "landing").success
    last = retail.current("azure/westeurope", "landing")
    result = retail.run("EU", "landing")
    assert result.success
    assert published_by(result, "landing") == 0
    assert retail.current("azure/westeurope", "landing") == last


def test_only_the_jurisdictions_rows_enter(retail: Bench, tmp_path: Path) -> None:
    """A UK snapshot holds rows of the United Kingdom and none of any other country."""
    retail.run("UK", "landing")
    files = retail.stores.snapshots(retail.workload, ACTING, "landing").fetch(landed(retail), tmp_path / "read")
    countries = {value for file in files.values() for value in parquet.read_table(file)["Country"].to_pylist()}
    assert countries == {"United Kingdom"}


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("missing", ["ConfigurationError", "transactions.parquet"]),
        ("truncated", ["ContractViolation", "transactions.parquet"]),
        ("column missing", ["ContractViolation", "Quantity"]),
        ("column of another type", ["ContractViolation", "Quantity", "string", "int64"]),
    ],
)
def test_a_bad_source_leaves_the_former_snapshot_current(retail: Bench, damage: str, said: list[str]) -> None:
    """The run fails saying what was expected and found, and readers see the snapshot they saw before."""
    assert retail.run("UK", "landing").success
    before = retail.current(ACTING, "landing")
    _spoil(source_of(retail), damage)
    result = retail.run("UK", "landing")
    assert not result.success
    assert [word for word in said if word not in failure_of(result)] == []
    assert retail.current(ACTING, "landing") == before


def test_a_batch_that_breaks_the_contract_is_not_committed(retail: Bench) -> None:
    """The check fails with the broken rule, nothing is materialized, and the former snapshot stays current."""
    retail.run("UK", "landing")
    before = retail.current(ACTING, "landing")
    table = parquet.read_table(source_of(retail))
    prices = pa.array([-1.0] * len(table))
    parquet.write_table(table.set_column(table.schema.get_field_index("UnitPrice"), "UnitPrice", prices), source_of(retail))
    result = retail.run("UK", "landing")
    assert checks_of(result) == {"contract": False}
    assert "ContractViolation" in failure_of(result)
    assert "price" in failure_of(result)
    assert published_by(result, "landing") == 0
    assert retail.current(ACTING, "landing") == before


def _spoil(source: Path, damage: str) -> None:
    table = parquet.read_table(source)
    position = table.schema.get_field_index("Quantity")
    match damage:
        case "missing":
            source.unlink()
        case "truncated":
            source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
        case "column missing":
            parquet.write_table(table.drop_columns(["Quantity"]), source)
        case _:
            text = table["Quantity"].cast(pa.string())
            parquet.write_table(table.set_column(position, "Quantity", text), source)
