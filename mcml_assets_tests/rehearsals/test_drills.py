"""What the `drill` job and its schedules promise: the same drill as from a terminal, and never of anybody's own accord."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from mcml_assets.automation import DRILL_TAG
from mcml_assets.build import build_resources, build_workload
from mcml_assets.configuration.scenario_files import load_scenario, scenario_files
from mcml_assets.configuration.settings import Settings
from mcml_assets.rehearsals.drills import LARGE, SMALL, build_rehearsals
from mcml_assets_tests.failover.stage import Stage, example_workloads


def schedules(settings: Settings) -> dict[str, dg.ScheduleDefinition]:
    found = build_rehearsals(settings).schedules or ()
    return {schedule.name: schedule for schedule in found if isinstance(schedule, dg.ScheduleDefinition)}


@pytest.mark.parametrize("allowed", [False, True])
def test_nothing_breaks_of_its_own_accord(tmp_path: Path, allowed: bool) -> None:
    """The schedules run only where faults were explicitly allowed; on a laptop somebody has to switch them on."""
    wanted = dg.DefaultScheduleStatus.RUNNING if allowed else dg.DefaultScheduleStatus.STOPPED
    statuses = {one.default_status for one in schedules(Settings(home=tmp_path, faults_allowed=allowed)).values()}
    assert statuses == {wanted}


def requested(schedule: dg.ScheduleDefinition, day: datetime) -> list[str | None]:
    with dg.build_schedule_context(scheduled_execution_time=day) as context:
        answer = schedule(context)
    assert isinstance(answer, dg.RunRequest | dg.SkipReason)
    return [answer.partition_key] if isinstance(answer, dg.RunRequest) else []


def test_each_week_one_small_drill_each_month_one_provider() -> None:
    """On the first Tuesday a provider outage and nothing else, on every other one a small drill, all of them in turn."""
    found = schedules(Settings())
    tuesdays = [datetime(2026, month, day, 10, tzinfo=UTC) for month in range(1, 13) for day in range(1, 29)]
    tuesdays = [day for day in tuesdays if day.weekday() == 1]
    weekly = {day: requested(found["drill_weekly"], day) for day in tuesdays}
    monthly = {day: requested(found["drill_monthly"], day) for day in tuesdays}
    assert all(len(weekly[day]) + len(monthly[day]) == 1 for day in tuesdays)
    assert {day for day in tuesdays if monthly[day] == [LARGE]} == {day for day in tuesdays if day.day <= 7}
    assert {scenario for names in weekly.values() for scenario in names} == set(SMALL)


def test_what_is_scheduled_exists_and_small_drills_move_nothing() -> None:
    """A scenario that was renamed would be found out by its schedule, on some Tuesday."""
    files = scenario_files()
    assert load_scenario(files[LARGE]).objectives.moves
    assert not any(load_scenario(files[name]).objectives.moves for name in SMALL)


def test_the_job_refuses_what_the_command_refuses(tmp_path: Path) -> None:
    """On a platform with a dark cloud the run fails, with the drill's own reasons, and leaves no result."""
    stage = Stage(tmp_path, example_workloads(["online_retail"]))
    stage.fill()
    stage.darken("gcp/europe-west2")
    workloads = (build_workload(workload) for workload in stage.workloads.values())
    definitions = dg.Definitions.merge(build_resources(stage.settings), *workloads, build_rehearsals(stage.settings))
    job = definitions.resolve_job_def("drill")
    with dg.DagsterInstance.ephemeral() as instance:
        done = job.execute_in_process(instance=instance, partition_key="region_outage", raise_on_error=False)
        (failure,) = [event for event in done.all_events if event.is_step_failure]
        assert "gcp/europe-west2: it is down" in str(failure.step_failure_data.error)
        assert done.dagster_run.tags[DRILL_TAG] == "job"
        assert instance.get_materialized_partitions(dg.AssetKey(["online_retail", "drill_result"])) == set()
