"""What a read and a change of the register cost, beside one request to one of its stores: `make bench-register`.

A ratio is a number of round trips. The stores in memory answer after a fixed time, long enough that little else counts;
the emulators of the three clouds are real servers on this machine, and the peer is one read of the slowest of them.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from mcml_assets.clouds.registry import open_store
from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.workload import load_workload
from mcml_assets.domain.acting import Acting
from mcml_assets.domain.register import register_stores
from mcml_assets.domain.topology import Topology
from mcml_assets.domain.workload import Workload
from mcml_assets.register.quorum import FOLDER, QuorumRegister
from mcml_assets_tests.benchmarks.report import Result, publish, seconds
from mcml_assets_tests.configuration.workload_files import write_workload
from mcml_assets_tests.emulation.started import started
from mcml_assets_tests.register.stores import TOPOLOGY, UK, Clouds, settle

ANSWER_SECONDS = 0.05
REPEATS = 20
PLACED = ("aws/eu-west-2", "gcp/europe-west2")


@dataclass
class Bench:
    """A register, and one read of one of its stores to compare with."""

    register: QuorumRegister
    workload: Workload
    single: Callable[[], float]

    def read(self) -> float:
        return seconds(lambda: self.register.read(self.workload, "UK"))

    def change(self) -> float:
        expected = self.register.read(self.workload, "UK")
        new = Acting(PLACED[expected.epoch % 2], expected.epoch + 1)
        return seconds(
            lambda: self.register.change(
                self.workload, "UK", expected, new, who="bench", why="bench", request_id=f"{expected.epoch}"
            )
        )

    def results(self, where: str, read_goal: float, change_goal: float) -> Iterator[Result]:
        """Medians, measured in turns with the single request."""
        self.change()
        turns = [(self.single(), self.read(), self.change()) for _ in range(REPEATS)]
        single, read, change = (median(column) * 1000 for column in zip(*turns, strict=True))
        yield Result(f"a read {where}, against one request", f"ratio <= {read_goal:g}", read, single, "ms")
        yield Result(f"a change {where}, against one request", f"ratio <= {change_goal:g}", change, single, "ms")


def main() -> None:
    """Measure, print, and write `build/bench/register.json`."""
    with TemporaryDirectory() as scratch:
        results = [*_simulated(Path(scratch)), *_emulated(Path(scratch))]
    publish("register", results)


def _simulated(folder: Path) -> Iterator[Result]:
    clouds = Clouds()
    for store in clouds.stores.values():
        store.seconds = ANSWER_SECONDS
    workload = _workload(folder / "memory", TOPOLOGY)
    key = f"{FOLDER}/{workload.name}/UK.json"
    bench = Bench(clouds.register(), workload, lambda: seconds(lambda: clouds.stores[UK[0]].get_with_meta(key)))
    yield from bench.results("of stores that answer after 50 ms", 1.5, 4)
    clouds.stores[UK[1]].released.clear()
    yield from bench.results("while one store hangs", 1.5, 4)
    clouds.stores[UK[1]].released.set()
    settle()
    clouds.take_down(UK[2])
    yield from bench.results("while one store is down", 1.5, 4)


def _emulated(folder: Path) -> Iterator[Result]:
    with started(folder / "emulated") as emulators:
        os.environ.update(emulators.environment)
        topology, settings = emulators.topology, Settings(home=folder)
        workload = _workload(folder / "emulators", topology)
        stores = {
            key: open_store(topology.location(key), settings) for key in register_stores(workload.placement("UK"), topology)
        }
        key = f"{FOLDER}/{workload.name}/UK.json"

        def slowest() -> float:
            return max(seconds(lambda store=store: store.get_with_meta(key)) for store in stores.values())

        register = QuorumRegister(topology, lambda location: stores[location])
        register.read(workload, "UK")
        yield from Bench(register, workload, slowest).results("on three emulators", 2, 6)


def _workload(folder: Path, topology: Topology) -> Workload:
    return load_workload(write_workload(folder / "churn"), topology)


if __name__ == "__main__":
    main()
