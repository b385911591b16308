"""The content-addressed files of a workload in one bucket: every byte is digested as it is written and as it is read.

What a set of blobs means is `store.py`'s business.
"""

from collections.abc import Iterator
from hashlib import file_digest, sha256
from pathlib import Path

from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.domain.errors import CorruptSnapshot, ObjectNotFound
from mcml_assets.domain.snapshot import DIGEST_ALGORITHM, SnapshotFile


class Blobs:
    """The blobs of one workload; assets share them, so a file that two snapshots hold is stored once."""

    def __init__(self, store: ObjectStore, workload: str) -> None:
        self._store = store
        self._folder = f"{workload}/blobs/{DIGEST_ALGORITHM}"

    def key(self, digest: str) -> str:
        """Where the blob with this hex digest is stored."""
        return f"{self._folder}/{digest[:2]}/{digest}"

    def holds(self, file: SnapshotFile) -> bool:
        """Whether the blob is stored with its full size; its content is not read."""
        try:
            return self._store.head(self.key(file.digest)).size == file.size
        except ObjectNotFound:
            return False

    def write(self, file: SnapshotFile, chunks: Iterator[bytes], origin: str) -> None:
        """Store the blob, unless `chunks` turn out to be other bytes than `file` says.

        Raises `CorruptSnapshot` in that case, before any reader could see them; `origin` says in the message whose
        bytes they were.
        """
        # The comparison ends the stream, and an interrupted put shows nothing: so nothing wrong is ever stored.
        self._store.put(self.key(file.digest), compared(file, chunks, origin))

    def read(self, file: SnapshotFile) -> Iterator[bytes]:
        """The blob in chunks; the last one is followed by `CorruptSnapshot` when they were not what `file` says."""
        return compared(file, self.stored(file), self._store.location)

    def stored(self, file: SnapshotFile) -> Iterator[bytes]:
        """The stored bytes in chunks, not compared with anything. Raises `CorruptSnapshot` when there are none."""
        try:
            return self._store.stream(self.key(file.digest))
        except ObjectNotFound:
            raise CorruptSnapshot(
                f"{self._store.location}: {file.path!r} is missing; expected {DIGEST_ALGORITHM} {file.digest}, "
                f"{file.size} bytes, found nothing"
            ) from None


def describe(path: str, source: Path) -> SnapshotFile:
    """The size and digest of a local file, under its path in the snapshot. Raises `OSError` as `open` does."""
    with source.open("rb") as opened:
        digest = file_digest(opened, DIGEST_ALGORITHM).hexdigest()
        return SnapshotFile(path, opened.tell(), digest)


def compared(file: SnapshotFile, chunks: Iterator[bytes], origin: str) -> Iterator[bytes]:
    """Pass `chunks` on, and raise `CorruptSnapshot` after the last if their digest is not the file's."""
    digest, size = sha256(), 0
    for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
        yield chunk
    if size != file.size or digest.hexdigest() != file.digest:
        raise CorruptSnapshot(
            f"{origin}: {file.path!r} is damaged; expected {DIGEST_ALGORITHM} {file.digest}, {file.size} bytes, "
            f"found {digest.hexdigest()}, {size} bytes"
        )
