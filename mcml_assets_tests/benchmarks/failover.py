"""`python -m mcml_assets_tests.benchmarks.failover`: how long an outage lasts, on a live platform, and what sensor ticks cost.

Each round darkens the location that acts for one jurisdiction, by `mcml fault set`, and takes the time until it was
noticed, decided, the first run began, a snapshot was published elsewhere, and a prediction was made from it. Figures go
beside what others publish; those are their words for their services, and were not measured here.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import dagster as dg

from mcml_assets.configuration.settings import DEFS, PROJECT_ROOT, Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.configuration.workload import load_workloads
from mcml_assets.domain.errors import McmlError
from mcml_assets.failover.control import platform_control
from mcml_assets.serving.client import Prediction, predict
from mcml_assets_tests.benchmarks.outage_pictures import take_pictures
from mcml_assets_tests.ports import free_ports

MCML = str(Path(sys.executable).with_name("mcml"))
GREEN_SECONDS = 1800.0
ROUND_SECONDS = 300.0
STAGES = ("decided", "first_run", "published", "predicted")
ASKED = {"online_retail": {"UK": 17850, "EU": 12583}}
PUBLISHED = (
    ("Route 53 health checks", "30 s to notice (10 s x 3), plus the record's TTL", "developer guide, health checks"),
    ("Temporal Cloud, multi-cloud replication", "recovery time objective of 20 minutes", "Temporal Cloud documentation"),
    ("AWS Region switch", "plans evaluated every 30 minutes", "ARC Region switch documentation"),
)


@dataclass(frozen=True, slots=True)
class Round:
    """One outage: who was left for whom, and seconds from the fault to each stage; None where a stage was not reached."""

    jurisdiction: str
    left: str
    taken_by: str
    decided: float | None
    first_run: float | None
    published: float | None
    predicted: float | None
    timeline: list[tuple[float, str]]


class Platform:
    """A running `mcml dev` with a folder and ports of its own."""

    def __init__(self, home: Path) -> None:
        ports = free_ports(4)
        self.home = home
        self.environment = {
            **os.environ,
            "MCML_HOME": str(home),
            "MCML_WEBSERVER_PORT": str(ports[0]),
            "MCML_EDGE_PORT": str(ports[1]),
            "MCML_EDGE_ADMIN_PORT": str(ports[2]),
            "MCML_ENDPOINT_FIRST_PORT": "26000",
        }
        self.settings = Settings(home=home, edge_port=ports[1], edge_admin_port=ports[2], webserver_port=ports[0])
        self.topology = load_topology(self.settings.topology_file)
        self.workload = next(one for one in load_workloads(DEFS, self.topology)[0] if one.name == "online_retail")
        self.control = platform_control(self.settings, self.topology)

    def mcml(self, *arguments: str) -> str:
        done = subprocess.run([MCML, *arguments], env=self.environment, capture_output=True, text=True, check=False)
        return done.stdout

    def rows(self) -> list[dict[str, Any]]:
        return json.loads(self.mcml("status", "--json") or "[]")

    def healthy(self) -> bool:
        """Every location as it should be, and nothing under way."""
        rows = self.rows()
        if not rows or not all(row["healthy"] for row in rows):
            return False  # nor is Dagster's database opened while Dagster may still be making it
        with self.instance() as instance:
            unfinished = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
            return instance.get_runs_count(dg.RunsFilter(statuses=unfinished)) == 0

    def acting(self, jurisdiction: str) -> str:
        return self.control.register.read(self.workload, jurisdiction).location

    def predict(self, jurisdiction: str) -> Prediction | None:
        try:
            return predict(self.settings, self.workload, ASKED[self.workload.name][jurisdiction], jurisdiction)
        except McmlError:
            return None

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        with dg.DagsterInstance.from_config(str(self.settings.dagster_home)) as instance:
            yield instance


@contextmanager
def running(home: Path) -> Iterator[Platform]:
    """The platform, started and ended."""
    platform = Platform(home)
    with (home.parent / "dev.log").open("ab") as log:
        process = subprocess.Popen([MCML, "dev"], env=platform.environment, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_until(platform.healthy, GREEN_SECONDS, 5.0)
        yield platform
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=120)


def wait_until(reached: Callable[[], bool], seconds: float, pause: float) -> bool:
    """Ask again and again; whether it was reached in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if reached():
            return True
        time.sleep(pause)
    return False


def outage(platform: Platform, jurisdiction: str) -> Round:
    """One round: darken, take the times, mend, and wait until all is well again."""
    left, before = platform.acting(jurisdiction), platform.predict(jurisdiction)
    began = time.time()
    fault = json.loads(platform.mcml("fault", "set", left, "--kind", "outage", "--for", "30m", "--why", "benchmark", "--json"))
    began = datetime.fromisoformat(fault["begins"]).timestamp()
    seen: list[float] = []

    def answered() -> bool:
        answer = platform.predict(jurisdiction)
        new = answer is not None and before is not None and answer.feature_snapshot != before.feature_snapshot
        if new:
            seen.append(time.time())
        return new

    wait_until(answered, ROUND_SECONDS, 0.25)
    entry = platform.control.register.entry(platform.workload, jurisdiction)  # pyright: ignore[reportAttributeAccessIssue] - the real register tells since when
    first_run, published = _events(platform, jurisdiction, began)
    platform.mcml("fault", "clear", "--all")
    wait_until(platform.healthy, GREEN_SECONDS, 5.0)
    decided = datetime.fromisoformat(entry.since).timestamp()
    return Round(
        jurisdiction, left, entry.acting.location,
        decided - began if decided > began else None,
        first_run - began if first_run else None,
        published - began if published else None,
        seen[0] - began if seen else None,
        _timeline(platform, jurisdiction, began),
    )  # fmt: skip


def _events(platform: Platform, jurisdiction: str, began: float) -> tuple[float | None, float | None]:
    """When the first run of the takeover began, and when its landing was published."""
    with platform.instance() as instance:
        records = instance.get_run_records(dg.RunsFilter(tags={"dagster/partition": jurisdiction}), limit=50)
        starts = [
            record.start_time for record in records
            if "mcml/takeover" in record.dagster_run.tags and record.start_time and record.start_time > began
        ]  # fmt: skip
        key = dg.AssetKey([platform.workload.name, "landing"])
        landed = instance.fetch_materializations(dg.AssetRecordsFilter(key, asset_partitions=[jurisdiction]), limit=10).records
    published = [record.timestamp for record in landed if record.timestamp > began]
    return min(starts, default=None), min(published, default=None)


def _timeline(platform: Platform, jurisdiction: str, began: float) -> list[tuple[float, str]]:
    """What Dagster shows of the round: decisions, and what was published, in seconds from the fault."""
    name = platform.workload.name
    told: list[tuple[float, str]] = []
    with platform.instance() as instance:
        route = dg.AssetRecordsFilter(dg.AssetKey([name, "traffic_route"]), asset_partitions=[jurisdiction])
        for record in instance.fetch_observations(route, limit=50).records:
            observation = record.event_log_entry.asset_observation
            told.append((record.timestamp - began, observation.description or "" if observation else ""))
        places = [placed.key for placed in platform.workload.placement(jurisdiction).locations]
        for noun in ("landing", "raw_data", "feature_snapshot", "training_run", "model", "endpoint", "traffic_route"):
            wanted = dg.AssetRecordsFilter(dg.AssetKey([name, noun]), asset_partitions=[jurisdiction, *places])
            for record in instance.fetch_materializations(wanted, limit=100).records:
                told.append((record.timestamp - began, f"{noun} [{record.partition_key}] was published"))
    return sorted((round(at, 1), text) for at, text in told if at > 0)


def report(rounds: list[Round]) -> dict[str, Any]:
    """Median and worst of each stage, beside what others publish."""
    stages = {}
    for stage in STAGES:
        taken = [seconds for seconds in (getattr(one, stage) for one in rounds) if seconds is not None]
        if taken:
            stages[stage] = {"median": round(median(taken), 1), "worst": round(max(taken), 1), "reached": len(taken)}
    others = [{"who": who, "says": says, "where": where} for who, says, where in PUBLISHED]
    load = os.getloadavg()[0]
    return {"rounds": [asdict(one) for one in rounds], "stages": stages, "of": len(rounds), "load": load, "others": others}


def main() -> None:
    """Run the rounds and publish `build/bench/failover.json`."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rounds", type=int, default=20)
    arguments.add_argument("--pictures", type=Path, help="Folder for screenshots of the first outage, as the UI shows it.")
    given = arguments.parse_args()
    rounds = given.rounds
    done: list[Round] = []
    with tempfile.TemporaryDirectory() as scratch, running(Path(scratch) / "home") as platform:
        for number in range(rounds):
            done.append(outage(platform, ("UK", "EU")[number % 2]))
            print(done[-1], flush=True)  # noqa: T201 - a benchmark tells how far it is
            if given.pictures is not None and number == 0:
                take_pictures(f"http://127.0.0.1:{platform.settings.webserver_port}", platform.workload.name, given.pictures)
    target = PROJECT_ROOT / "build" / "bench" / "failover.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(report(done), indent=2) + "\n")
    print(target.read_text())  # noqa: T201 - the figures


if __name__ == "__main__":
    main()
