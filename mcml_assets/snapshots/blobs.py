"""The content-addressed files of a workload in one bucket: every byte is digested as it is written and as it is read.

What a set of blobs means is `store.py`'s business.
"""

from collections.abc import Callable, Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import cast

from mcml_assets.clouds.interfaces import CopyingStore, ObjectStore
from mcml_assets.domain.digest import DigestAlgorithm, new_digest
from mcml_assets.domain.errors import CorruptSnapshot, ObjectNotFound
from mcml_assets.domain.snapshot import SnapshotFile
from mcml_assets.snapshots.workers import run_all

# Fits a core's cache, so that the digest reads what was just read or is just to be written; larger ones were slower.
TRANSFER_CHUNK = 1024 * 1024
# Above so many files a listing, which names 1,000 per request, is cheaper than asking for each.
ASK_EACH_UP_TO = 32
LISTED_PER_WANTED = 10


class Blobs:
    """The blobs of one workload; assets share them, so a file that two snapshots hold is stored once."""

    def __init__(self, store: ObjectStore, workload: str) -> None:
        self._store = store
        self.folder = f"{workload}/blobs"

    def key(self, file: SnapshotFile) -> str:
        """Where the bytes of a file are stored."""
        return f"{self.folder}/{file.blob}"

    def holds(self, file: SnapshotFile) -> bool:
        """Whether the blob is stored with its full size; its content is not read."""
        try:
            return self._store.head(self.key(file)).size == file.size
        except ObjectNotFound:
            return False

    def held(self, files: Collection[SnapshotFile], concurrency: int, tick: Callable[[], object]) -> frozenset[str]:
        """The blobs of those files, all of one snapshot, that are stored with their full size; no content is read.

        `tick` is called every second.
        """
        held: set[str] = set()
        wanted = {self.key(file): file for file in files}
        if len(wanted) > ASK_EACH_UP_TO:
            # Bounded, because much more may be stored than is asked for; the rest is asked for one by one.
            last = ""
            (algorithm,) = {file.algorithm for file in files}
            listing = list(islice(self._store.list(f"{self.folder}/{algorithm}"), LISTED_PER_WANTED * len(wanted)))
            for meta in listing:
                if meta.key in wanted and wanted[meta.key].size == meta.size:
                    held.add(wanted[meta.key].blob)
                last = meta.key
            complete = len(listing) < LISTED_PER_WANTED * len(wanted)
            wanted = {} if complete else {key: file for key, file in wanted.items() if key > last}
            tick()

        def ask(file: SnapshotFile) -> None:
            if self.holds(file):
                held.add(file.blob)

        run_all(ask, wanted.values(), concurrency=concurrency, tick=tick)
        return frozenset(held)

    def write(self, file: SnapshotFile, chunks: Iterator[bytes], origin: str) -> None:
        """Store the blob, unless `chunks` turn out to be other bytes than `file` says.

        Raises `CorruptSnapshot` in that case, before any reader could see them; `origin` says in the message whose
        bytes they were.
        """
        checked = compared(file, chunks, origin)
        # The comparison ends the stream, and an interrupted put shows nothing: so nothing wrong is ever stored. A small
        # blob is compared first and takes one request, whatever the store.
        self._store.put(self.key(file), b"".join(checked) if file.size <= TRANSFER_CHUNK else checked)

    @property
    def copies_from(self) -> Collection[str]:
        """The keys of the locations from which the provider can copy blobs to here by itself."""
        return self._store.copies_from if isinstance(self._store, CopyingStore) else ()

    def copied(self, file: SnapshotFile, origin: str) -> bool:
        """Have the provider copy the blob from the location `origin`; whether what is stored now is proved to be right.

        By the digest that the provider computed of it, or by reading it. Where it is not, some wrong blob may be stored
        under the name until it is written again. Raises as `CopyingStore.copy_from` does.
        """
        told = cast("CopyingStore", self._store).copy_from(origin, self.key(file), file.size)
        proof = told if file.algorithm == "sha256" else None
        return (proof or self.stored_digest(file)) == file.digest

    def read(self, file: SnapshotFile) -> Iterator[bytes]:
        """The blob in chunks; the last one is followed by `CorruptSnapshot` when they were not what `file` says."""
        return compared(file, self.stored(file), self._store.location)

    def stored(self, file: SnapshotFile) -> Iterator[bytes]:
        """The stored bytes in chunks, not compared with anything. Raises `CorruptSnapshot` when there are none."""
        try:
            return self._store.stream(self.key(file), TRANSFER_CHUNK)
        except ObjectNotFound:
            raise CorruptSnapshot(
                f"{self._store.location}: {file.path!r} is missing; expected {file.algorithm} {file.digest}, "
                f"{file.size} bytes, found nothing"
            ) from None

    def stored_digest(self, file: SnapshotFile) -> str | None:
        """The digest of the bytes that are stored as this blob, None when there are none."""
        digest = new_digest(file.algorithm)
        try:
            for chunk in self.stored(file):
                digest.update(chunk)
        except CorruptSnapshot:
            return None
        return digest.hexdigest()


def describe(path: str, source: Path, algorithm: DigestAlgorithm) -> SnapshotFile:
    """The size and digest of a local file, under its path in the snapshot. Raises `OSError` as `open` does."""
    digest = new_digest(algorithm)
    with source.open("rb") as opened:
        while chunk := opened.read(TRANSFER_CHUNK):
            digest.update(chunk)
        return SnapshotFile(path, opened.tell(), digest.hexdigest(), algorithm)


def compared(file: SnapshotFile, chunks: Iterator[bytes], origin: str) -> Iterator[bytes]:
    """Pass `chunks` on, and raise `CorruptSnapshot` after the last if their digest is not the file's.

    It is raised at once when there are more bytes than there should be: what is too long must not fill memory or disk.
    """
    digest, size = new_digest(file.algorithm), 0
    for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
        if size > file.size:
            raise _damaged(file, origin, f"more than {file.size} bytes")
        yield chunk
    if size != file.size or digest.hexdigest() != file.digest:
        raise _damaged(file, origin, f"{digest.hexdigest()}, {size} bytes")


def _damaged(file: SnapshotFile, origin: str, found: str) -> CorruptSnapshot:
    return CorruptSnapshot(
        f"{origin}: {file.path!r} is damaged; expected {file.algorithm} {file.digest}, {file.size} bytes, found {found}"
    )
