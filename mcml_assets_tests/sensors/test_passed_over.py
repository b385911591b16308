"""A run that Dagster meant to retry is retried once, also when its daemon read the failure before it was complete."""

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.auto_run_reexecution.event_log_consumer import EventLogConsumerDaemon

from mcml_assets.sensors.failures import PARTITION_TAG, RETRIED_BY_TAG, Seen, new_failures
from mcml_assets.sensors.passed_over import PARENT_TAG, PATIENCE_SECONDS, TIMES, tell_again
from mcml_assets_tests.failover.stage import example_workloads

CONFIGURATION = """
run_coordinator: {module: dagster._core.run_coordinator.queued_run_coordinator, class: QueuedRunCoordinator}
run_retries: {enabled: true, max_retries: 2, retry_on_asset_or_op_failure: false}
telemetry: {enabled: false}
"""


SHOP = "online_retail"


@dg.asset(key=[SHOP, "landing"], partitions_def=dg.StaticPartitionsDefinition(["UK"]))
def landing() -> None:
    """What a takeover makes; no run of it is executed here."""


defs = dg.Definitions([landing])


class Retries:
    """An instance with Dagster's own daemon for retries, which reads when a test says so; its runs wait in the queue."""

    def __init__(self, instance: dg.DagsterInstance, workspace: WorkspaceProcessContext) -> None:
        self.instance = instance
        self.workspace = workspace
        self.daemon = EventLogConsumerDaemon()
        self.read()

    def read(self) -> None:
        for error in self.daemon.run_iteration(self.workspace):
            assert error is None

    def going_on(self) -> dg.DagsterRun:
        """A run of the asset that has started."""
        request = self.workspace.create_request_context()
        (location,) = request.code_locations
        (repository,) = location.get_repositories().values()
        job = repository.get_full_job("__ASSET_JOB")
        run = self.instance.create_run_for_job(
            defs.resolve_implicit_global_asset_job_def(), status=dg.DagsterRunStatus.STARTED,
            remote_job_origin=job.get_remote_origin(), job_code_origin=job.get_python_origin(),
            asset_selection=frozenset({landing.key}), tags={PARTITION_TAG: "UK"},
        )  # fmt: skip
        self.instance.report_dagster_event(dg.DagsterEvent(dg.DagsterEventType.PIPELINE_START.value, "__ASSET_JOB"), run.run_id)
        return run

    def fail(self, run: dg.DagsterRun, meanwhile: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
        """Let its process be found dead; `meanwhile` is done when the failure is stored and the run's status is not."""
        storage = self.instance.run_storage
        complete = storage.handle_run_event
        with monkeypatch.context() as patch:
            patch.setattr(storage, "handle_run_event", lambda *event: (meanwhile(), complete(*event)))
            self.instance.report_run_failed(run, message="The process of this run is gone.")

    def retries(self, run: dg.DagsterRun) -> list[dg.DagsterRun]:
        return list(self.instance.get_runs(dg.RunsFilter(tags={PARENT_TAG: run.run_id})))

    def tell(self, seconds: float) -> list[str]:
        """What the watchdog does so long after now."""
        return tell_again(self.instance, datetime.now(UTC) + timedelta(seconds=seconds))


@pytest.fixture
def retries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Retries]:
    (tmp_path / "dagster.yaml").write_text(CONFIGURATION)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    logging.getLogger("dagster.daemon").setLevel(logging.ERROR)
    origin = InProcessCodeLocationOrigin(LoadableTargetOrigin(python_file=__file__, attribute="defs"), "here")
    with (
        dg.DagsterInstance.from_config(str(tmp_path)) as instance,
        create_test_daemon_workspace_context(InProcessWorkspaceLoadTarget(origin), instance) as workspace,
    ):
        yield Retries(instance, workspace)


def test_a_failure_that_was_read_too_early_is_retried_once_and_counted_once(retries: Retries, monkeypatch: pytest.MonkeyPatch):
    """Without help Dagster never retries it; told again it does, once, however often the watchdog and the daemon look."""
    run = retries.going_on()
    workloads = {SHOP: example_workloads([SHOP])[0]}
    retries.fail(run, retries.read, monkeypatch)
    retries.read()
    failed = retries.instance.get_run_by_id(run.run_id)
    assert failed is not None
    assert failed.tags["dagster/will_retry"] == "true"
    assert retries.retries(run) == []
    counted, seen = new_failures(retries.instance, Seen(0.0), workloads, 0.0)
    assert [failure.run_id for failure in counted] == [run.run_id]
    assert retries.tell(PATIENCE_SECONDS / 2) == []

    assert len(retries.tell(PATIENCE_SECONDS + 1)) == 1
    retries.read()
    (again,) = retries.retries(run)
    assert again.status is dg.DagsterRunStatus.QUEUED
    assert retries.tell(PATIENCE_SECONDS * TIMES) == []
    retries.read()
    assert retries.retries(run) == [again]
    told = retries.instance.get_run_by_id(run.run_id)
    assert told is not None
    assert told.tags[RETRIED_BY_TAG] == again.run_id
    # Other runs that failed meanwhile, so that only what is known of this one keeps it from being counted again.
    assert new_failures(retries.instance, Seen(seen.until), workloads, 0.0)[0] == []


def test_a_retry_that_goes_its_way_is_left_alone(retries: Retries, monkeypatch: pytest.MonkeyPatch):
    """Neither what was retried already, nor what failed for a typed error, is told again."""
    killed = retries.going_on()
    retries.fail(killed, lambda: None, monkeypatch)
    retries.read()
    assert len(retries.retries(killed)) == 1
    judged = retries.going_on()
    retries.fail(judged, lambda: None, monkeypatch)
    retries.instance.add_run_tags(judged.run_id, {"dagster/will_retry": "false"})
    assert retries.tell(PATIENCE_SECONDS + 1) == []


def test_a_retry_that_never_comes_is_asked_for_so_often_and_no_more(retries: Retries, monkeypatch: pytest.MonkeyPatch):
    """While Dagster's daemon is gone a failure is told again three times in all; when it returns, one retry comes of it."""
    run = retries.going_on()
    retries.fail(run, retries.read, monkeypatch)
    told = [len(retries.tell(PATIENCE_SECONDS * times + 1)) for times in range(1, TIMES + 4)]
    assert told == [1] * TIMES + [0] * 3
    retries.read()
    retries.read()
    assert len(retries.retries(run)) == 1
