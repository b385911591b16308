"""`python -m mcml_assets_tests.benchmarks.scale_out`: features and training by one process beside a local Ray, as rows grow.

Each piece of work has a process of its own (`scale_out_work.py`); its memory is that of the process and all it started,
shared pages counted once, looked at five times a second. Ray's connection is told apart, as a cluster stands already.
`--copies` says how many shops' real invoices, `--gib` how much memory is the end. Ray gives its workers less priority than
the process that asks; here both sides have the same.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from tempfile import TemporaryDirectory, TemporaryFile
from time import sleep

import psutil

from mcml_assets.configuration.settings import PROJECT_ROOT
from mcml_assets_tests.benchmarks.report import Result, publish
from mcml_assets_tests.benchmarks.scale_out_page import write

COPIES = (1, 4, 16, 48)
LOOK_SECONDS = 0.2
SAME_PRIORITY = {"RAY_worker_niceness": "0"}


@dataclass(frozen=True, slots=True)
class Measured:
    """One piece of work: rows, seconds, seconds until Ray was there, a digest of what was made, and peak memory in GiB."""

    rows: int
    seconds: float
    connecting: float
    digest: str
    gib: float


def measure(what: str, copies: int, where: str) -> Measured:
    """Do one piece of work in a process of its own."""
    with TemporaryDirectory() as folder, TemporaryFile("w+") as errors:
        command = [sys.executable, "-m", f"{__package__}.scale_out_work", what, str(copies), where, folder]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=PROJECT_ROOT,
            text=True,
            env=os.environ | SAME_PRIORITY,
        )
        assert process.stdout is not None
        peak = 0
        while process.poll() is None:
            peak = max(peak, _memory(process.pid))
            sleep(LOOK_SECONDS)
        if process.returncode:
            errors.seek(0)
            said = errors.read().strip().rpartition("\n")[2]
            raise RuntimeError(f"{what} of {copies} copies by {where} ended with {process.returncode}: {said}")
        told = json.loads(process.stdout.read())
    return Measured(told["rows"], told["seconds"], told["connecting"], told["digest"], peak / 2**30)


def _memory(pid: int) -> int:
    """Bytes of a process and its descendants, each shared page divided among those who share it."""
    total = 0
    try:
        for process in (root := psutil.Process(pid), *root.children(recursive=True)):
            total += process.memory_full_info().pss
    except (psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError):
        pass  # one ended meanwhile
    return total


def compare(what: str, copies: Sequence[int], gib: float) -> list[Result]:
    """One line for time and one for memory at each size, until the next would not fit."""
    results: list[Result] = []
    for number, size in enumerate(copies):
        ray, here = measure(what, size, "ray"), measure(what, size, "here")
        assert ray.digest == here.digest, f"{what}: Ray made something else of {size} copies"
        assert ray.rows == here.rows
        name = f"{what}, {here.rows:,} rows"
        results += [
            Result(f"{name}: time", "", ray.seconds, here.seconds, "s"),
            Result(f"{name}: peak memory", "", ray.gib, here.gib, "GiB"),
        ]
        if number == 0:
            results.append(Result(f"{what}: until Ray of this machine is there", "", ray.connecting, None, "s"))
        if number + 1 < len(copies) and ray.gib * copies[number + 1] / size > gib:
            break
    return results


def main() -> None:
    """Run everything, publish `build/bench/scale_out.json` and write its page; ours is Ray, the peer the embedded engine."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--copies", type=int, nargs="+", default=COPIES)
    parser.add_argument("--gib", type=float, default=0.7 * psutil.virtual_memory().available / 2**30)
    arguments = parser.parse_args()
    publish("scale_out", [line for what in ("features", "training") for line in compare(what, arguments.copies, arguments.gib)])
    write()


if __name__ == "__main__":
    main()
