"""Real daemons over a stage of local clouds, for tests: started and killed, given faults, and asked what they requested.

Waiting is for events and ticks, never for a time: how long it takes is the machine's affair.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import psutil
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run

from mcml_assets.automation import TAKEOVER_TAG
from mcml_assets.configuration.settings import PROJECT_ROOT
from mcml_assets.failover.control import platform_control
from mcml_assets.instance.rebuild import rebuild
from mcml_assets.resources.stores import CloudStores
from mcml_assets_tests.failover.stage import Stage
from mcml_assets_tests.sensors.live_platform import (
    COPIES,
    IMPATIENT,
    ORDERS,
    PLANTED,
    WORKLOAD,
    live_definitions,
    live_workloads,
    written,
)

PATIENCE_SECONDS = 600.0
DAEMON = str(Path(sys.executable).with_name("dagster-daemon"))
SENSOR_TAG = "dagster/sensor_name"
PARTITION_TAG = "dagster/partition"
RETRY_TAG = "dagster/parent_run_id"
DECIDING = ("failover", "recovery", "automation_by_location", "automation_by_jurisdiction")
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


class LiveControl:
    """Daemons over one stage and one Dagster instance."""

    def __init__(self, home: Path, *, copies: int = 1, impatient: bool = False, concurrent_runs: int = 3) -> None:
        self.stage = Stage(home, live_workloads(copies))
        self.stage.fill()
        self.daemons: list[subprocess.Popen[bytes]] = []
        self.concurrent_runs = concurrent_runs
        self.environment = {
            **os.environ,
            "DAGSTER_HOME": str(self.dagster_home),
            "MCML_HOME": str(self.stage.settings.home),
            "PYTHONPATH": str(PROJECT_ROOT),
            COPIES: str(copies),
            **({IMPATIENT: "1"} if impatient else {}),
        }
        self.found_anew()

    @property
    def dagster_home(self) -> Path:
        return self.stage.settings.dagster_home

    def found_anew(self) -> int:
        """Make a fresh instance and fill it by `rebuild`, so that automation has nothing to do; how many events that is."""
        shutil.rmtree(self.dagster_home, ignore_errors=True)
        self.dagster_home.mkdir(parents=True)
        configuration = (PROJECT_ROOT / "dagster.yaml").read_text(encoding="utf-8")
        limit = "max_concurrent_runs: 3"
        assert limit in configuration
        configuration = configuration.replace(limit, f"max_concurrent_runs: {self.concurrent_runs}")
        (self.dagster_home / "dagster.yaml").write_text(configuration, encoding="utf-8")
        self.stage.beat()
        settings, workloads = self.stage.settings, list(self.stage.workloads.values())
        # It also makes the databases before two daemons could, which would make them twice.
        with dg.DagsterInstance.from_config(str(self.dagster_home)) as instance:
            assert instance.get_runs() == []
            assert instance.all_instigator_state() == []
        return rebuild(
            platform_control(settings, self.stage.stores.topology), workloads, self.dagster_home, verify=False
        ).materializations

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        with dg.DagsterInstance.from_config(str(self.dagster_home)) as instance:
            yield instance

    def start(self) -> None:
        """One more daemon, with its code server, in a session of its own; returns when its sensors have ticked."""
        before = self.ticked()
        with (self.stage.settings.home / "daemon.log").open("ab") as log:
            daemon = subprocess.Popen(
                [DAEMON, "run", "-m", "mcml_assets_tests.sensors.live_platform"], cwd=PROJECT_ROOT,
                env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.daemons.append(daemon)
        self.wait(lambda: all(self.ticked().get(name, 0.0) > before.get(name, 0.0) for name in DECIDING))

    def kill(self) -> None:
        """kill -9 of every daemon with all that it started."""
        for daemon in self.daemons:
            started = list(psutil.Process(daemon.pid).children(recursive=True)) if daemon.poll() is None else []
            if daemon.poll() is None:
                os.killpg(daemon.pid, signal.SIGKILL)
            daemon.wait()
            for process in started:
                if process.is_running():
                    process.kill()
        self.daemons.clear()

    def wait(self, reached: Callable[[], bool]) -> None:
        """Wait, as the data plane that goes on, until something is so."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not reached():
            self.stage.beat()
            if time.monotonic() > deadline:
                raise AssertionError((self.stage.settings.home / "daemon.log").read_text(encoding="utf-8")[-3000:])
            time.sleep(0.3)

    def pause(self, seconds: float) -> None:
        """Go on as the data plane for so long, whatever happens."""
        until = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() > until)

    def ticked(self) -> dict[str, float]:
        """When each sensor ticked last."""
        with self.instance() as instance:
            states = instance.all_instigator_state()
        return {state.instigator_name: getattr(state.instigator_data, "last_tick_timestamp", None) or 0.0 for state in states}

    def tick(self, count: int = 1, *names: str) -> None:
        """So many more ticks of these sensors, of all that decide if none is named; the first may have begun before."""
        for _ in range(count):
            before = self.ticked()
            self.wait(lambda before=before: all(self.ticked()[name] > before[name] for name in names or DECIDING))

    def settle(self) -> None:
        """Until nothing is under way, and two more ticks of everybody ask for nothing that is still to be done."""
        self.wait(self.idle)
        self.tick(2)
        self.wait(self.idle)

    def idle(self) -> bool:
        with self.instance() as instance:
            return not instance.get_runs(dg.RunsFilter(statuses=UNFINISHED), limit=1)

    def plant(self, what: str | None, *where: str) -> None:
        """Let runs (`landing UK`) raise an error or hang from now on; None ends that."""
        planted = {key: value for key, value in written(self.stage.settings.home, PLANTED).items() if key not in where}
        self._write(PLANTED, planted | (dict.fromkeys(where, what) if what is not None else {}))

    def order(self, key: str, noun: str, partition: str) -> None:
        """Ask for one run by hand, so to say."""
        self._write(ORDERS, written(self.stage.settings.home, ORDERS) | {key: (noun, partition)})

    def _write(self, name: str, document: object) -> None:
        fresh = self.stage.settings.home / f".{name}"
        fresh.write_text(json.dumps(document), encoding="utf-8")
        fresh.replace(self.stage.settings.home / name)

    def forget(self, sensor: str, cursor: str) -> None:
        """Put a sensor back to an earlier cursor: what a daemon leaves that died after a tick and before it was noted."""
        with self.instance() as instance:
            (state,) = [state for state in instance.all_instigator_state() if state.instigator_name == sensor]
            data = state.instigator_data
            instance.update_instigator_state(state.with_data(data._replace(cursor=cursor)))  # pyright: ignore

    def cursor(self, sensor: str) -> str:
        with self.instance() as instance:
            (state,) = [state for state in instance.all_instigator_state() if state.instigator_name == sensor]
        return getattr(state.instigator_data, "cursor", None) or ""

    def said(self, sensor: str) -> str:
        """Why the sensor's latest tick requested nothing."""
        with self.instance() as instance:
            (state,) = [state for state in instance.all_instigator_state() if state.instigator_name == sensor]
            ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
        return (ticks[0].skip_reason or "") if ticks else ""

    def execute_queued(self) -> None:
        """Execute the runs that wait in the queue in this process, one after the other; a daemon must not be there to do it."""
        assert not self.daemons
        job = live_definitions(self.stage.settings, list(self.stage.workloads.values())).resolve_implicit_global_asset_job_def()
        with self.instance() as instance:
            for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED])):
                taken = dg.DagsterEvent(dg.DagsterEventType.PIPELINE_STARTING.value, run.job_name)
                instance.report_dagster_event(taken, run.run_id)
                part = job.get_subset(asset_selection=run.asset_selection)
                starting = instance.get_run_by_id(run.run_id)
                assert starting is not None
                execute_run(InMemoryJob(part), starting, instance)

    def acting(self, jurisdiction: str = "UK") -> tuple[str, int]:
        register = CloudStores.from_settings(self.stage.settings).register
        acting = register.read(self.stage.workloads[WORKLOAD], jurisdiction)
        return acting.location, acting.epoch

    def runs(self) -> list[dg.DagsterRun]:
        with self.instance() as instance:
            return list(instance.get_runs())

    def requested(self) -> dict[str, int]:
        """How many runs each sensor requested, Dagster's own retries of killed ones apart."""
        return dict(Counter(run.tags.get(SENSOR_TAG, "nobody") for run in self.runs() if RETRY_TAG not in run.tags))

    def takeovers(self) -> Counter[str]:
        """How many runs were requested for which takeover: `<workload>/<jurisdiction>/<epoch>`."""
        return Counter(run.tags[TAKEOVER_TAG] for run in self.runs() if TAKEOVER_TAG in run.tags and RETRY_TAG not in run.tags)

    def run_of(self, **tags: str) -> dg.DagsterRun | None:
        """The newest run with these tags, given with `__` for `/`."""
        wanted = {name.replace("__", "/"): value for name, value in tags.items()}
        found = [run for run in self.runs() if wanted.items() <= run.tags.items()]
        return found[0] if found else None

    def worker(self, run: dg.DagsterRun) -> psutil.Process | None:
        """The process that works on a run; None before it reported itself."""
        with self.instance() as instance:
            entries = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
        events = [entry.dagster_event for entry in entries if entry.dagster_event is not None]
        pids = [event.engine_event_data.metadata.get("pid") for event in events]
        told = [int(str(pid.value)) for pid in pids if pid is not None]
        return psutil.Process(told[-1]) if told else None

    def took_over(self, location: str, epoch: int) -> bool:
        pointer = self.stage.snapshots(self.stage.workloads[WORKLOAD], location, "landing").current_pointer()
        return pointer is not None and pointer.epoch == epoch
