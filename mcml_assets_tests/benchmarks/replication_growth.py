"""How the cost of a copy grows: with files, with bytes, with locations, and with files that are there already."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter

from mcml_assets.snapshots.replication import replicate
from mcml_assets_tests.benchmarks.replication_places import local_folders
from mcml_assets_tests.benchmarks.replication_work import KIB, MIB, engine_seconds, landing, raw_data, seed
from mcml_assets_tests.benchmarks.report import Result

FILES = (500, 2000, 8000)
MEBIBYTES = (256, 1024, 2048)
LOCATIONS = (1, 4, 8)
UNCHANGED = (100, 1000, 10_000)
REPEATS = 2
LINEAR = "ratio <= 1.5"
"""The cost of one unit, against its cost where there are few: 1 is linear, and the rest is for noise."""


def growth() -> list[Result]:
    """Between folders; each line has the cost of one unit, and as its peer that of the smallest measurement of its kind."""
    rows: list[Result] = []
    by_files = {count: 1000 * _seconds([16 * KIB] * count) / count for count in FILES}
    rows += _rows("copy {:,} files of 16 KiB, per file", by_files, "ms")
    by_bytes = {size: 1024 * _seconds([64 * MIB] * (size // 64)) / size for size in MEBIBYTES}
    rows += _rows("copy {:,} MiB as 64 MiB files, per GiB", by_bytes, "s")
    by_locations = {count: _seconds([64 * MIB] * 4, locations=count) / count for count in LOCATIONS}
    rows += _rows("copy 256 MiB to {} locations, per location", by_locations, "s")
    unchanged = {count: _unchanged(count) for count in UNCHANGED}
    rows += _rows("re-sync of {:,} unchanged files, requests", {count: each.requests for count, each in unchanged.items()}, "")
    milliseconds = {count: 1e6 * each.seconds / count for count, each in unchanged.items()}
    return rows + _rows("re-sync of {:,} unchanged files, per 1,000 files", milliseconds, "ms")


def _rows(work: str, measured: dict[int, float], unit: str) -> list[Result]:
    smallest = next(iter(measured.values()))
    return [Result(work.format(count), LINEAR, cost, smallest, unit) for count, cost in measured.items()]


def _seconds(sizes: Sequence[int], locations: int = 1) -> float:
    """To copy files of these sizes to so many locations, one after the other."""
    with local_folders() as folders:
        source = folders.new()
        manifest = seed(source, sizes)
        took: list[float] = []
        for _ in range(REPEATS):
            with local_folders() as targets:
                os.sync()
                took.append(sum(engine_seconds(source, targets.new(), manifest) for _ in range(locations)))
        return median(took)


@dataclass(frozen=True, slots=True)
class Resync:
    """What a copy took that had nothing to do, with reading what the source holds."""

    seconds: float
    requests: int


def _unchanged(count: int) -> Resync:
    with local_folders() as folders:
        source, target = folders.new(), folders.new()
        engine_seconds(source, target, seed(source, [16] * count))
        runs: list[Resync] = []
        for _ in range(REPEATS):
            began, from_source, into_target = perf_counter(), landing(source), raw_data(target)
            manifest = from_source.current()
            if manifest is None:
                raise SystemExit("the source does not hold what was seeded")
            replicate(from_source, into_target, manifest, epoch=1)
            runs.append(Resync(perf_counter() - began, from_source.requests + into_target.requests))
        return Resync(median(run.seconds for run in runs), max(run.requests for run in runs))
