"""The most memory that a copy ever held, by the kernel's account of a process that does nothing else."""

from collections.abc import Iterator
from hashlib import sha256
from itertools import repeat
from multiprocessing import get_context
from multiprocessing.connection import Connection
from os import urandom
from pathlib import Path

from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.clouds.local.store import LocalStore
from mcml_assets.clouds.memory.store import MemoryStore
from mcml_assets.clouds.registry import open_store
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.snapshot import Manifest, SnapshotFile
from mcml_assets.domain.topology import Location
from mcml_assets.snapshots.replication import replicate
from mcml_assets.snapshots.store import SnapshotStore
from mcml_assets_tests.benchmarks.replication_places import EmulatedBuckets, scratch
from mcml_assets_tests.benchmarks.replication_work import MIB, WORKLOAD, seed
from mcml_assets_tests.benchmarks.report import Result

FILE = 64 * MIB
GIB_FILES = 16
GOAL = "ours <= 400"
WORK = "peak memory of a copying process"
Bucket = Location | Path


def memory(emulators: EmulatedBuckets) -> list[Result]:
    """1 GiB from S3 to Azure, then 1 and 8 GiB that are made as they are read, into Azure and into a folder."""
    source, target = emulators.new("s3").location, emulators.new("azure").location
    if source is None or target is None:
        raise TypeError("a bucket on an emulator has a location")
    manifest = seed(emulators.at(source), [FILE] * GIB_FILES)
    rows = [Result(f"{WORK}, 1 GiB from S3 to Azure, emulated", GOAL, _peak(source, target, manifest), None, "MB")]
    for gib in (1, 8):
        into_azure = emulators.new("azure").location
        if into_azure is not None:
            peak = _peak(None, into_azure, generated(gib * GIB_FILES))
            rows.append(Result(f"{WORK}, {gib} GiB to Azure, emulated", GOAL, peak, None, "MB"))
        with scratch() as folder:
            peak = _peak(None, folder, generated(gib * GIB_FILES))
            rows.append(Result(f"{WORK}, {gib} GiB into a folder", GOAL, peak, None, "MB"))
    return rows


BLOCK = urandom(MIB - 8)


def generated(files: int) -> Manifest:
    """So many files of 64 MiB, no two alike, that are stored nowhere."""

    def described(number: int) -> SnapshotFile:
        digest = sha256()
        for chunk in _chunks(number, BLOCK):
            digest.update(chunk)
        return SnapshotFile(f"{number:05d}", FILE, digest.hexdigest())

    return Manifest(
        tuple(map(described, range(files))), {}, 0, None, {}, "1", 1, "memory/generated", "2026-01-01T00:00:00+00:00"
    )


class GeneratedStore(MemoryStore):
    """A bucket whose blobs come into being as they are read."""

    def __init__(self, manifest: Manifest, block: bytes) -> None:
        super().__init__("memory/generated")
        self._numbers = {file.digest: int(file.path) for file in manifest.files}
        self._block = block

    def stream(self, key: str, chunk_size: int = MIB) -> Iterator[bytes]:
        """The blob in chunks of 1 MiB."""
        return _chunks(self._numbers[key.rpartition("/")[2]], self._block)


def _chunks(number: int, block: bytes) -> Iterator[bytes]:
    return (number.to_bytes(8) + each for each in repeat(block, FILE // MIB))


def _peak(source: Location | None, target: Bucket, manifest: Manifest) -> float:
    """10^6 bytes. In a process of its own, started afresh: one that was forked would count its parent's memory too."""
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_copy_and_tell, args=(source, target, manifest, BLOCK, theirs))
    child.start()
    theirs.close()
    try:
        copied, peak = ours.recv()
    except EOFError:
        raise SystemExit("the copying process died") from None
    child.join()
    if copied != manifest.size:
        raise SystemExit(f"{copied} of {manifest.size} bytes were copied")
    return peak / 1e6


def _copy_and_tell(source: Location | None, target: Bucket, manifest: Manifest, block: bytes, tell: Connection) -> None:
    settings = Settings()
    origin = GeneratedStore(manifest, block) if source is None else open_store(source, settings)
    bucket: ObjectStore = LocalStore("local/target", target) if isinstance(target, Path) else open_store(target, settings)
    report = replicate(
        SnapshotStore(origin, WORKLOAD, "landing"), SnapshotStore(bucket, WORKLOAD, "raw_data"), manifest, epoch=1
    )
    status = Path("/proc/self/status").read_text()
    high = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    tell.send((report.bytes, 1024 * int(high.split()[1])))
