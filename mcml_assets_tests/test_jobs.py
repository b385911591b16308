"""The jobs that care for what is stored: what they report, what they remove, and that one location holds up no other."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from mcml_assets import jobs
from mcml_assets.asset_checks import replication_lag as lag_check
from mcml_assets.domain.workload import Workload
from mcml_assets.rehearsals.restore_rehearsal import rehearse_restore
from mcml_assets.resources.stores import CloudStores
from mcml_assets.schedules import daily_collection, daily_scrub
from mcml_assets_tests.assets.conftest import Bench, bench, checks_of

__all__ = ["bench"]

PRIMARY, WARM = "azure/westeurope", "gcp/europe-west1"


@pytest.fixture
def shop(bench: Callable[[str], Bench], monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The EU's raw data in a primary and a standby, scrubbed whole every day."""
    shop = bench("online_retail")
    monkeypatch.setenv("MCML_SCRUB_DAYS", "1")

    def placed(stores: CloudStores) -> list[tuple[Workload, str]]:
        return [(shop.workload, PRIMARY), (shop.workload, WARM)]

    monkeypatch.setattr(jobs, "_placed", placed)
    assert shop.run("EU", "landing").success
    for location in (PRIMARY, WARM):
        assert all(checks_of(shop.run(location, "raw_data")).values())
    return shop


def run(shop: Bench, job: dg.JobDefinition) -> dg.ExecuteInProcessResult:
    resources = shop.definitions.resources
    assert resources is not None
    wanted = {name: resources[name] for name in ("stores", "endpoints")}
    return job.execute_in_process(instance=shop.instance, resources=wanted, raise_on_error=False)


def reported(result: dg.ExecuteInProcessResult) -> dict[str, tuple[bool, str]]:
    """What a scrub reported as `integrity` of raw data by location, and why."""
    found: dict[str, tuple[bool, str]] = {}
    for evaluation in result.get_asset_check_evaluations():
        if evaluation.asset_key.path[-1] == "raw_data" and evaluation.partition is not None:
            text = evaluation.metadata.get("report") or evaluation.metadata["problem"]
            found[evaluation.partition] = (evaluation.passed, str(text.value))
    return found


def spoil(shop: Bench, location: str) -> Path:
    """Flip a bit in the location's largest blob, and return its file."""
    where = shop.stores.topology.location(location)
    blobs = shop.settings.clouds_folder / where.cloud / where.bucket / "online_retail" / "blobs"
    blob = max((path for path in blobs.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    content = bytearray(blob.read_bytes())
    content[100] ^= 1
    blob.write_bytes(content)
    return blob


def test_a_scrub_reports_every_location(shop: Bench):
    """Sound locations pass, a corrupt one fails by name with the sound copies beside it; a verified copy mends it."""
    results = reported(run(shop, jobs.integrity_scrub))
    assert {key: passed for key, (passed, _) in results.items()} == {PRIMARY: True, WARM: True}
    spoil(shop, WARM)
    results = reported(run(shop, jobs.integrity_scrub))
    assert results[PRIMARY] == (True, "No difference.")
    assert results[WARM][0] is False
    assert f"sound in {PRIMARY}; corrupt in {WARM}" in results[WARM][1]
    assert f"Materialize `raw_data` in {WARM} with `verify: true`" in results[WARM][1]
    mended = shop.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=shop.instance, partition_key=WARM, asset_selection=[shop.key("raw_data")],
        run_config={"ops": {"online_retail__raw_data": {"config": {"verify": True}}}},
    )  # fmt: skip
    assert {"contract", "integrity", "parity"} <= checks_of(mended).keys()
    assert all(checks_of(mended).values())


def test_a_sound_sample_clears_no_failure(shop: Bench, monkeypatch: pytest.MonkeyPatch):
    """A scrub that did not come across the corrupt file leaves the check failed, for it reads all of what failed last."""
    spoil(shop, WARM)
    assert checks_of(shop.run(WARM, "raw_data"))["integrity"] is False
    monkeypatch.setenv("MCML_SCRUB_DAYS", "256")
    for _ in range(2):
        assert reported(run(shop, jobs.integrity_scrub))[WARM][0] is False


def test_a_location_that_is_gone_fails_alone(shop: Bench):
    """An unreachable location's check fails with the reason, and the others are scrubbed and collected all the same."""
    where = shop.stores.topology.location(WARM)
    shutil.rmtree(shop.settings.clouds_folder / where.cloud / where.bucket)
    scrubbed = run(shop, jobs.integrity_scrub)
    assert scrubbed.success
    results = reported(scrubbed)
    assert results[PRIMARY][0] is True
    assert results[WARM][0] is False
    assert "unavailable" in results[WARM][1]
    collected = run(shop, jobs.collection)
    assert not collected.success
    problem = next(event for event in collected.all_events if event.is_step_failure).step_failure_data.error
    assert WARM in str(problem)
    assert PRIMARY not in str(problem)


def test_a_collection_keeps_what_is_used(shop: Bench):
    """Run every day it removes nothing that is current, and asks no endpoint to start."""
    before = {location: shop.current(location, "raw_data") for location in (PRIMARY, WARM)}
    assert run(shop, jobs.collection).success
    for location in (PRIMARY, WARM):
        snapshots = shop.stores.snapshots(shop.workload, location, "raw_data")
        manifest = snapshots.current()
        assert manifest is not None
        assert manifest.snapshot_id == before[location]
        assert snapshots.verify(manifest) == ()
    assert shop.settings.collection_grace_hours * timedelta(hours=1) == timedelta(days=1)


def test_the_schedules_run_by_themselves():
    """Both are on from the start, once a day, the scrub before the collection."""
    assert daily_scrub.default_status == daily_collection.default_status == dg.DefaultScheduleStatus.RUNNING
    hours = [str(schedule.cron_schedule).split()[1] for schedule in (daily_scrub, daily_collection)]
    assert hours == sorted(hours)


def test_what_a_job_reports_is_what_dagster_shows(shop: Bench) -> None:
    """A result from a job is about what is published there now; of one that is about nothing the UI shows no status."""
    assert run(shop, jobs.replication_lag).success
    assert run(shop, jobs.integrity_scrub).success
    for check in ("replication_lag", "integrity"):
        key = dg.AssetCheckKey(shop.key("raw_data"), check)
        found = shop.instance.event_log_storage.get_asset_check_partition_info([key])
        assert {(info.partition_key, info.latest_execution_status.value, info.is_current) for info in found} == {
            (PRIMARY, "SUCCEEDED", True), (WARM, "SUCCEEDED", True),
        }  # fmt: skip


def test_lags_are_measured_also_where_nothing_arrives_any_more(shop: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A standby that keeps lacking a landing comes to fail `replication_lag`, without a run of its own; the others pass."""

    class Later(datetime):
        @classmethod
        def now(cls, tz: object = None) -> "Later":
            return cls.fromisoformat((datetime.now(UTC) + timedelta(hours=2)).isoformat())

    assert shop.run("EU", "landing").success
    assert shop.run(PRIMARY, "raw_data").success
    assert run(shop, jobs.replication_lag).success
    assert shop.recorded("raw_data", "replication_lag") == {PRIMARY: True, WARM: True}
    monkeypatch.setattr(lag_check, "datetime", Later)
    result = run(shop, jobs.replication_lag)
    assert result.success
    assert shop.recorded("raw_data", "replication_lag") == {PRIMARY: True, WARM: False}
    assert shop.recorded("model", "replication_lag") == {}


def test_a_rehearsed_restore_reads_all_and_moves_nothing(shop: Bench) -> None:
    """A location that could go back says so with its bytes; one whose earlier snapshot decayed says what is wrong."""
    assert shop.run("EU", "landing").success
    assert shop.run(PRIMARY, "raw_data").success
    current = shop.current(PRIMARY, "raw_data")
    well = rehearse_restore(shop.workload, shop.stores, PRIMARY)
    assert well is not None
    assert (well.problem, well.snapshot == current) == (None, False)
    assert well.bytes > 0
    spoil(shop, WARM)
    damaged = rehearse_restore(shop.workload, shop.stores, WARM)
    assert damaged is not None
    assert "CorruptSnapshot" in (damaged.problem or "")
    assert shop.current(PRIMARY, "raw_data") == current
    assert rehearse_restore(shop.workload, shop.stores, "aws/eu-central-1") is None
