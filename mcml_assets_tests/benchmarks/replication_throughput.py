"""How fast bytes and objects move: large and small files between folders, web servers and the clouds' emulators."""

import os
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from time import perf_counter

from mcml_assets.domain.digest import DEFAULT_DIGEST, new_digest
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.snapshot import Manifest
from mcml_assets_tests.benchmarks.replication_peers import Rclone, boto3_seconds, obstore_seconds, s5cmd_seconds
from mcml_assets_tests.benchmarks.replication_places import (
    Absent,
    EmulatedBuckets,
    Folders,
    Place,
    folders_in_memory,
    local_folders,
    scratch,
    web_folders,
)
from mcml_assets_tests.benchmarks.replication_turns import OURS, UNVERIFIED, Turns
from mcml_assets_tests.benchmarks.replication_work import KIB, MIB, engine_seconds, seed, unverified_seconds
from mcml_assets_tests.benchmarks.report import Result

LARGE_FILES, LARGE = 16, 64 * MIB
SMALL_FILES, SMALL = 2000, 64 * KIB
GB, MB = 1e9, 1e6
TIMEOUT = 90.0
"""Seconds for one copy by rclone, which may not end by itself."""
RCLONE, FLUSHED, S5CMD = "rclone copy", "rclone copy and a flush of the target", "s5cmd cp"
BOTO3, OBSTORE, DIGESTS = "boto3 and the Azure SDK", "bare obstore", "digests alone, on all cores"


def large_in_memory() -> list[Result]:
    """Where the limit is the machine and not its disk."""
    work = "1 GiB as 64 MiB files between folders in memory, verified"
    try:
        return _large_between_folders(folders_in_memory, work, (RCLONE, OBSTORE, DIGESTS))
    except Absent as absent:
        return [Result(f"{work} (not measured: {absent})", "ratio >= 5", 0, None, "GB/s")]


def large_on_disk() -> list[Result]:
    """Only ours is on disk when it ends; so is rclone's after a flush."""
    work = "1 GiB as 64 MiB files between folders on disk, verified"
    return _large_between_folders(local_folders, work, (RCLONE, FLUSHED, OBSTORE))


def _large_between_folders(
    folders: Callable[[], AbstractContextManager[Folders]], work: str, peers: Sequence[str]
) -> list[Result]:
    def into(copy: Callable[[Place], float]) -> Callable[[], float]:
        return _into_a_folder(copy, folders)

    with folders() as sources:
        source = sources.new()
        manifest = seed(source, [LARGE] * LARGE_FILES)
        contenders = {
            RCLONE: into(lambda target: Rclone().seconds(source, target, LARGE_FILES, TIMEOUT)),
            FLUSHED: into(lambda target: _rclone_flushed(source, target)),
            OBSTORE: into(lambda target: obstore_seconds(source, target, manifest, streaming=True)),
            DIGESTS: _digest_seconds,
        }
        turns = Turns(
            {
                OURS: into(lambda target: engine_seconds(source, target, manifest)),
                UNVERIFIED: into(lambda target: unverified_seconds(source, target, manifest)),
                **{peer: contenders[peer] for peer in peers},
            },
            repeats=5,
        )
    size = manifest.size / GB
    return [
        turns.rate(work, "ratio >= 5", RCLONE, size, "GB/s"),
        *(turns.rate(work, "", peer, size, "GB/s") for peer in peers if peer != RCLONE),
        turns.time(work, "", UNVERIFIED),
    ]


def large_through_emulators(emulators: EmulatedBuckets) -> list[Result]:
    """From S3 to Azure Blob, and from S3 into a folder, which is all that s5cmd does."""
    source = emulators.new("s3")
    manifest = seed(source, [LARGE] * LARGE_FILES)
    turns = Turns(
        {
            OURS: lambda: engine_seconds(source, emulators.new("azure"), manifest),
            UNVERIFIED: lambda: unverified_seconds(source, emulators.new("azure"), manifest),
            RCLONE: lambda: Rclone().seconds(source, emulators.new("azure"), LARGE_FILES, TIMEOUT),
            BOTO3: lambda: boto3_seconds(source, emulators.new("azure")),
            OBSTORE: lambda: obstore_seconds(source, emulators.new("azure"), manifest),
        },
        repeats=3,
    )
    work, size = "1 GiB as 64 MiB files from S3 to Azure, emulated, verified", manifest.size / MB
    peers = (RCLONE, BOTO3, OBSTORE)
    best = turns.best(*peers)
    return [
        turns.rate(f"{work}, the best peer", "ratio >= 1", best, size, "MB/s"),
        *(turns.rate(work, "", peer, size, "MB/s") for peer in peers if peer != best),
        turns.time(work, "ratio <= 1.1", UNVERIFIED),
        _into_folder(source, manifest, "1 GiB as 64 MiB files from S3 into a folder, emulated, verified", size, "MB/s"),
    ]


def small_through_emulators(emulators: EmulatedBuckets) -> list[Result]:
    """2,000 objects: here requests are the limit, and who makes fewer wins."""
    source = emulators.new("s3")
    manifest = seed(source, [SMALL] * SMALL_FILES)
    turns = Turns(
        {
            OURS: lambda: engine_seconds(source, emulators.new("azure"), manifest),
            RCLONE: lambda: Rclone().seconds(source, emulators.new("azure"), SMALL_FILES, TIMEOUT),
            BOTO3: lambda: boto3_seconds(source, emulators.new("azure")),
            OBSTORE: lambda: obstore_seconds(source, emulators.new("azure"), manifest),
        },
        repeats=3,
    )
    work = "2,000 files of 64 KiB from S3 to Azure, emulated, verified"
    return [
        turns.rate(work, "ratio >= 1.3", RCLONE, SMALL_FILES, "objects/s"),
        *(turns.rate(work, "", peer, SMALL_FILES, "objects/s") for peer in (BOTO3, OBSTORE)),
        _into_folder(
            source, manifest, "2,000 files of 64 KiB from S3 into a folder, emulated, verified", SMALL_FILES, "objects/s"
        ),
    ]  # fmt: skip


def between_web_servers() -> list[Result]:
    """nginx to nginx, whose requests cost next to nothing: what is left is the client's own work."""
    try:
        with web_folders(2) as (sources, targets):
            small, large = sources(), sources()
            few, many = seed(large, [LARGE] * LARGE_FILES), seed(small, [SMALL] * SMALL_FILES)
            of_small, of_large = _web_turns(small, targets, many), _web_turns(large, targets, few)
    except ConfigurationError as error:
        return [
            Result(f"2,000 files of 64 KiB between web servers (not measured: {error})", "ratio >= 1", 0, None, "objects/s")
        ]
    return [
        of_small.rate("2,000 files of 64 KiB from nginx to nginx, verified", "ratio >= 1", OBSTORE, SMALL_FILES, "objects/s"),
        of_large.rate("1 GiB as 64 MiB files from nginx to nginx, verified", "", OBSTORE, few.size / MB, "MB/s"),
    ]


def _web_turns(source: Place, targets: Callable[[], Place], manifest: Manifest) -> Turns:
    return Turns(
        {
            OURS: lambda: engine_seconds(source, targets(), manifest),
            OBSTORE: lambda: obstore_seconds(source, targets(), manifest),
        },
        repeats=5,
    )


def _into_folder(source: Place, manifest: Manifest, work: str, amount: float, unit: str) -> Result:
    def s5cmd() -> float:
        with scratch() as folder:
            return s5cmd_seconds(source, folder)

    ours = _into_a_folder(lambda target: engine_seconds(source, target, manifest))
    return Turns({OURS: ours, S5CMD: s5cmd}, repeats=3).rate(work, "", S5CMD, amount, unit)


def _into_a_folder(
    copy: Callable[[Place], float], folders: Callable[[], AbstractContextManager[Folders]] = local_folders
) -> Callable[[], float]:
    """Each time into a new bucket, on a disk that owes nothing to who came before."""

    def run() -> float:
        with folders() as targets:
            target = targets.new()
            os.sync()
            return copy(target)

    return run


def _rclone_flushed(source: Place, target: Place) -> float:
    took = Rclone().seconds(source, target, LARGE_FILES, TIMEOUT)
    began = perf_counter()
    subprocess.run(["sync", "--file-system", target.root], check=True)  # noqa: S607 - coreutils, wherever it is
    return took + perf_counter() - began


def _digest_seconds() -> float:
    """For as many bytes as are copied, all of them in memory."""
    cores, block = os.cpu_count() or 1, os.urandom(MIB)
    blocks = LARGE_FILES * LARGE // MIB // cores

    def digest(_: int) -> None:
        running = new_digest(DEFAULT_DIGEST)
        for _ in range(blocks):
            running.update(block)

    began = perf_counter()
    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(digest, range(cores)))
    return perf_counter() - began
