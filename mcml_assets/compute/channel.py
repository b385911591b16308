"""The messages of Pipes through the location's own bucket, over any store: a folder, S3, GCS, Azure Blob.

Dagster's own readers speak one provider's SDK each, with credentials of their own; this one takes the store that the
location's snapshots are in. One object per message, numbered, below `mcml-work/<run id>/`; they are deleted when the work has
ended. What a message says is `work.py`'s and the worker's business.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from secrets import token_hex

import dagster as dg
from dagster_pipes import PipesMessage, PipesMessageWriter, PipesMessageWriterChannel, PipesParams

from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.domain.errors import LocationUnavailable, McmlError, ObjectNotFound, TransientError

PREFIX, LOCATION = "prefix", "location"
POLL_SECONDS = 1.0


def message_key(prefix: str, number: int) -> str:
    """The key of a message, counted from 1."""
    return f"{prefix}/{number:06d}.json"


class BucketMessageReader(dg.PipesBlobStoreMessageReader):
    """Reads the messages of one piece of work, in order, as they appear."""

    def __init__(self, store: ObjectStore, run_id: str) -> None:
        super().__init__(interval=POLL_SECONDS)
        self._store = store
        # A run may try again: what a dead attempt wrote is not taken for this one's.
        self._prefix = f"mcml-work/{run_id}/{token_hex(4)}"

    @contextmanager
    def get_params(self) -> Iterator[PipesParams]:
        """What the writer is told; afterwards nothing of it is left."""
        try:
            yield {PREFIX: self._prefix, LOCATION: self._store.location}
        finally:
            with suppress(McmlError):  # the result is there already; what is left are some hundred bytes
                for found in list(self._store.list(self._prefix)):
                    self._store.delete(found.key)

    def messages_are_readable(self, params: PipesParams) -> bool:
        return True

    def download_messages_chunk(self, index: int, params: PipesParams) -> str | None:
        try:
            return self._store.get(message_key(self._prefix, index)).decode()
        except (ObjectNotFound, LocationUnavailable, TransientError):
            return None  # not yet; whether the work itself met an outage, its result tells

    def no_messages_debug_text(self) -> str:
        return f"Looked for messages in {self._store.location} below {self._prefix}."


class BucketMessageWriter(PipesMessageWriter["BucketChannel"]):
    """The other end, in the process that works."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    @contextmanager
    def open(self, params: PipesParams) -> Iterator["BucketChannel"]:
        yield BucketChannel(self._store, str(params[PREFIX]))


class BucketChannel(PipesMessageWriterChannel):
    """Stores each message when it is written: there are few, and none may be lost with the process."""

    def __init__(self, store: ObjectStore, prefix: str) -> None:
        self._store, self._prefix, self._written = store, prefix, 0

    def write_message(self, message: PipesMessage) -> None:
        self._written += 1
        self._store.put(message_key(self._prefix, self._written), json.dumps(message).encode())
