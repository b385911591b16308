"""`python -m …replication_copier`: a process that copies one snapshot and tells the most memory it ever held.

It imports what a copy needs and no more, because all of it counts. Who starts it is `replication_memory.py`.
"""

import json
import pickle
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.clouds.local.store import LocalStore
from mcml_assets.clouds.memory.store import MemoryStore
from mcml_assets.clouds.registry import open_store
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.domain.topology import Location
from mcml_assets.snapshots.replication import replicate
from mcml_assets.snapshots.store import SnapshotStore

MIB = 1024 * 1024
FILE = 64 * MIB
WORKLOAD = "bench"


@dataclass(frozen=True, slots=True)
class Copy:
    """What is to be copied where; without a source the files are made of `block` as they are read."""

    source: Location | None
    target: Location | Path
    manifest: Manifest
    block: bytes


class GeneratedStore(MemoryStore):
    """A bucket whose blobs come into being as they are read."""

    def __init__(self, manifest: Manifest, block: bytes) -> None:
        super().__init__("memory/generated")
        self._numbers = {file.digest: int(file.path) for file in manifest.files}
        self._block = block

    def stream(self, key: str, chunk_size: int = MIB) -> Iterator[bytes]:
        """The blob in chunks of 1 MiB."""
        return generated_chunks(self._numbers[key.rpartition("/")[2]], self._block)


def generated_chunks(number: int, block: bytes) -> Iterator[bytes]:
    """The 64 MiB of a generated file, different for every number."""
    return (number.to_bytes(8) + each for each in repeat(block, FILE // MIB))


def main() -> None:
    """Read a pickled `Copy` from standard input; print bytes copied, and the peak of resident memory in bytes."""
    copy: Copy = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this one
    settings = Settings()
    source = GeneratedStore(copy.manifest, copy.block) if copy.source is None else open_store(copy.source, settings)
    target: ObjectStore = (
        LocalStore("local/target", copy.target) if isinstance(copy.target, Path) else open_store(copy.target, settings)
    )
    landing, raw_data = SnapshotStore(source, WORKLOAD, "landing"), SnapshotStore(target, WORKLOAD, "raw_data")
    report = replicate(landing, raw_data, copy.manifest, epoch=1)
    # Not `ru_maxrss`, which counts what the parent held when it started this process.
    status = Path("/proc/self/status").read_text().splitlines()
    high = next(line for line in status if line.startswith("VmHWM:"))
    json.dump({"copied": report.bytes, "peak": 1024 * int(high.split()[1])}, sys.stdout)


if __name__ == "__main__":
    main()
