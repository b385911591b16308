"""The most memory that a copy ever held, by the kernel's account of a process that does nothing else."""

import json
import pickle
import subprocess
import sys
from os import urandom
from pathlib import Path

from mcml_assets.configuration.settings import PROJECT_ROOT
from mcml_assets.domain.digest import DEFAULT_DIGEST, new_digest
from mcml_assets.domain.snapshot import Manifest, SnapshotFile
from mcml_assets.domain.topology import Location
from mcml_assets_tests.benchmarks.replication_copier import FILE, Copy, generated_chunks
from mcml_assets_tests.benchmarks.replication_places import EmulatedBuckets, Place, scratch
from mcml_assets_tests.benchmarks.replication_work import MIB, seed
from mcml_assets_tests.benchmarks.report import Result

GIB_FILES = 16
GOAL = "ours <= 400"
WORK = "peak memory of a copying process"
BLOCK = urandom(MIB - 8)


def memory(emulators: EmulatedBuckets) -> list[Result]:
    """1 GiB from S3 to Azure, then 1 and 8 GiB that are made as they are read, into Azure and into a folder."""
    source = emulators.new("s3")
    manifest = seed(source, [FILE] * GIB_FILES)
    peak = _peak(_location(source), _location(emulators.new("azure")), manifest)
    rows = [Result(f"{WORK}, 1 GiB from S3 to Azure, emulated", GOAL, peak, None, "MB")]
    for gib in (1, 8):
        made = _generated(gib * GIB_FILES)
        peak = _peak(None, _location(emulators.new("azure")), made)
        rows.append(Result(f"{WORK}, {gib} GiB to Azure, emulated", GOAL, peak, None, "MB"))
        with scratch() as folder:
            rows.append(Result(f"{WORK}, {gib} GiB into a folder", GOAL, _peak(None, folder, made), None, "MB"))
    return rows


def _generated(files: int) -> Manifest:
    """So many files of 64 MiB, no two alike, that are stored nowhere."""

    def described(number: int) -> SnapshotFile:
        digest = new_digest(DEFAULT_DIGEST)
        for chunk in generated_chunks(number, BLOCK):
            digest.update(chunk)
        return SnapshotFile(f"{number:05d}", FILE, digest.hexdigest(), DEFAULT_DIGEST)

    made = tuple(map(described, range(files)))
    return Manifest(made, {}, 0, None, {}, "1", 1, "memory/generated", "2026-01-01T00:00:00+00:00")


def _peak(source: Location | None, target: Location | Path, manifest: Manifest) -> float:
    """10^6 bytes."""
    finished = subprocess.run(
        [sys.executable, "-m", "mcml_assets_tests.benchmarks.replication_copier"],
        input=pickle.dumps(Copy(source, target, manifest, BLOCK)), cwd=PROJECT_ROOT, capture_output=True, check=False,
    )  # fmt: skip
    if finished.returncode:
        raise SystemExit(f"the copying process failed:\n{finished.stderr.decode()[-2000:]}")
    told = json.loads(finished.stdout)
    if told["copied"] != manifest.size:
        raise SystemExit(f"{told['copied']} of {manifest.size} bytes were copied")
    return told["peak"] / 1e6


def _location(place: Place) -> Location:
    if place.location is None:
        raise TypeError("a bucket on an emulator has a location")
    return place.location
