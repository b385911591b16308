"""A whole platform that runs beside a benchmark: `mcml dev` on a copy of the project, with a folder and ports of its own.

The copy is the project as it is, with `online_retail` as its only workload, but for the lines of its declaration that a
benchmark changes, such as the days of one batch: more of the real data's batches, through the real landing. What is
measured is in each benchmark.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path

import dagster as dg

from mcml_assets.clouds.registry import open_store
from mcml_assets.configuration.settings import DEFS, PROJECT_ROOT, Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.configuration.workload import load_workload
from mcml_assets.domain.errors import McmlError
from mcml_assets.register.quorum import QuorumRegister
from mcml_assets.serving.client import Prediction, predict
from mcml_assets.status import LocationStatus, collect_status
from mcml_assets_tests.ports import free_ports

MCML = str(Path(sys.executable).with_name("mcml"))
WORKLOAD = "online_retail"
START_SECONDS = 1200.0
PROJECT_FILES = ("pyproject.toml", "dagster.yaml", "workspace.yaml")
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


class Platform:
    """A platform in `folder`, as a person meets it: by its commands, its edge and its Dagster."""

    def __init__(self, folder: Path) -> None:
        ports = free_ports(4)
        self.folder = folder
        self.project = folder / "project"
        self.settings = Settings(
            home=folder / "home", webserver_port=ports[0], edge_port=ports[1], edge_admin_port=ports[2],
            metrics_port=ports[3], endpoint_first_port=22000,
        )  # fmt: skip
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(self.project),
            "MCML_HOME": str(self.settings.home),
            "MCML_WEBSERVER_PORT": str(ports[0]),
            "MCML_EDGE_PORT": str(ports[1]),
            "MCML_EDGE_ADMIN_PORT": str(ports[2]),
            "MCML_METRICS_PORT": str(ports[3]),
            "MCML_ENDPOINT_FIRST_PORT": "22000",
        }
        self.topology = load_topology(self.settings.topology_file)
        self.workload = load_workload(DEFS / WORKLOAD / "defs.yaml", self.topology)

    @cached_property
    def register(self) -> QuorumRegister:
        return QuorumRegister(self.topology, lambda location: open_store(self.topology.location(location), self.settings))

    @property
    def ui(self) -> str:
        return f"http://127.0.0.1:{self.settings.webserver_port}"

    def mcml(self, *arguments: str) -> str:
        """What a command prints. Raises `CalledProcessError` when it fails."""
        command = [MCML, *arguments]
        done = subprocess.run(command, env=self.environment, cwd=self.project, capture_output=True, text=True, check=True)
        return done.stdout

    def rows(self) -> list[LocationStatus]:
        return list(collect_status([self.workload], self.topology, self.settings))

    def healthy(self) -> bool:
        """Whether every location is as it should be and lacks nothing, and no run is under way or queued."""
        rows = self.rows()
        if not all(row.healthy and row.lag_seconds == 0 for row in rows):
            return False  # nor is Dagster's database opened while Dagster may still be making it
        return self.at_rest()

    def caught_up(self) -> bool:
        """Whether every location holds the newest data and its features, and answers, be it with a former model."""
        rows = self.rows()
        return all(
            row.lag_seconds == 0 and row.endpoint in ("ready", "rolling out", "cold") for row in rows
        ) and not self.lacking(rows)

    @staticmethod
    def lacking(rows: Sequence[LocationStatus]) -> list[str]:
        """Locations whose features are not those of their jurisdiction's acting location."""
        acting = {row.jurisdiction: row.feature_snapshot for row in rows if row.acting}
        return [row.location for row in rows if row.feature_snapshot != acting.get(row.jurisdiction)]

    def at_rest(self) -> bool:
        """Whether no run is under way or queued."""
        with self.instance() as instance:
            return instance.get_runs_count(dg.RunsFilter(statuses=UNFINISHED)) == 0

    def settled(self) -> bool:
        """Whether it is healthy, and still so after two ticks of automation."""
        if not self.healthy():
            return False
        time.sleep(12)
        return self.healthy()

    def darken(self, target: str) -> float:
        """Break a location or a cloud, as `mcml fault set` does; returns since when it is down, in Unix seconds."""
        told = self.mcml("fault", "set", target, "--kind", "outage", "--for", "30m", "--why", "benchmark", "--json")
        return datetime.fromisoformat(json.loads(told)["begins"]).timestamp()

    def predict(self, jurisdiction: str, entity: int) -> Prediction | None:
        """One answer of the edge; None where there was none."""
        try:
            return predict(self.settings, self.workload, entity, jurisdiction)
        except McmlError:
            return None

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        with dg.DagsterInstance.from_config(str(self.settings.dagster_home)) as instance:
            yield instance


def copy_project(folder: Path, changes: Mapping[str, str]) -> None:
    """Copy the project there with `online_retail` alone, these lines of its declaration changed; a line must be there once."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(PROJECT_ROOT / "mcml_assets", folder / "mcml_assets", ignore=shutil.ignore_patterns("__pycache__"))
    for name in PROJECT_FILES:
        shutil.copyfile(PROJECT_ROOT / name, folder / name)
    for other in (folder / "mcml_assets" / "defs").glob("*/"):
        if other.name != WORKLOAD:
            shutil.rmtree(other)
    declaration = folder / "mcml_assets" / "defs" / WORKLOAD / "defs.yaml"
    text = declaration.read_text()
    for former, new in changes.items():
        if text.count(former) != 1:
            raise SystemExit(f"{declaration} has {former!r} {text.count(former)} times, expected once")
        text = text.replace(former, new)
    declaration.write_text(text)
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(folder / "mcml_assets")], check=True)


@contextmanager
def running(platform: Platform) -> Iterator[subprocess.Popen[bytes]]:
    """The platform's process, up with all its locations, and ended, also by SIGTERM. Raises `SystemExit` when not in time."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    with (platform.folder / "dev.log").open("ab") as log:
        process = subprocess.Popen(
            [MCML, "dev"], env=platform.environment, cwd=platform.project, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_until(platform.caught_up, START_SECONDS, 5.0, "every location holds data, and answers")
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=120)


def wait_until(reached: Callable[[], bool], seconds: float, pause: float, what: str) -> None:
    """Ask again and again. Raises `SystemExit` when it was not reached in time."""
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            raise SystemExit(f"after {seconds:.0f} s it is still not so that {what}")
        time.sleep(pause)
