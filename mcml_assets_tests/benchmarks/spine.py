"""What the platform adds to Dagster: time to load, per asset and per workload, and time of a run that has nothing to do."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from mcml_assets.build import DEFS
from mcml_assets.configuration.settings import PROJECT_ROOT
from mcml_assets_tests.benchmarks.report import Result, publish, seconds, side_by_side

REPEATS = 7
WORKLOADS = (1, 10, 100)
LOCATION = "aws/eu-west-2"

# A code location of the same partitions and one asset that does nothing.
BARE_LOCATION = """
import dagster as dg

@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["aws/eu-west-2", "gcp/europe-west2"]))
def empty() -> None: ...

defs = dg.Definitions(assets=[empty], executor=dg.in_process_executor)
"""

LOAD = """
import importlib, sys
defs = importlib.import_module(sys.argv[1]).defs
(defs() if callable(defs) else defs).get_repository_def()
"""

LOAD_MANY = """
import sys, time, warnings
from pathlib import Path
import dagster as dg
began = time.perf_counter()
from mcml_assets.build import build_resources, build_workload
from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.configuration.workload import load_workload
topology = load_topology(Settings().topology_file)
files = sorted(Path(sys.argv[1]).glob("*/defs.yaml"))
workloads = (build_workload(load_workload(file, topology)) for file in files)
definitions = dg.Definitions.merge(build_resources(Settings()), *workloads)
graph = definitions.get_repository_def().asset_graph
print(time.perf_counter() - began, len(graph.executable_asset_keys))
"""


def main() -> None:
    """Run everything and publish `build/bench/spine.json`."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "bare_location.py").write_text(BARE_LOCATION)
        results = [_load(folder), *_load_many(folder), _idle_run(folder)]
    publish("spine", results)


def _load(folder: Path) -> Result:
    ours, peer = side_by_side(
        lambda: seconds(lambda: _python(folder, "-c", LOAD, "mcml_assets.definitions")),
        lambda: seconds(lambda: _python(folder, "-c", LOAD, "bare_location")),
        REPEATS,
    )
    return Result("load the code location, against a bare Dagster project", "ratio <= 1.5", ours, peer, "s")


def _load_many(folder: Path) -> list[Result]:
    """Milliseconds per asset beyond importing dagster, for growing numbers of workloads; the peer is the smallest."""
    per_asset: dict[int, float] = {}
    for count in WORKLOADS:
        defs = folder / f"defs_{count}"
        for number in range(count):
            _copy_workload(defs, f"workload_{number:03d}")
        took, assets = min(tuple(map(float, _python(folder, "-c", LOAD_MANY, str(defs)).split())) for _ in range(3))
        per_asset[count] = 1000 * took / assets
    return [
        Result(f"load {count} workloads, per asset beyond importing dagster", "ours <= 5", per_asset[count],
               per_asset[WORKLOADS[-1]], "ms")
        for count in WORKLOADS
    ]  # fmt: skip


def _copy_workload(defs: Path, name: str) -> None:
    target = defs / name
    shutil.copytree(DEFS / "online_retail", target, ignore=shutil.ignore_patterns("*.parquet", "__pycache__"))
    for data in (DEFS / "online_retail" / "data").glob("*.parquet"):
        (target / "data" / data.name).symlink_to(data)
    declaration = target / "defs.yaml"
    declaration.write_text(declaration.read_text().replace("name: online_retail", f"name: {name}", 1))


def _idle_run(folder: Path) -> Result:
    """A launched run of `raw_data` that finds its snapshot in place, against a launched run of an empty asset."""
    home = folder / "platform"
    environment = {"MCML_HOME": str(home), "DAGSTER_HOME": str(folder / "dagster")}
    (folder / "dagster").mkdir()
    shutil.copyfile(PROJECT_ROOT / "dagster.yaml", folder / "dagster" / "dagster.yaml")

    def materialize(module: str, asset: str, partition: str) -> None:
        _python(folder, "-m", "dagster", "asset", "materialize", "-m", module, "--select", asset, "--partition", partition,
                environment=environment)  # fmt: skip

    materialize("mcml_assets.definitions", "online_retail/landing", "UK")
    materialize("mcml_assets.definitions", "online_retail/raw_data", LOCATION)
    ours, peer = side_by_side(
        lambda: seconds(lambda: materialize("mcml_assets.definitions", "online_retail/raw_data", LOCATION)),
        lambda: seconds(lambda: materialize("bare_location", "empty", LOCATION)),
        REPEATS,
    )
    return Result("a launched run with nothing to do, against one of an empty asset", "ratio <= 1.3", ours, peer, "s")


def _python(folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> str:
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", *arguments],
        env={**os.environ, **(environment or {}), "PYTHONPATH": str(folder)},
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if finished.returncode:
        raise SystemExit(f"{' '.join(arguments[:6])} failed:\n{finished.stdout[-2000:]}\n{finished.stderr[-4000:]}")
    return finished.stdout


if __name__ == "__main__":
    main()
