"""The snapshots of one asset in one bucket: committing, reading, downloading and verifying them.

Nothing is ever changed in place. A commit writes blobs first, the manifest next and the `current` pointer last, by a
conditional put that carries the epoch: so a crash between any two writes leaves the former snapshot readable, and the
same commit, run again, writes only what is missing. What a manifest means is `domain/snapshot.py`'s business, copying
between locations `replication.py`'s.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from mcml_assets.clouds.chunks import file_chunks
from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.domain.errors import CorruptSnapshot, ObjectNotFound, PreconditionFailed
from mcml_assets.domain.snapshot import Manifest, Pointer, SnapshotFile, check_path
from mcml_assets.snapshots.blobs import Blobs, describe
from mcml_assets.snapshots.pointer import CurrentPointer


@dataclass(frozen=True, slots=True)
class Commit:
    """What a commit did: the manifest now stored, how many files were written or already there, the bytes written.

    `moved_pointer` is False when the snapshot was current already, under the same epoch.
    """

    manifest: Manifest
    written_files: int
    reused_files: int
    written_bytes: int
    moved_pointer: bool


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A stored file that is not what the manifest promises; `found` is the digest of its bytes, None if missing."""

    location: str
    path: str
    expected: str
    found: str | None


class SnapshotStore:
    """The snapshots of one asset of one workload in one bucket.

    Every method raises `LocationUnavailable` when the bucket does not answer.
    """

    def __init__(self, store: ObjectStore, workload: str, asset: str) -> None:
        self._store = store
        self._folder = f"{workload}/{asset}"
        self.blobs = Blobs(store, workload)
        self.pointer = CurrentPointer(store, f"{self._folder}/current.json")

    @property
    def location(self) -> str:
        """The key of the location these snapshots are in."""
        return self._store.location

    def current_pointer(self) -> Pointer | None:
        """The pointer to the current snapshot, None before the first. Raises `CorruptSnapshot` if it is unreadable."""
        version = self.pointer.read()
        return version.pointer if version else None

    def current(self) -> Manifest | None:
        """The manifest of the current snapshot, None before the first.

        Raises `CorruptSnapshot` if the pointer or the manifest is unreadable, or the manifest is missing.
        """
        pointer = self.current_pointer()
        if pointer is None:
            return None
        try:
            return self.manifest(pointer.snapshot_id)
        except ObjectNotFound as error:
            raise CorruptSnapshot(
                f"{self.location}: {self._folder} points to {pointer.snapshot_id}, whose manifest is missing"
            ) from error

    def manifest(self, snapshot_id: str) -> Manifest:
        """The manifest of a snapshot. Raises `ObjectNotFound`, and `CorruptSnapshot` if it is unreadable."""
        data = self._store.get(self._manifest_key(snapshot_id))
        try:
            manifest = Manifest.from_json(data)
        except CorruptSnapshot as error:
            raise CorruptSnapshot(f"{self.location}: {self._manifest_key(snapshot_id)}: {error}") from error
        if manifest.snapshot_id != snapshot_id:
            raise CorruptSnapshot(f"{self.location}: {self._manifest_key(snapshot_id)} holds snapshot {manifest.snapshot_id}")
        return manifest

    def commit(
        self,
        files: Mapping[str, Path | SnapshotFile],
        *,
        tables_schema: Mapping[str, Mapping[str, str]],
        row_count: int,
        watermark: str | None,
        parents: Mapping[str, str],
        code_version: str,
        epoch: int,
        producer: str,
        created_at: str,
        annotations: Mapping[str, Any] | None = None,
    ) -> Commit:
        """Store a snapshot and make it the current one; the other arguments are the manifest's fields.

        `files` maps each path in the snapshot to a local file, which is stored unless the workload has its bytes
        already, or to a file of an earlier snapshot, which is reused by its digest without being read.

        A snapshot that is current already stays, and the first manifest stored for an id keeps its provenance.

        Raises `StaleEpoch` when the pointer carries a newer epoch; `PreconditionFailed` when another writer moved the
        pointer to another snapshot since this commit began; `CorruptSnapshot` when a reused file is not stored, a local
        file changes while it is read, or a path leads out of the snapshot.
        """
        former = self.pointer.read_as(epoch)
        described = {path: self._described(path, source) for path, source in files.items()}
        manifest = Manifest(
            files=tuple(sorted(described.values())),
            schema={table: dict(columns) for table, columns in tables_schema.items()},
            row_count=row_count,
            watermark=watermark,
            parents=dict(parents),
            code_version=code_version,
            epoch=epoch,
            producer=producer,
            created_at=created_at,
            annotations=dict(annotations or {}),
        )
        written = [described[path].size for path, source in files.items() if self._store_file(described[path], source)]
        stored = self.write_manifest(manifest)
        moved = self.pointer.move(stored.snapshot_id, epoch, former)
        return Commit(stored, len(written), len(files) - len(written), sum(written), moved)

    def fetch(self, manifest: Manifest, folder: Path) -> dict[str, Path]:
        """Download a snapshot's files into `folder` and return where each is, by its path in the snapshot.

        Files that are there with the right digest are kept; every other one appears whole and verified, or not at all.

        Raises `CorruptSnapshot` naming location, file, expected and found digest, `OSError` if `folder` is unwritable.
        """
        fetched = {file.path: folder / file.path for file in manifest.files}
        for file in manifest.files:
            check_path(file.path)
            if not _is_file(fetched[file.path], file):
                self._download(file, fetched[file.path])
        return fetched

    def verify(self, manifest: Manifest) -> tuple[Mismatch, ...]:
        """Read all stored bytes of a snapshot and return the files that are not what the manifest promises."""
        found = {file.digest: self._stored_digest(file) for file in manifest.files}
        return tuple(
            Mismatch(self.location, file.path, file.digest, found[file.digest])
            for file in manifest.files
            if found[file.digest] != file.digest
        )

    def write_manifest(self, manifest: Manifest) -> Manifest:
        """Store a manifest whose blobs are all stored, and return the stored one.

        The first manifest of an id keeps its provenance; one that became unreadable is replaced.
        """
        key = self._manifest_key(manifest.snapshot_id)
        try:
            self._store.put_if_absent(key, manifest.to_json())
        except PreconditionFailed:
            try:
                return self.manifest(manifest.snapshot_id)
            except CorruptSnapshot:
                self._store.put(key, manifest.to_json())
        return manifest

    def _manifest_key(self, snapshot_id: str) -> str:
        return f"{self._folder}/manifests/{snapshot_id}.json"

    def _described(self, path: str, source: Path | SnapshotFile) -> SnapshotFile:
        check_path(path)
        return replace(source, path=path) if isinstance(source, SnapshotFile) else describe(path, source)

    def _store_file(self, file: SnapshotFile, source: Path | SnapshotFile) -> bool:
        """Whether the file had to be written."""
        if self.blobs.holds(file):
            return False
        if isinstance(source, SnapshotFile):
            raise CorruptSnapshot(f"{self.location}: {file.path!r} was to be reused, but no whole blob {file.digest} is stored")
        self.blobs.write(file, file_chunks(source), "local file that changed while it was read")
        return True

    def _stored_digest(self, file: SnapshotFile) -> str | None:
        digest = sha256()
        try:
            for chunk in self.blobs.stored(file):
                digest.update(chunk)
        except CorruptSnapshot:
            return None
        return digest.hexdigest()

    def _download(self, file: SnapshotFile, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=target.parent, prefix=".", suffix=".part", delete=False) as part:
            try:
                for chunk in self.blobs.read(file):
                    part.write(chunk)
                part.close()
                os.replace(part.name, target)
            except BaseException:
                Path(part.name).unlink(missing_ok=True)
                raise


def _is_file(path: Path, file: SnapshotFile) -> bool:
    return path.is_file() and path.stat().st_size == file.size and describe(file.path, path).digest == file.digest
