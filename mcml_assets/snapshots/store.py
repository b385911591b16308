"""The snapshots of one asset in one bucket: committing, reading, downloading and verifying them.

Nothing is ever changed in place. A commit writes blobs first, the manifest next and the `current` pointer last, by a
conditional put that carries the epoch: so a crash between any two writes leaves the former snapshot readable, and the
same commit, run again, writes only what is missing. A stored manifest is a promise that its blobs are stored, which
`intents.py` keeps against collections. What a manifest means is `domain/snapshot.py`'s business, copying between
locations `replication.py`'s.
"""

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from mcml_assets.clouds.chunks import file_chunks
from mcml_assets.clouds.counted import CountedStore
from mcml_assets.clouds.interfaces import ObjectMeta, ObjectStore
from mcml_assets.domain.digest import DEFAULT_DIGEST, DigestAlgorithm, new_digest
from mcml_assets.domain.egress import EgressPrice
from mcml_assets.domain.errors import CorruptSnapshot, ObjectNotFound, PreconditionFailed
from mcml_assets.domain.snapshot import REMEDIES, Manifest, Pointer, SnapshotFile, check_path
from mcml_assets.snapshots.blobs import Blobs, describe
from mcml_assets.snapshots.intents import WorkloadActivity
from mcml_assets.snapshots.pointer import Confirm, CurrentPointer, PointerVersion
from mcml_assets.snapshots.workers import DEFAULT_LIMITS, MemoryBudget, ReplicationLimits, run_all


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

    def __str__(self) -> str:
        what = "missing" if self.found is None else f"corrupt (found {self.found[:12]})"
        return f"{self.path} in {self.location}, {self.expected[:12]}, is {what}"


class SnapshotStore:
    """The snapshots of one asset of one workload in one bucket.

    `price` is what bytes cost that leave the location, None where nobody knows. `confirm` is asked before the pointer is
    moved, see `CurrentPointer`. `digests` are what commits from here digest files with; snapshots of any known algorithm are
    read and copied. Every method raises `LocationUnavailable` when the bucket does not answer.
    """

    def __init__(
        self,
        store: ObjectStore,
        workload: str,
        asset: str,
        price: EgressPrice | None = None,
        confirm: Confirm | None = None,
        digests: DigestAlgorithm = DEFAULT_DIGEST,
    ) -> None:
        self._store = CountedStore(store)
        self._digests: DigestAlgorithm = digests
        self._folder = f"{workload}/{asset}"
        self.price = price
        self.blobs = Blobs(self._store, workload)
        self.activity = WorkloadActivity(self._store, workload)
        self.pointer = CurrentPointer(self._store, f"{self._folder}/current.json", confirm)

    @property
    def location(self) -> str:
        """The key of the location these snapshots are in."""
        return self._store.location

    @property
    def requests(self) -> int:
        """How many requests were made of the bucket through this object."""
        return self._store.requests

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
                f"{self.location}: {self._folder} points to {pointer.snapshot_id}, whose manifest is missing; "
                f"{REMEDIES['manifest']}"
            ) from error

    def manifest(self, snapshot_id: str) -> Manifest:
        """The manifest of a snapshot. Raises `ObjectNotFound`, and `CorruptSnapshot` if it is unreadable."""
        data = self._store.get(self._manifest_key(snapshot_id))
        try:
            manifest = Manifest.from_json(data)
        except CorruptSnapshot as error:
            raise CorruptSnapshot(f"{self.location}: {self._manifest_key(snapshot_id)}: {error}") from error
        if manifest.snapshot_id != snapshot_id:
            raise CorruptSnapshot(
                f"{self.location}: {self._manifest_key(snapshot_id)} holds snapshot {manifest.snapshot_id}; "
                f"{REMEDIES['manifest']}"
            )
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
        limits: ReplicationLimits = DEFAULT_LIMITS,
        verify: bool = False,
        publish: bool = True,
    ) -> Commit:
        """Store a snapshot and make it the current one; the other arguments are the manifest's fields.

        `files` maps each path in the snapshot to a local file, which is stored unless the workload has its bytes
        already, or to a file of an earlier snapshot, which is reused by its digest without being read. One whose digest is
        of another algorithm than this commit's is read, and stored once more under its new name.

        A snapshot that is current already stays, and the first manifest stored for an id keeps its provenance. What a
        stored manifest promises is not asked for again; with `verify`, and when an earlier snapshot is taken again, every
        blob that is there is read, and written anew if it is damaged.

        Without `publish` the pointer stays where it is, until whoever may ask the register calls `publish`.

        Raises `StaleEpoch` when the pointer carries a newer epoch, or another location is acting under one;
        `PreconditionFailed` when another writer moved the pointer to another snapshot since this commit began;
        `CorruptSnapshot` when a reused file is not stored, a local file changes while it is read, or a path leads out of the
        snapshot; `TransientError` when a collection took this commit for dead, because it stood still for minutes.
        """
        former = self.pointer.read_as(epoch)
        described = self._described(files, limits)
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
            digest_algorithm=self._digests,
        )
        if former is not None and former.names(manifest.snapshot_id, epoch) and not verify:
            return Commit(self._readable(manifest), 0, len(files), 0, moved_pointer=False)
        # A local file rather than a stored one, where both are the same bytes: it is there for certain.
        local_last = sorted(files.items(), key=lambda item: isinstance(item[1], Path))
        sources = {described[path].blob: source for path, source in local_last}
        with self.activity.writing(manifest.needs) as intent:
            stored, promised = self.promises(manifest.snapshot_id, former)
            unique = {file.blob: file for file in manifest.files}
            # A snapshot that is stored and is taken again was undone, maybe because it was not whole.
            again = stored is not None and (former is None or former.pointer.snapshot_id != manifest.snapshot_id)
            held = self.held(unique.values(), promised, limits, intent.keep, verify=verify or again)
            missing = [file for blob, file in unique.items() if blob not in held]
            budget = MemoryBudget(limits.memory_bytes)

            def write(file: SnapshotFile) -> None:
                with budget.reserved_for(file):
                    self._store_file(file, sources[file.blob])

            run_all(write, missing, concurrency=limits.concurrency, tick=intent.keep)
            intent.confirm()
            stored = stored or self.write_manifest(manifest)
            moved = publish and self.pointer.move(stored.snapshot_id, epoch, former)
        written = sum(file.size for file in missing)
        return Commit(stored, len(missing), len(files) - len(missing), written, moved)

    def publish(self, snapshot_id: str, epoch: int) -> Manifest:
        """Make a stored snapshot the current one, and return its manifest.

        Raises `ObjectNotFound` for one that is not stored, and what a commit's last step does.
        """
        manifest = self.manifest(snapshot_id)
        self.pointer.move(snapshot_id, epoch, self.pointer.read_as(epoch))
        return manifest

    def promises(self, snapshot_id: str, former: PointerVersion | None) -> tuple[Manifest | None, frozenset[str]]:
        """The manifest of this snapshot if it is stored already, and all blobs that are known to be stored.

        They are those of that manifest or, without it, of the snapshot that `former` names. To be asked after an intent
        was stored: then no collection removes them.
        """
        for known in (snapshot_id, former.pointer.snapshot_id if former else snapshot_id):
            try:
                manifest = self.manifest(known)
            except (ObjectNotFound, CorruptSnapshot):
                continue
            return manifest if known == snapshot_id else None, frozenset(file.blob for file in manifest.files)
        return None, frozenset()

    def held(
        self,
        files: Collection[SnapshotFile],
        promised: Collection[str],
        limits: ReplicationLimits,
        keep: Callable[[], object],
        *,
        verify: bool,
    ) -> frozenset[str]:
        """The blobs of those files that need not be written, because they are promised, or found with their size.

        With `verify` nothing is taken for granted: what is found is read, and counts only if its digest is right. So it is
        without, where the provider copies by itself: what a dead process had it copy was never proved. `keep` is called
        every second.
        """
        known = frozenset[str]() if verify else frozenset(file.blob for file in files if file.blob in promised)
        files = [file for file in files if file.blob not in known]
        found = self.blobs.held(files, limits.concurrency, keep)
        if not (verify or self.blobs.copies_from):
            return found | known
        sound: set[str] = set()
        run_all(
            lambda file: sound.add(file.blob) if self.blobs.stored_digest(file) == file.digest else None,
            [file for file in files if file.blob in found],
            concurrency=limits.concurrency,
            tick=keep,
        )
        return known | sound

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

    def verify(self, manifest: Manifest, tick: Callable[[], object] = lambda: None) -> tuple[Mismatch, ...]:
        """Read all stored bytes of a snapshot and return the files that are not what the manifest promises.

        `tick` is called every second.
        """
        found: dict[str, str | None] = {}

        def read(file: SnapshotFile) -> None:
            found[file.digest] = self.blobs.stored_digest(file)

        unique = {file.digest: file for file in manifest.files}
        run_all(read, unique.values(), concurrency=DEFAULT_LIMITS.concurrency, tick=tick)
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

    def stored_snapshots(self) -> tuple[str, ...]:
        """The ids of all snapshots whose manifests are stored, the current one among them."""
        return _ids(self._store.list(f"{self._folder}/manifests"))

    def held_snapshots(self) -> tuple[str, ...]:
        """The ids of the snapshots that are on legal hold."""
        return _ids(self._store.list(f"{self._folder}/holds"))

    def get_hold(self, snapshot_id: str) -> bytes:
        """The stored hold on a snapshot; `holds.py` knows what it says. Raises `ObjectNotFound`."""
        return self._store.get(self._hold_key(snapshot_id))

    def put_hold(self, snapshot_id: str, data: bytes) -> None:
        """Store a hold on a snapshot."""
        self._store.put(self._hold_key(snapshot_id), data)

    def delete_hold(self, snapshot_id: str) -> None:
        """Remove the hold on a snapshot."""
        self._store.delete(self._hold_key(snapshot_id))

    def _hold_key(self, snapshot_id: str) -> str:
        return f"{self._folder}/holds/{snapshot_id}.json"

    def _manifest_key(self, snapshot_id: str) -> str:
        return f"{self._folder}/manifests/{snapshot_id}.json"

    def _readable(self, manifest: Manifest) -> Manifest:
        """The stored manifest of this snapshot; stored anew where it is lost or unreadable."""
        try:
            return self.manifest(manifest.snapshot_id)
        except (ObjectNotFound, CorruptSnapshot):
            return self.write_manifest(manifest)

    def _described(self, files: Mapping[str, Path | SnapshotFile], limits: ReplicationLimits) -> dict[str, SnapshotFile]:
        described: dict[str, SnapshotFile] = {}

        def describe_one(path: str) -> None:
            check_path(path)
            source = files[path]
            if isinstance(source, Path):
                described[path] = describe(path, source, self._digests)
            elif source.algorithm == self._digests:
                described[path] = replace(source, path=path)
            else:
                described[path] = self._digested_anew(path, source)

        run_all(describe_one, files, concurrency=limits.concurrency)
        return described

    def _digested_anew(self, path: str, file: SnapshotFile) -> SnapshotFile:
        digest = new_digest(self._digests)
        for chunk in self.blobs.read(file):
            digest.update(chunk)
        return SnapshotFile(path, file.size, digest.hexdigest(), self._digests)

    def _store_file(self, file: SnapshotFile, source: Path | SnapshotFile) -> None:
        if isinstance(source, Path):
            self.blobs.write(file, file_chunks(source), "local file that changed while it was read")
        elif source.algorithm != file.algorithm:
            self.blobs.write(file, self.blobs.read(source), self.location)
        else:
            raise CorruptSnapshot(f"{self.location}: {file.path!r} was to be reused, but no whole blob {file.digest} is stored")

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


def _ids(objects: Iterable[ObjectMeta]) -> tuple[str, ...]:
    return tuple(meta.key.rpartition("/")[2].removesuffix(".json") for meta in objects)


def _is_file(path: Path, file: SnapshotFile) -> bool:
    return path.is_file() and path.stat().st_size == file.size and describe(file.path, path, file.algorithm) == file
