"""The Protocols a cloud implements. Adding a cloud means implementing these, and nothing above changes.

Every implementation translates its SDK's errors into `domain.errors`: `ObjectNotFound` for a missing key,
`PreconditionFailed` for a lost conditional put, `LocationUnavailable` when the bucket or its service does not answer,
`CredentialsRejected` (one of its kinds) when it refuses ours, `TransientError` when it asks to slow down.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class ObjectMeta:
    """A stored object: its key, its size in bytes, and the opaque version token that `put_if_match` compares.

    `version` names the object for `VersionedStore.get_version`, None where the bucket keeps no versions; listings may
    leave it out, so it does not count when two of these are compared. Nor does `modified`, when this version was stored by
    the store's own clock, which `head` and `list` tell and an answer to a write need not.
    """

    key: str
    size: int
    etag: str
    version: str | None = field(default=None, compare=False)
    modified: datetime | None = field(default=None, compare=False)


class ObjectStore(Protocol):
    """One bucket. Keys are `/`-separated UTF-8; reads see every earlier acknowledged write.

    All methods raise `LocationUnavailable` when the bucket does not answer.
    """

    @property
    def location(self) -> str:
        """The key of the location this bucket belongs to, for messages."""
        ...

    def get(self, key: str) -> bytes:
        """The whole object. Raises `ObjectNotFound`."""
        ...

    def get_with_meta(self, key: str) -> tuple[bytes, ObjectMeta]:
        """The whole object and the version that was read. Raises `ObjectNotFound`."""
        ...

    def get_range(self, key: str, start: int, end: int) -> bytes:
        """Bytes `start` (inclusive) to `end` (exclusive). Raises `ObjectNotFound`."""
        ...

    def stream(self, key: str, chunk_size: int = 8 * 1024 * 1024) -> Iterator[bytes]:
        """The object in chunks of about `chunk_size` bytes. Raises `ObjectNotFound`."""
        ...

    def head(self, key: str) -> ObjectMeta:
        """Size and version without the content. Raises `ObjectNotFound`."""
        ...

    def put(self, key: str, data: bytes | Path | Iterator[bytes]) -> ObjectMeta:
        """Write or replace the object; readers see the old or the new content, never a part of it."""
        ...

    def put_if_absent(self, key: str, data: bytes) -> ObjectMeta:
        """Write the object only if the key is free. Raises `PreconditionFailed`."""
        ...

    def put_if_match(self, key: str, data: bytes, etag: str) -> ObjectMeta:
        """Replace the object only if its version is still `etag`. Raises `PreconditionFailed`."""
        ...

    def list(self, prefix: str) -> Iterator[ObjectMeta]:
        """Every object whose key starts with the folder `prefix`, in the order of their keys."""
        ...

    def delete(self, key: str) -> None:
        """Remove the object; a missing key is not an error."""
        ...


@runtime_checkable
class VersionedStore(ObjectStore, Protocol):
    """A store whose kind has `Capability.VERSIONING`."""

    def get_version(self, key: str, version: str) -> bytes:
        """The object as it was in `ObjectMeta.version`, also after it was replaced or deleted.

        Raises `ObjectNotFound`, also where the bucket has versioning off.
        """
        ...


@runtime_checkable
class CopyingStore(ObjectStore, Protocol):
    """A store whose kind has `Capability.COPY_BETWEEN_BUCKETS`."""

    @property
    def copies_from(self) -> Collection[str]:
        """The keys of the locations whose buckets these credentials may read, by the topology."""
        ...

    def copy_from(self, location: str, key: str, size: int) -> str | None:
        """Have the provider copy the object `key` of `size` bytes from that location's bucket into this one.

        No byte of it passes here, so whether the copy is right is the caller's to prove. Returns the SHA-256 in hex that
        the provider computed of what it stored, None where it tells none that can be relied on. Raises `ObjectNotFound`
        when the source is missing, and as every method does; then nothing was written.
        """
        ...


@runtime_checkable
class CloudStore(VersionedStore, CopyingStore, Protocol):
    """A store behind a provider's service, which can do all of it."""

    def discard_uploads(self, prefix: str, before: datetime) -> int:
        """Discard the parts of uploads below the folder `prefix` that began before then and never ended; their number.

        A process that is killed leaves such parts; no reader and no listing of objects shows them. A provider that
        discards them by itself has none.
        """
        ...
