"""What remains of a drill whose process is killed: nothing, after the time that its faults were set for."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from mcml_assets.clouds.fault_plan import list_faults
from mcml_assets.configuration.settings import Settings

LASTS_SECONDS = 4.0
PATIENCE_SECONDS = 60.0
# A process that Dagster's daemon might be, and a drill that breaks two things and then works on for ever.
DAEMON = "import time; time.sleep(600)"
DRILL = """
import sys, time
from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.domain.faults import FaultKind
from mcml_assets.domain.scenario import Injection, ProcessFault
from mcml_assets.drills.injection import Injector
from mcml_assets.serving.local_platform import LocalEndpointPlatform
from mcml_assets_tests.failover.stage import example_workloads

settings = Settings()
topology = load_topology(settings.topology_file)
injector = Injector(settings, topology, example_workloads(["online_retail"])[0], LocalEndpointPlatform(settings))
lasts = float(sys.argv[1])
injector.inject(Injection(FaultKind.OUTAGE, "acting", 0, lasts), "aws/eu-west-2", "drill")
injector.inject(Injection(ProcessFault.ORCHESTRATOR_FROZEN, "platform", 0, lasts), "platform", "drill")
print("broken", flush=True)
time.sleep(600)
"""


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        if time.monotonic() > deadline:
            pytest.fail("it did not happen")
        time.sleep(0.1)


def test_a_killed_drill_leaves_nothing_broken(tmp_path: Path) -> None:
    """kill -9 in the middle of a drill: its outage expires, and the daemon that it stopped goes on, by themselves."""
    settings = Settings(home=tmp_path)
    environment = {"MCML_HOME": str(tmp_path), "DAGSTER_HOME": str(settings.dagster_home), "PATH": "/usr/bin:/bin"}
    daemon = subprocess.Popen([sys.executable, "-c", DAEMON, "dagster._daemon"], env=environment)
    drill = subprocess.Popen(
        [sys.executable, "-c", DRILL, str(LASTS_SECONDS)], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert drill.stdout is not None
        assert drill.stdout.readline() == "broken\n"
        drill.kill()
        drill.wait()
        stopped = psutil.Process(daemon.pid)
        assert len(list_faults(settings)) == 1
        assert stopped.status() == psutil.STATUS_STOPPED
        until(lambda: list_faults(settings) == () and stopped.status() != psutil.STATUS_STOPPED)
    finally:
        for process in (drill, daemon):
            process.kill()
            process.wait()
