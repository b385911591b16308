"""A bucket of the local cloud: a folder, with the conditional writes and the outages of a real one.

Small reads are obstore's. Streams are ours, because obstore's are slow here; and writes, because its local client has
no conditional update and makes a missing bucket anew. Its etag (inode, microsecond of the last change, size) becomes a
true version by how `folder.py` stamps files.
Imports obstore: import this module only where a store is opened.
"""

import errno
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from io import FileIO
from pathlib import Path
from urllib.parse import unquote

from obstore.store import LocalStore as LocalClient

from mcml_assets.clouds.chunks import CHUNK_SIZE, Source, file_chunks
from mcml_assets.clouds.interfaces import ObjectMeta
from mcml_assets.clouds.local import folder
from mcml_assets.clouds.obstore_store import ObstoreStore
from mcml_assets.domain.errors import ConfigurationError, LocationUnavailable, ObjectNotFound, PreconditionFailed

# What a key, not the bucket, is to blame for: part of it is an object or too long for a file's name.
KEY_ERRORS = (errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ENOTEMPTY, errno.EEXIST)


class LocalStore(ObstoreStore):
    """An `ObjectStore` in a folder, which is correct across threads and processes, and survives their crashes.

    An etag names one write, not the content: it changes with every write, also of the same bytes. A bucket whose
    folder is missing, or whose owner may not read it, is unavailable, and stays so: nothing here creates it.

    A key is a file, so no key can be the folder of another one.
    """

    def __init__(self, location: str, bucket: Path) -> None:
        super().__init__(location, partial(LocalClient, bucket))
        self._bucket = bucket

    def stream(self, key: str, chunk_size: int = CHUNK_SIZE) -> Iterator[bytes]:
        """The object in chunks of about `chunk_size` bytes. Raises `ObjectNotFound`, at once."""
        # Three times as fast as through obstore, which hands every chunk from thread to thread.
        with self.translated(key):
            try:
                file = FileIO(self._bucket / self.path(key))
            except OSError as error:
                if error.errno in (errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG):
                    raise FileNotFoundError(key) from error
                raise
        return self._read(key, file, chunk_size)

    def put(self, key: str, data: bytes | Path | Iterator[bytes]) -> ObjectMeta:
        """Write or replace the object; readers see the old or the new content, never a part of it.

        An error that `data` raises while it is read reaches the caller unchanged, and nothing is written.
        """
        chunks = file_chunks(data) if isinstance(data, Path) else iter([data]) if isinstance(data, bytes) else data
        source = Source(chunks)
        try:
            return self._write(key, source, lambda found: True)
        except (LocationUnavailable, ConfigurationError):
            if source.error is not None:
                raise source.error from None
            raise

    def put_if_absent(self, key: str, data: bytes) -> ObjectMeta:
        """Write the object only if the key is free. Raises `PreconditionFailed`."""
        return self._write(key, [data], lambda found: found is None)

    def put_if_match(self, key: str, data: bytes, etag: str) -> ObjectMeta:
        """Replace the object only if its version is still `etag`. Raises `PreconditionFailed`."""
        return self._write(key, [data], lambda found: found is not None and found.etag == etag)

    def list(self, prefix: str) -> Iterator[ObjectMeta]:
        """Every object whose key starts with the folder `prefix`, in the order of their keys."""
        # A folder has no order of its own; and a bucket that vanished meanwhile looks empty.
        found = sorted(super().list(prefix), key=lambda meta: meta.key)
        self.check_bucket()
        yield from found

    def delete(self, key: str) -> None:
        """Remove the object; a missing key is not an error."""
        parent, _, name = self.path(key).rpartition("/")
        with self._writing(key) as root, folder.locked(root, key):
            if self._found(key) is not None:
                with folder.opened_below(root, parent) as target:
                    folder.remove(target, name)

    def path(self, key: str) -> str:
        """The file of a key below the bucket.

        obstore refuses names that end like its own temporary files (`#1`), and our own folder begins with a dot, so
        both characters are escaped there, as is `%`.
        """
        escaped = super().path(key).replace("%", "%25").replace("#", "%23")
        return f"%2E{escaped[1:]}" if escaped.startswith(".") else escaped

    def key(self, path: str) -> str | None:
        """The key of a file below the bucket, None for our own files and a desktop's."""
        return None if path.startswith(".") else unquote(path)

    def check_bucket(self) -> None:
        """Raise `LocationUnavailable` when the bucket's folder is missing or closed to its owner."""
        self._check_mode(stat.S_IRUSR | stat.S_IXUSR)

    @contextmanager
    def translated(self, key: str) -> Iterator[None]:
        """Turn errors about `key` into the platform's."""
        self.check_bucket()
        try:
            with super().translated(key):
                yield
        except LocationUnavailable as error:
            # obstore has no class for these: part of the key is a file, or is too long for one; nothing is stored there.
            if any(f"(os error {number})" in str(error) for number in (errno.ENOTDIR, errno.ENAMETOOLONG)):
                raise ObjectNotFound(f"{self.location} has no object {key!r}") from error
            raise

    def _write(self, key: str, chunks: Iterable[bytes], wanted: Callable[[ObjectMeta | None], bool]) -> ObjectMeta:
        """Replace the object if what is found there is `wanted`, comparing and replacing under the key's lock."""
        parent, _, name = self.path(key).rpartition("/")
        with (
            self._writing(key) as root,
            folder.staged(root, chunks) as (staging, staged_name),
            folder.locked(root, key),
        ):
            if not wanted(self._found(key)):
                raise PreconditionFailed(f"{self.location}: {key!r} was written by somebody else meanwhile")
            with folder.opened_below(root, parent) as target:
                folder.publish(staging, staged_name, target, name)
            return self.head(key)

    def _read(self, key: str, file: FileIO, chunk_size: int) -> Iterator[bytes]:
        with file, self.translated(key):
            while chunk := file.read(chunk_size):
                yield chunk

    def _found(self, key: str) -> ObjectMeta | None:
        try:
            return self.head(key)
        except ObjectNotFound:
            return None

    @contextmanager
    def _writing(self, key: str) -> Iterator[int]:
        """A descriptor of the bucket, and the platform's errors for those of the file system."""
        self._check_mode(stat.S_IRWXU)
        try:
            with folder.opened(self._bucket) as root:
                yield root
        except OSError as error:
            if error.errno in KEY_ERRORS:
                raise ConfigurationError(
                    f"{self.location}: {key!r} cannot be stored beside the objects that are there: {error.strerror}"
                ) from error
            raise LocationUnavailable(self.location, f"bucket {self._bucket.name}: {error.strerror}") from error

    def _check_mode(self, needed: int) -> None:
        try:
            mode = self._bucket.stat().st_mode
        except OSError as error:
            raise LocationUnavailable(self.location, f"bucket {self._bucket.name}: {error.strerror}") from error
        # The owner's bits are compared, because root may enter where they are missing, and a drill may run as root.
        if not stat.S_ISDIR(mode) or mode & needed != needed:
            raise LocationUnavailable(self.location, f"bucket {self._bucket.name} is closed ({stat.filemode(mode)})")
