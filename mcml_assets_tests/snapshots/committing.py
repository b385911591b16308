"""Committing small snapshots in tests: the arguments that no test varies, and what must hold of a store at all times."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.domain.digest import DEFAULT_DIGEST, DigestAlgorithm, new_digest
from mcml_assets.domain.snapshot import Manifest, SnapshotFile
from mcml_assets.snapshots.store import Commit, SnapshotStore

WORKLOAD = "retail"


def digest_of(content: bytes, algorithm: DigestAlgorithm = DEFAULT_DIGEST) -> str:
    """The digest that names these bytes in a store."""
    digest = new_digest(algorithm)
    digest.update(content)
    return digest.hexdigest()


def blob(content: bytes, algorithm: DigestAlgorithm = DEFAULT_DIGEST) -> str:
    """The key of these bytes in a store."""
    digest = digest_of(content, algorithm)
    return f"{WORKLOAD}/blobs/{algorithm}/{digest[:2]}/{digest}"


def snapshots(store: ObjectStore, asset: str = "landing", digests: DigestAlgorithm = DEFAULT_DIGEST) -> SnapshotStore:
    return SnapshotStore(store, WORKLOAD, asset, digests=digests)


def commit(
    target: SnapshotStore, contents: Mapping[str, bytes | SnapshotFile], folder: Path, *, epoch: int = 1, **changed: Any
) -> Commit:
    """Commit `contents`: bytes are written to `folder` first, files of earlier snapshots are reused."""
    files: dict[str, Path | SnapshotFile] = {}
    for path, content in contents.items():
        if isinstance(content, SnapshotFile):
            files[path] = content
        else:
            files[path] = folder / digest_of(content)
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
