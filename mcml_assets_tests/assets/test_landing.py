"""What `landing` promises: batches follow one another, bad data never becomes current, and the end of the data is said."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest
from pyarrow import parquet

from mcml_assets.automation import ERROR_TAG, TAKEOVER_TAG, UNAVAILABLE_TAG
from mcml_assets.clouds.fault_plan import set_fault
from mcml_assets.domain.acting import Acting
from mcml_assets.domain.faults import Fault, FaultKind
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.resources.stores import CloudStores
from mcml_assets_tests.assets.conftest import Bench, checks_of, failure_of, published_by

ACTING, STANDBY = "aws/eu-west-2", "gcp/europe-west2"


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
    # The first days are enough: every row is read and judged twice.
    table = parquet.read_table(source_of(retail)).sort_by("InvoiceDate").slice(0, 5_000)
    parquet.write_table(table, source_of(retail))
    assert retail.run("UK", "landing").success
    before = retail.current(ACTING, "landing")
    prices = pa.array([-1.0] * len(table))
    parquet.write_table(table.set_column(table.schema.get_field_index("UnitPrice"), "UnitPrice", prices), source_of(retail))
    result = retail.run("UK", "landing")
    assert checks_of(result) == {"contract": False}, failure_of(result)
    assert "ContractViolation" in failure_of(result)
    assert "price" in failure_of(result)
    assert published_by(result, "landing") == 0
    assert retail.current(ACTING, "landing") == before


def act(retail: Bench, location: str, epoch: int) -> None:
    """Let another location act from now on."""
    former = Acting(ACTING if epoch == 2 else STANDBY, epoch - 1)
    register = CloudStores.from_settings(retail.settings).register
    register.change(retail.workload, "UK", former, Acting(location, epoch), who="test", why="test", request_id=f"{epoch}")


@pytest.mark.parametrize(("kind", "succeeds"), [(FaultKind.SOURCE_LATE, True), (FaultKind.BAD_BATCH, False)])
def test_a_planned_fault_of_the_source_lands_nothing(retail: Bench, kind: FaultKind, succeeds: bool) -> None:
    """A late source is no failure, a batch that is cut off is one; either way the former snapshot stays current."""
    assert retail.run("UK", "landing").success
    before, now = landed(retail), datetime.now(UTC)
    set_fault(Fault(ACTING, kind, now, now + timedelta(hours=1)), retail.stores.topology, retail.settings)
    result = retail.run("UK", "landing")
    assert result.success is succeeds
    assert published_by(result, "landing") == 0
    assert landed(retail).snapshot_id == before.snapshot_id
    assert checks_of(result)["contract"] is succeeds


def test_a_new_acting_location_takes_the_batch_that_follows(retail: Bench) -> None:
    """It goes on from its own raw data: its landing adds the second batch, and the former location's stays as it was."""
    assert retail.run("UK", "landing").success
    assert retail.run(STANDBY, "raw_data").success
    first = landed(retail)
    act(retail, STANDBY, 2)
    result = retail.run("UK", "landing")
    assert result.success, failure_of(result)
    second = retail.stores.snapshots(retail.workload, STANDBY, "landing").current()
    assert second is not None
    assert set(first.files) < set(second.files)
    assert (second.annotations["number"], second.watermark, second.epoch) == (1, "2011-06-29T00:00:00", 2)
    assert landed(retail).snapshot_id == first.snapshot_id


def test_a_batch_that_never_arrived_is_taken_again_and_named(retail: Bench) -> None:
    """What the former location landed last and nobody copied is taken from the source by the new one, once, and said."""
    assert retail.run("UK", "landing").success
    assert retail.run(STANDBY, "raw_data").success
    assert retail.run("UK", "landing").success
    lost = landed(retail)
    now = datetime.now(UTC)
    outage = Fault("aws", FaultKind.OUTAGE, now, now + timedelta(hours=1))
    set_fault(outage, retail.stores.topology, retail.settings)
    act(retail, STANDBY, 2)
    result = retail.run("UK", "landing")
    assert result.success, failure_of(result)
    taken = retail.stores.snapshots(retail.workload, STANDBY, "landing").current()
    assert taken is not None
    assert (taken.watermark, taken.row_count) == (lost.watermark, lost.row_count)
    said = next(event for event in result.get_asset_materialization_events() if event.asset_key == retail.key("landing"))
    assert said.materialization.metadata["left_behind_snapshot"].value == lost.snapshot_id[:12]
    assert said.materialization.metadata["taken_over_up_to"].value == "2011-05-30T00:00:00"


def test_a_takeover_that_is_asked_for_twice_takes_one_batch(retail: Bench) -> None:
    """A second run of the same takeover changes nothing and publishes nothing."""
    assert retail.run("UK", "landing").success
    assert retail.run(STANDBY, "raw_data").success
    act(retail, STANDBY, 2)
    assert published_by(take_over(retail), "landing") == 1
    once = retail.current(STANDBY, "landing")
    assert published_by(take_over(retail), "landing") == 0
    assert retail.current(STANDBY, "landing") == once


def take_over(retail: Bench) -> dg.ExecuteInProcessResult:
    result = retail.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=retail.instance, partition_key="UK", asset_selection=[retail.key("landing")],
        tags={TAKEOVER_TAG: "online_retail/UK/2"}, raise_on_error=False,
    )  # fmt: skip
    assert result.success, failure_of(result)
    return result


def test_an_unavailable_location_is_named_in_the_runs_tags(retail: Bench) -> None:
    """Whoever decides about failover reads from a failed run's tags which location did not answer."""
    now = datetime.now(UTC)
    set_fault(Fault("aws", FaultKind.OUTAGE, now, now + timedelta(hours=1)), retail.stores.topology, retail.settings)
    result = retail.run("UK", "landing")
    run = retail.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert (run.tags[ERROR_TAG], run.tags[UNAVAILABLE_TAG]) == ("LocationUnavailable", ACTING)


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
