"""What the watchdog promises: a lost run is ended, a living one is not, and what stands still is told once."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import pytest

from mcml_assets.resources.alerts import Alerts
from mcml_assets.sensors import watchdog as module
from mcml_assets.sensors.watchdog import watchdog
from mcml_assets_tests.alerting.receiver import receiver

PARTITION_TAG = "dagster/partition"
KEY = dg.AssetKey(["shop", "landing"])


class Watched:
    """An instance with a watchdog and its cursor."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.cursor: str | None = None
        self.alerts = Alerts(pagerduty_address="unused", repeat_hours=24)

    def tick(self) -> str:
        with dg.build_sensor_context(instance=self.instance, cursor=self.cursor) as context:
            result: Any = watchdog(context, alerts=self.alerts)
        assert not result.run_requests
        self.cursor = result.cursor
        return result.skip_reason.skip_message

    def start(self, pid: int | None) -> str:
        """A run that went on until now, in the process of this id."""
        run = dg.DagsterRun(
            "__ASSET_JOB", str(uuid4()), tags={PARTITION_TAG: "UK"}, asset_selection=frozenset({KEY}),
            status=dg.DagsterRunStatus.STARTED,
        )  # fmt: skip
        self.instance.add_run(run)
        if pid is not None:
            from dagster._core.events import EngineEventData

            self.instance.report_engine_event("Started process for run", run, EngineEventData.in_process(pid))
        self.instance.report_dagster_event(dg.DagsterEvent(dg.DagsterEventType.PIPELINE_START.value, "__ASSET_JOB"), run.run_id)
        return run.run_id

    def status(self, run_id: str) -> dg.DagsterRunStatus:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run.status


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    monkeypatch.setattr(module, "LOST_SECONDS", 0.0)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield Watched(instance)


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        yield process
        process.kill()


def test_a_run_whose_process_was_killed_is_ended(watched: Watched, process: subprocess.Popen[bytes]):
    """While its process lives it goes on; after kill -9 of everything the next tick marks it as failed."""
    run = watched.start(process.pid)
    assert "left STARTED" not in watched.tick()
    assert watched.status(run) is dg.DagsterRunStatus.STARTED
    process.kill()
    process.wait()
    assert f"run {run} was left STARTED" in watched.tick()
    assert watched.status(run) is dg.DagsterRunStatus.FAILURE


def test_a_run_is_not_ended_for_lack_of_information(watched: Watched):
    """A run that reported no process may be somewhere else: it is left alone."""
    run = watched.start(None)
    watched.tick()
    assert watched.status(run) is dg.DagsterRunStatus.STARTED


def test_another_process_with_the_same_id_is_not_the_runs(watched: Watched, monkeypatch: pytest.MonkeyPatch):
    """An id that was given out again later does not keep a dead run alive."""
    assert module._lives(os.getpid(), time.time())
    assert not module._lives(os.getpid(), 0.0)


def test_what_hangs_is_told(watched: Watched, monkeypatch: pytest.MonkeyPatch):
    """A run that takes too long is named with its asset and partition."""
    run = watched.start(os.getpid())
    assert watched.tick() == "Nothing stands still."
    monkeypatch.setattr(module, "HANGING_SECONDS", -1.0)
    assert f"shop/landing [UK]: run {run[:8]} has been going on" in watched.tick()


def test_a_partition_that_stays_failed_is_told_until_it_is_made(watched: Watched, monkeypatch: pytest.MonkeyPatch):
    """Failed and left is told; made anew, it is told no more."""
    monkeypatch.setattr(module, "LEFT_SECONDS", -1.0)
    watched.tick()
    run = watched.instance.get_run_by_id(watched.start(os.getpid()))
    assert run is not None
    watched.instance.report_run_failed(run)
    assert "shop/landing [UK]: failed for" in watched.tick()
    assert "shop/landing [UK]: failed for" in watched.tick()
    anew = watched.start(os.getpid())
    watched.instance.report_dagster_event(dg.DagsterEvent(dg.DagsterEventType.PIPELINE_SUCCESS.value, "__ASSET_JOB"), anew)
    assert "failed for" not in watched.tick()


def test_what_stands_still_is_alerted_once_for_each_cause(watched: Watched, monkeypatch: pytest.MonkeyPatch):
    """Three runs that hang are one notice, told once; their end is told, too."""
    with receiver() as here:
        monkeypatch.setenv("ALERTS", here.address)
        watched.alerts = Alerts(webhook="ALERTS", pagerduty_address="unused", repeat_hours=24)
        runs = [watched.start(os.getpid()) for _ in range(3)]
        monkeypatch.setattr(module, "HANGING_SECONDS", -1.0)
        watched.tick()
        watched.tick()
        assert [(one["action"], one["key"], one["where"]) for one in here.got] == [
            ("trigger", "stands/runs", ["shop/landing [UK]"])
        ]
        assert len(here.got[0]["details"]) == 3
        for run in runs:
            success = dg.DagsterEvent(dg.DagsterEventType.PIPELINE_SUCCESS.value, "__ASSET_JOB")
            watched.instance.report_dagster_event(success, run)
        watched.tick()
        assert [(one["action"], one["key"]) for one in here.got[1:]] == [("resolve", "stands/runs")]
