"""What a real daemon does in an outage: bounded, once, and going on after kill -9; every figure is a count, none a time."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from mcml_assets.automation import TAKEOVER_TAG
from mcml_assets.configuration.settings import PROJECT_ROOT
from mcml_assets.resources.stores import CloudStores
from mcml_assets.sensors.recovery import CATCH_UP_TAG
from mcml_assets_tests.alerting.receiver import receiver
from mcml_assets_tests.failover.stage import Stage, example_workloads

pytestmark = pytest.mark.live

SHOP = "online_retail"
A, B = "aws/eu-west-2", "gcp/europe-west2"
PATIENCE_SECONDS = 300.0
SEVERAL_TICKS_SECONDS = 20.0
DAEMON = str(Path(sys.executable).with_name("dagster-daemon"))


class Control:
    """Daemons over one stage and one Dagster instance."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.daemons: list[subprocess.Popen[bytes]] = []
        home = stage.settings.dagster_home
        home.mkdir(parents=True)
        shutil.copyfile(PROJECT_ROOT / "dagster.yaml", home / "dagster.yaml")
        # Its databases are made before anybody else can: two that make them at once make them twice.
        with dg.DagsterInstance.from_config(str(home)) as instance:
            assert instance.get_runs() == []
            assert instance.all_instigator_state() == []
            assert instance.get_asset_keys() == []
        self.environment = {
            **os.environ,
            "DAGSTER_HOME": str(home),
            "MCML_HOME": str(stage.settings.home),
            "PYTHONPATH": str(PROJECT_ROOT),
        }

    def start(self) -> subprocess.Popen[bytes]:
        """One more daemon, with its code server, in a session of its own."""
        with (self.stage.settings.home / "daemon.log").open("ab") as log:
            daemon = subprocess.Popen(
                [DAEMON, "run", "-m", "mcml_assets_tests.sensors.live_platform"], cwd=PROJECT_ROOT,
                env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.daemons.append(daemon)
        return daemon

    def kill(self) -> None:
        """kill -9 of every daemon with all that it started."""
        for daemon in self.daemons:
            os.killpg(daemon.pid, signal.SIGKILL)
            daemon.wait()
        self.daemons.clear()

    def wait(self, reached: Callable[[], bool]) -> None:
        """Wait, as the data plane that goes on, until something is so."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not reached():
            self.stage.beat()
            assert time.monotonic() < deadline, (self.stage.settings.home / "daemon.log").read_text()[-3000:]
            time.sleep(0.2)

    def settle(self) -> None:
        """Some more ticks, in which nothing more should happen."""
        until = time.monotonic() + SEVERAL_TICKS_SECONDS
        self.wait(lambda: time.monotonic() > until)

    def acting(self, jurisdiction: str) -> tuple[str, int]:
        register = CloudStores.from_settings(self.stage.settings).register
        acting = register.read(self.stage.workloads[SHOP], jurisdiction)
        return acting.location, acting.epoch

    def runs(self, tag: str) -> Counter[str]:
        """How many runs were requested, by what they were requested for."""
        with dg.DagsterInstance.from_config(str(self.stage.settings.dagster_home)) as instance:
            return Counter(run.tags[tag] for run in instance.get_runs() if tag in run.tags)

    def took_over(self, location: str, epoch: int) -> bool:
        pointer = self.stage.snapshots(self.stage.workloads[SHOP], location, "landing").current_pointer()
        return pointer is not None and pointer.epoch == epoch

    def ticked(self) -> bool:
        """Whether the failover sensor has ticked, so that what follows is not its first sight of the world."""
        with dg.DagsterInstance.from_config(str(self.stage.settings.dagster_home)) as instance:
            states = instance.all_instigator_state()
        return any(state.instigator_name == "failover" and state.instigator_data is not None
                   and getattr(state.instigator_data, "cursor", None) for state in states)  # fmt: skip


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    stage = Stage(tmp_path / "home", example_workloads([SHOP]))
    stage.fill()
    control = Control(stage)
    try:
        yield control
    finally:
        control.kill()


def test_a_daemon_that_is_killed_in_the_middle(control: Control):
    """Killed with -9 the moment the work had moved: after its return one takeover was requested, and the epoch is one."""
    control.start()
    control.wait(control.ticked)
    control.stage.darken("aws")
    control.wait(lambda: control.acting("UK") == (B, 2))
    control.kill()
    control.start()
    control.wait(lambda: control.took_over(B, 2))
    control.settle()
    assert control.runs(TAKEOVER_TAG) == {f"{SHOP}/UK/2": 1}
    assert control.acting("UK") == (B, 2)
    assert control.acting("EU") == ("azure/westeurope", 1)


def test_an_outage_under_two_daemons_and_its_end(control: Control):
    """Two daemons by mistake: one change, at most one takeover each; mended, the primary acts again, and that is all."""
    control.start()
    control.wait(control.ticked)
    control.start()
    control.stage.darken("aws")
    control.wait(lambda: control.took_over(B, 2))
    control.settle()
    assert control.acting("UK") == (B, 2)
    assert control.runs(TAKEOVER_TAG)[f"{SHOP}/UK/2"] <= 2
    control.stage.mend()
    control.wait(lambda: control.took_over(A, 3))
    control.settle()
    takeovers = control.runs(TAKEOVER_TAG)
    assert control.acting("UK") == (A, 3)
    assert set(takeovers) == {f"{SHOP}/UK/2", f"{SHOP}/UK/3"}
    assert takeovers[f"{SHOP}/UK/3"] <= 2
    assert control.runs(CATCH_UP_TAG).total() == 0


def test_a_failure_from_before_the_daemon_is_told_once_and_so_is_its_end(control: Control):
    """Its receiver answers 503 at first: the notice is owed, arrives, is not repeated after kill -9, and is resolved."""
    broken = [True]

    @dg.asset(key=dg.AssetKey([SHOP, "landing"]))
    def landing() -> None:
        if broken[0]:
            raise ValueError("a bug")

    def run() -> None:
        with dg.DagsterInstance.from_config(str(control.stage.settings.dagster_home)) as instance:
            dg.materialize([landing], instance=instance, raise_on_error=False)

    run()
    with receiver() as here:
        control.environment |= {"MCML_ALERT_WEBHOOK": "ALERTS", "ALERTS": here.address}
        here.answers = [503] * 3
        control.start()
        control.wait(lambda: len(here.got) > 3)
        control.kill()
        control.start()
        broken[0] = False
        run()
        control.wait(lambda: here.got[-1]["action"] == "resolve")
        told = [(one["action"], one["key"]) for one in here.got if one["key"].startswith("run/")]
    cause = f"run/{SHOP}/landing/ValueError"
    assert told == [("trigger", cause)] * 4 + [("resolve", cause)]
