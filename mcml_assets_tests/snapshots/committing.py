"""Committing small snapshots in tests: the arguments that no test varies, and what must hold of a store at all times."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.domain.snapshot import Manifest, SnapshotFile
from mcml_assets.snapshots.store import Commit, SnapshotStore

WORKLOAD = "retail"


def snapshots(store: ObjectStore, asset: str = "landing") -> SnapshotStore:
    return SnapshotStore(store, WORKLOAD, asset)


def commit(
    target: SnapshotStore, contents: Mapping[str, bytes | SnapshotFile], folder: Path, *, epoch: int = 1, **changed: Any
) -> Commit:
    """Commit `contents`: bytes are written to `folder` first, files of earlier snapshots are reused."""
    files: dict[str, Path | SnapshotFile] = {}
    for path, content in contents.items():
        if isinstance(content, SnapshotFile):
            files[path] = content
        else:
            files[path] = folder / sha256(content).hexdigest()
            files[path].write_bytes(content)  # type: ignore[union-attr]
    facts: dict[str, Any] = {
        "tables_schema": {"t": {"c": "int64"}},
        "row_count": 1,
        "watermark": "2011-01-01T00:00:00",
        "parents": {},
        "code_version": "1",
        "producer": target.location,
        "annotations": {},
        "created_at": "2026-01-01T00:00:00+00:00",
    }
    return target.commit(files, epoch=epoch, **facts | changed)


def contents(source: SnapshotStore, manifest: Manifest) -> dict[str, bytes]:
    """Every file of a snapshot as it is stored, which must be what the manifest says."""
    assert source.verify(manifest) == ()
    return {file.path: b"".join(source.blobs.read(file)) for file in manifest.files}


def current_contents(source: SnapshotStore) -> dict[str, bytes] | None:
    manifest = source.current()
    return None if manifest is None else contents(source, manifest)
