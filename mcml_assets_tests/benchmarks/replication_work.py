"""What the replication benchmark copies, and the engine's way of copying it.

Between which buckets is in `replication_places.py`, how peers do the same in `replication_peers.py`.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from unittest.mock import patch

from mcml_assets.domain.snapshot import Manifest, SnapshotFile
from mcml_assets.snapshots.replication import replicate
from mcml_assets.snapshots.store import SnapshotStore
from mcml_assets_tests.benchmarks.replication_places import Place, scratch

MIB = 1024 * 1024
KIB = 1024
WORKLOAD = "bench"
BLOBS = f"{WORKLOAD}/blobs"
"""The prefix below which all bytes of a seeded bucket are; it is what the peers copy."""


def seed(place: Place, sizes: Sequence[int]) -> Manifest:
    """Commit files of random bytes, of these sizes and no two alike, as the source's current snapshot."""
    with scratch() as folder:
        paths: dict[str, Path | SnapshotFile] = {f"{number:05d}": folder / f"{number:05d}" for number in range(len(sizes))}
        for name, size in zip(paths, sizes, strict=True):
            (folder / name).write_bytes(os.urandom(size))
        return landing(place).commit(
            paths, tables_schema={}, row_count=0, watermark=None, parents={}, code_version="1", epoch=1,
            producer=place.store.location, created_at="2026-01-01T00:00:00+00:00",
        ).manifest  # fmt: skip


def blob_keys(manifest: Manifest) -> list[str]:
    """The keys of a snapshot's files, the same in every bucket."""
    return [f"{BLOBS}/{file.blob}" for file in manifest.files]


def landing(place: Place) -> SnapshotStore:
    """The snapshots that are copied."""
    return SnapshotStore(place.store, WORKLOAD, "landing")


def raw_data(place: Place) -> SnapshotStore:
    """The snapshots that are made."""
    return SnapshotStore(place.store, WORKLOAD, "raw_data")


def engine_seconds(source: Place, target: Place, manifest: Manifest) -> float:
    """Copy a snapshot to an empty bucket; raises `SystemExit` unless every file went."""
    began = perf_counter()
    report = replicate(landing(source), raw_data(target), manifest, epoch=1)
    took = perf_counter() - began
    if report.bytes != manifest.size:
        raise SystemExit(f"{report.bytes} of {manifest.size} bytes were copied")
    return took


def unverified_seconds(source: Place, target: Place, manifest: Manifest) -> float:
    """The same copy by the same engine, whose digests are left out for this one measurement."""
    with _without_digests():
        return engine_seconds(source, target, manifest)


@contextmanager
def _without_digests() -> Iterator[None]:
    def passed_on(file: SnapshotFile, chunks: Iterator[bytes], origin: str) -> Iterator[bytes]:
        return chunks

    with patch("mcml_assets.snapshots.blobs.compared", passed_on):
        yield
