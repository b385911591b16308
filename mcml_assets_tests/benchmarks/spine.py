"""What the platform adds to Dagster: time to load, per asset and per workload, and time of a run that has nothing to do."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from mcml_assets.build import DEFS
from mcml_assets_tests.benchmarks.report import Result, publish, seconds, side_by_side
from mcml_assets_tests.ports import free_ports

REPEATS = 7
START_SECONDS = 120
RUN_SECONDS = 120
WORKLOADS = (1, 10, 100)
LOCATION = "aws/eu-west-2"
LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
# Without the queue: there is no daemon that would take a run up.
INSTANCE = """
telemetry: {enabled: false}
run_coordinator: {module: dagster._core.run_coordinator, class: DefaultRunCoordinator}
"""
LOCATIONS = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }"
STATUS = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status creationTime endTime } } }"

# A Dagster project as `create-dagster` makes one, with the same partitions and one asset that does nothing.
BARE_PROJECT = {
    "pyproject.toml": """
[project]
name = "bare"
version = "0"
[tool.dg]
directory_type = "project"
[tool.dg.project]
root_module = "bare"
""",
    "bare/__init__.py": "",
    "bare/definitions.py": """
from pathlib import Path
import dagster as dg

@dg.definitions
def defs():
    loaded = dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
    return dg.Definitions.merge(loaded, dg.Definitions(executor=dg.in_process_executor))
""",
    "bare/defs/__init__.py": "",
    "bare/defs/empty.py": """
import dagster as dg

@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["aws/eu-west-2", "gcp/europe-west2"]))
def empty() -> None: ...
""",
}
BARE, OURS = "bare.definitions", "mcml_assets.definitions"

LOAD = """
import importlib, sys
defs = importlib.import_module(sys.argv[1]).defs
(defs() if callable(defs) else defs).get_repository_def()
"""

LOAD_MANY = """
import sys, time, warnings
from pathlib import Path
began = time.perf_counter()
import dagster as dg
with_dagster = time.perf_counter()
from mcml_assets.build import build_resources, build_workload
from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.configuration.workload import load_workload
with_platform = time.perf_counter()
topology = load_topology(Settings().topology_file)
files = sorted(Path(sys.argv[1]).glob("*/defs.yaml"))
workloads = (build_workload(load_workload(file, topology)) for file in files)
definitions = dg.Definitions.merge(build_resources(Settings()), *workloads)
graph = definitions.get_repository_def().asset_graph
loaded = time.perf_counter()
print(with_dagster - began, with_platform - with_dagster, loaded - with_platform, len(graph.executable_asset_keys))
"""


def main() -> None:
    """Run everything and publish `build/bench/spine.json`."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, text in BARE_PROJECT.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        results = [_load(folder), *_load_many(folder), _idle_run(folder)]
    publish("spine", results)


def _load(folder: Path) -> Result:
    ours, peer = side_by_side(
        lambda: seconds(lambda: _python(folder, "-c", LOAD, OURS)),
        lambda: seconds(lambda: _python(folder, "-c", LOAD, BARE)),
        REPEATS,
    )
    return Result("load the code location, against a bare Dagster project", "ratio <= 1.5", ours, peer, "s")


def _load_many(folder: Path) -> list[Result]:
    """Importing the platform, once; then milliseconds per asset for growing numbers of workloads, beside the largest."""
    per_asset: dict[int, float] = {}
    imports: list[tuple[float, float]] = []
    for count in WORKLOADS:
        defs = folder / f"defs_{count}"
        for number in range(count):
            _copy_workload(defs, f"workload_{number:03d}")
        runs = [tuple(map(float, _python(folder, "-c", LOAD_MANY, str(defs)).split())) for _ in range(REPEATS)]
        imports += [(dagster, platform) for dagster, platform, _, _ in runs]
        per_asset[count] = median(1000 * took / assets for _, _, took, assets in runs)
    dagster, platform = (median(column) for column in zip(*imports, strict=True))
    return [
        Result("import the platform, against importing dagster", "ratio <= 0.5", platform, dagster, "s"),
        *(
            Result(f"load {count} workloads, per asset", "ours <= 5", ours, per_asset[WORKLOADS[-1]], "ms")
            for count, ours in per_asset.items()
        ),
    ]


def _copy_workload(defs: Path, name: str) -> None:
    target = defs / name
    shutil.copytree(DEFS / "online_retail", target, ignore=shutil.ignore_patterns("*.parquet", "__pycache__"))
    for data in (DEFS / "online_retail" / "data").glob("*.parquet"):
        (target / "data" / data.name).symlink_to(data)
    declaration = target / "defs.yaml"
    declaration.write_text(declaration.read_text().replace("name: online_retail", f"name: {name}", 1))


def _idle_run(folder: Path) -> Result:
    """A launched run of `raw_data` that finds its snapshot in place, against a launched run of an empty asset."""
    with Webserver(folder) as webserver:
        webserver.run(OURS, "online_retail/landing", "UK")
        webserver.run(OURS, "online_retail/raw_data", LOCATION)
        ours, peer = side_by_side(
            lambda: webserver.run(OURS, "online_retail/raw_data", LOCATION),
            lambda: webserver.run(BARE, "empty", LOCATION),
            REPEATS,
        )
    return Result("a launched run with nothing to do, against one of an empty asset", "ratio <= 1.3", ours, peer, "s")


class Webserver:
    """A Dagster webserver over both code locations, which launches runs as the UI does."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, free_ports(1)[0]

    def __enter__(self) -> "Webserver":
        home = self._folder / "dagster"
        home.mkdir()
        (home / "dagster.yaml").write_text(INSTANCE)
        locations = "".join(f"  - python_module: {{module_name: {name}, location_name: {name}}}\n" for name in (OURS, BARE))
        (self._folder / "workspace.yaml").write_text(f"load_from:\n{locations}")
        environment = {
            **os.environ,
            "DAGSTER_HOME": str(home),
            "MCML_HOME": str(self._folder / "platform"),
            "PYTHONPATH": str(self._folder),
        }
        command = [sys.executable, "-W", "ignore", "-m", "dagster_webserver", "-h", "127.0.0.1", "-p", str(self._port)]
        self._process = subprocess.Popen(
            [*command, "-w", str(self._folder / "workspace.yaml")], env=environment, cwd=self._folder,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        self._wait_until_up()
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait(30)

    def run(self, location: str, asset: str, partition: str) -> float:
        """Launch a run and wait for its end; seconds from the request to the end."""
        launched = self._ask(LAUNCH, {"params": {
            "selector": {
                "repositoryLocationName": location,
                "repositoryName": "__repository__",
                "jobName": "__ASSET_JOB",
                "assetSelection": [{"path": asset.split("/")}],
            },
            "mode": "default",
            "executionMetadata": {"tags": [{"key": "dagster/partition", "value": partition}]},
        }})["launchRun"]  # fmt: skip
        if "run" not in launched:
            raise SystemExit(f"{asset} could not be launched: {launched}")
        deadline = time.monotonic() + RUN_SECONDS
        while time.monotonic() < deadline:
            run = self._ask(STATUS, {"id": launched["run"]["runId"]})["runOrError"]
            match run["status"]:
                case "SUCCESS":
                    return run["endTime"] - run["creationTime"]
                case "FAILURE":
                    raise SystemExit(f"the run of {asset} in {partition} failed")
            time.sleep(0.02)
        raise SystemExit(f"the run of {asset} in {partition} did not end within {RUN_SECONDS} s")

    def _wait_until_up(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                if len(self._ask(LOCATIONS, {})["repositoriesOrError"]["nodes"]) == 2:
                    return
            except (httpx.HTTPError, KeyError):
                time.sleep(0.5)
        raise SystemExit(f"the webserver did not come up within {START_SECONDS} s")

    def _ask(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self._port}/graphql"
        answer = httpx.post(url, json={"query": query, "variables": variables}, timeout=60, trust_env=False)
        return answer.json()["data"]


def _python(folder: Path, *arguments: str) -> str:
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", *arguments],
        env={**os.environ, "PYTHONPATH": str(folder)}, cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if finished.returncode:
        raise SystemExit(f"{' '.join(arguments)[:200]} failed:\n{finished.stdout[-2000:]}\n{finished.stderr[-4000:]}")
    return finished.stdout


if __name__ == "__main__":
    main()
