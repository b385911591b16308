"""Who is at work in a workload's folder of a bucket: writers, each with an intent, and at most one collection.

A collection (`retention.py`) removes blobs that nothing needs, and a writer may be about to need one: it found the blob
stored, so it will not write it again. Both announce themselves, in this order:

- A writer stores its *intent*, which names all blobs and snapshots it needs; then it asks for the collection's *marker*,
  and waits while there is one; only then does it look for blobs. Before it stores its manifest it confirms the intent by a
  conditional put, and afterwards removes it.
- A collection stores its marker; then it reads the intents; then pointers, manifests and holds; only then does it remove
  manifests, and blobs after them. At the end it removes the marker.

Why no blob of a manifest is ever removed. Let a writer store a manifest with blob B, and a collection run at any time.
Stores show every acknowledged write at once, so when the collection reads the intents, either the writer's is there and B
is kept by name. Or it was removed already: then the manifest was stored before, the collection reads it later, and B is
kept as its blob. Or it is not there yet: then the marker was stored before the intent, the writer sees it and waits, and
looks for B when the collection has ended; if B is gone by then, it is written anew. A manifest is removed before its blobs,
so whoever reads a manifest after its own intent was stored may rely on the blobs of it without asking for them.

Both are leases, because their owners die. An intent that lapsed is deleted by the collection that ignores it, so its
owner, should it wake up, cannot confirm it and starts again. A marker that was not renewed for the whole of its lease is
ignored by writers, and its collection stops at two thirds of the lease. What is assumed: clocks differ by less than
`SKEW_SECONDS`, and a request that was begun within two thirds of a lease has taken effect, or never will, when it ends.
That blobs younger than a grace period stay in any case is a second net, for machines that break these assumptions.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.domain.errors import CorruptSnapshot, McmlError, ObjectNotFound, PreconditionFailed, TransientError
from mcml_assets.domain.snapshot import canonical_json

INTENT_SECONDS = 900.0
COLLECTION_SECONDS = 60.0
SKEW_SECONDS = 300.0
POLL_SECONDS = 0.2


class Lease:
    """An object in a bucket that says until when its owner is at work."""

    def __init__(
        self, store: ObjectStore, key: str, seconds: float, says: Mapping[str, Any], former: str | None = None
    ) -> None:
        """Store it; `former` is the version of a lapsed one to be replaced. Raises `PreconditionFailed` if one is there."""
        self._store, self._key, self._seconds, self._says = store, key, seconds, says
        self._renewed = monotonic()
        self._etag = self._write(former)

    def keep(self) -> None:
        """Renew it when a third of its time has passed; to be called every few seconds.

        Raises `TransientError` when it lapsed: then somebody else may have acted as if the owner were dead.
        """
        age = monotonic() - self._renewed
        if age > self._seconds * 2 / 3:
            raise TransientError(f"{self._store.location}: {self._key} was not renewed for {age:.0f} s; start again")
        if age > self._seconds / 3:
            self.confirm()

    def confirm(self) -> None:
        """Renew it now. Raises `PreconditionFailed` when somebody ended it, taking the owner for dead."""
        begun = monotonic()
        self._etag = self._write(self._etag)
        self._renewed = begun

    def end(self) -> None:
        """Remove it, unless it lapsed, and may be another's by now."""
        if monotonic() - self._renewed < self._seconds:
            self._store.delete(self._key)

    def _write(self, etag: str | None) -> str:
        expires = datetime.now(UTC) + timedelta(seconds=self._seconds)
        # No two writes have the same content, because some stores' versions are digests of it.
        data = canonical_json({"renewal": uuid4().hex, "expires_at": expires.isoformat(), **self._says})
        if etag is None:
            return self._store.put_if_absent(self._key, data).etag
        return self._store.put_if_match(self._key, data, etag).etag


class WorkloadActivity:
    """The intents and the marker of one workload in one bucket."""

    def __init__(self, store: ObjectStore, workload: str) -> None:
        self._store = store
        self._intents = f"{workload}/intents"
        self._marker = f"{workload}/collection.json"

    @contextmanager
    def writing(self, needs: Iterable[str]) -> Iterator[Lease]:
        """Keep what is needed from any collection until the block ends, also where it is not stored yet.

        `needs` are digests of blobs and ids of snapshots.

        The block begins when no collection is under way. It calls `keep` every few seconds, and `confirm` before it
        stores what names the blobs.
        """
        key = f"{self._intents}/{uuid4().hex}.json"
        intent = Lease(self._store, key, INTENT_SECONDS, {"needs": sorted(set(needs))})
        try:
            self._wait_for_collection(intent.keep)
            yield intent
        finally:
            # The work is done, or its error matters more; what is left here lapses by itself.
            with suppress(McmlError):
                intent.end()

    @contextmanager
    def collecting(self) -> Iterator[Lease]:
        """Be the only collection until the block ends. Raises `TransientError` while another one is under way."""
        try:
            marker = Lease(self._store, self._marker, COLLECTION_SECONDS, {})
        except PreconditionFailed:
            marker = self._take_over()
        try:
            yield marker
        finally:
            with suppress(McmlError):
                marker.end()

    def protected(self) -> frozenset[str]:
        """The blobs and snapshots that writers at work need; intents that lapsed are removed. Asked after the marker.

        Raises `CorruptSnapshot` for an intent that cannot be read: whatever it protects is unknown.
        """
        needs: set[str] = set()
        for meta in list(self._store.list(self._intents)):
            # One that was removed just now is no more needed: its manifest, if any, is stored.
            with suppress(ObjectNotFound):
                intent = self._read(meta.key)[0]
                if _lapsed(intent):
                    self._store.delete(meta.key)
                else:
                    needs.update(intent["needs"])
        return frozenset(needs)

    def _take_over(self) -> Lease:
        try:
            found, etag = self._read(self._marker)
        except ObjectNotFound:
            found, etag = {}, None
        if etag is None or not _lapsed(found):
            raise TransientError(f"{self._store.location}: another collection is under way ({self._marker}); try again later")
        return Lease(self._store, self._marker, COLLECTION_SECONDS, {}, former=etag)

    def _wait_for_collection(self, keep: Callable[[], None]) -> None:
        seen, since = "", 0.0
        while True:
            try:
                found, etag = self._read(self._marker)
            except ObjectNotFound:
                return
            if etag != seen:
                seen, since = etag, monotonic()
            # By its own word, or because nobody renewed it before our eyes, whatever the clocks say.
            if _lapsed(found) or monotonic() - since > COLLECTION_SECONDS:
                return
            keep()
            sleep(POLL_SECONDS)

    def _read(self, key: str) -> tuple[dict[str, Any], str]:
        data, meta = self._store.get_with_meta(key)
        try:
            document = json.loads(data)
            datetime.fromisoformat(document["expires_at"])
        except (ValueError, TypeError, KeyError) as error:
            raise CorruptSnapshot(
                f"{self._store.location}: {key} is unreadable; delete it once nothing writes there: {error}"
            ) from None
        return document, meta.etag


def _lapsed(lease: Mapping[str, Any]) -> bool:
    expires = datetime.fromisoformat(lease["expires_at"])
    return datetime.now(UTC) > expires + timedelta(seconds=SKEW_SECONDS)
