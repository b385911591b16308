"""The `current` pointer of one asset in one bucket: reading it, and moving it by a conditional put under an epoch.

That everything a pointer leads to is stored before it moves is `store.py`'s business.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.domain.errors import CorruptSnapshot, ObjectNotFound, PreconditionFailed, StaleEpoch
from mcml_assets.domain.snapshot import Pointer


@dataclass(frozen=True, slots=True)
class PointerVersion:
    """A pointer as it was read, with the version that a conditional put compares."""

    pointer: Pointer
    etag: str

    def names(self, snapshot_id: str, epoch: int) -> bool:
        """Whether the pointer names this snapshot under this very epoch."""
        return (self.pointer.snapshot_id, self.pointer.epoch) == (snapshot_id, epoch)


Confirm = Callable[[int], None]
"""Raises `StaleEpoch` if this epoch is known to be over, wherever that is known."""


class CurrentPointer:
    """The pointer stored under one key.

    `confirm` is asked before every move: the bucket of a location that lost its work may never have heard of the epoch
    that took it.
    """

    def __init__(self, store: ObjectStore, key: str, confirm: Confirm | None = None) -> None:
        self._store = store
        self._key = key
        self._confirm = confirm

    def read(self) -> PointerVersion | None:
        """The pointer and its version, None before the first. Raises `CorruptSnapshot` if it is unreadable."""
        try:
            data, meta = self._store.get_with_meta(self._key)
        except ObjectNotFound:
            return None
        try:
            return PointerVersion(Pointer.from_json(data), meta.etag)
        except CorruptSnapshot as error:
            raise CorruptSnapshot(f"{self._store.location}: {self._key}: {error}") from error

    def read_as(self, epoch: int) -> PointerVersion | None:
        """What `read` returns, for a writer of this epoch. Raises `StaleEpoch` when a newer epoch fences it."""
        version = self.read()
        if version is not None and version.pointer.refuses_below > epoch:
            raise StaleEpoch(
                f"{self._store.location}: {self._key} is at epoch {version.pointer.refuses_below}; "
                f"a writer of epoch {epoch} may not move it"
            )
        return version

    def fence(self, epoch: int) -> bool:
        """Refuse writers of older epochs from now on; False while there is no pointer, which nothing can be held against.

        What it names, and under which epoch that was written, stays as it is. Raises `PreconditionFailed` when a writer
        moved it meanwhile.
        """
        version = self.read()
        if version is None:
            return False
        if version.pointer.refuses_below < epoch:
            self._store.put_if_match(self._key, replace(version.pointer, fence=epoch).to_json(), version.etag)
        return True

    def move(self, snapshot_id: str, epoch: int, former: PointerVersion | None) -> bool:
        """Name this snapshot, if the pointer still is as `former` was read; returns whether it was written.

        A pointer that names it already under this epoch is left alone; under an older epoch it is written, so that
        writers of the older epoch are refused from then on. Raises `StaleEpoch` when a newer epoch was faster, and
        `PreconditionFailed` when another writer was, unless that one named the same snapshot. What `confirm` raises.
        """
        if former is not None and former.names(snapshot_id, epoch):
            return False
        if self._confirm is not None:
            self._confirm(epoch)
        pointer = Pointer(snapshot_id, epoch, datetime.now(UTC).isoformat(), _previous(snapshot_id, former))
        try:
            if former is None:
                self._store.put_if_absent(self._key, pointer.to_json())
            else:
                self._store.put_if_match(self._key, pointer.to_json(), former.etag)
        except PreconditionFailed:
            winner = self.read_as(epoch)
            if winner is None or not winner.names(snapshot_id, epoch):
                raise
            return False
        return True


def _previous(snapshot_id: str, former: PointerVersion | None) -> str | None:
    """The snapshot that was current before this one; a renewed pointer keeps the one it knew."""
    if former is None:
        return None
    return former.pointer.previous if former.pointer.snapshot_id == snapshot_id else former.pointer.snapshot_id
