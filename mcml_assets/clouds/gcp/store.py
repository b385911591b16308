"""A bucket of Google Cloud Storage, by Google's own client: obstore speaks another of its interfaces.

Its version for conditional writes is the generation. Imports google-cloud-storage: import this module only where a store
is opened.
"""

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.auth.exceptions import GoogleAuthError, InvalidOperation, RefreshError
from google.cloud.exceptions import NotFound
from google.cloud.storage import Client
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY
from requests import RequestException

from mcml_assets.clouds.answers import answered_error, missing_bucket_error, unreachable_error
from mcml_assets.clouds.chunks import CHUNK_SIZE, Source, beginning, drained, file_chunks
from mcml_assets.clouds.gcp.credentials import google_credentials
from mcml_assets.clouds.gcp.pipe import Reader, pulled
from mcml_assets.clouds.interfaces import ObjectMeta
from mcml_assets.clouds.keys import check_key
from mcml_assets.domain.errors import (
    CredentialsRejected,
    McmlError,
    ObjectNotFound,
    PreconditionFailed,
    TransientError,
)
from mcml_assets.domain.topology import Location

if TYPE_CHECKING:
    from google.cloud.storage import Blob

SERVICE = "https://storage.googleapis.com"
# Seconds to connect, and between two answers; new tries of a request begin for five seconds. The client takes such a
# pair, and its annotations say int.
TIMEOUT: Any = (5, 30)
RETRY = DEFAULT_RETRY.with_delay(initial=0.1, maximum=5, multiplier=2).with_timeout(5)
# Google wants multiples of 256 KiB; this is what one request of a long upload carries, and what memory holds of it.
UPLOAD_CHUNK = CHUNK_SIZE
ERRORS = (
    GoogleAPICallError,
    RetryError,
    GoogleAuthError,
    RequestException,
    ConnectionError,
    InvalidResponse,
    DataCorruption,
)
# A missing key is taken for what it says for so long after the bucket answered.
BUCKET_SEEN_SECONDS = 10


class GcsStore:
    """An `ObjectStore` in a bucket of Google Cloud Storage."""

    def __init__(self, location: Location) -> None:
        self._place = location
        self._seen = float("-inf")

    @property
    def location(self) -> str:
        """The key of the location this bucket belongs to, for messages."""
        return self._place.key

    def get(self, key: str) -> bytes:
        """The whole object. Raises `ObjectNotFound`."""
        return self.get_with_meta(key)[0]

    def get_with_meta(self, key: str) -> tuple[bytes, ObjectMeta]:
        """The whole object and the version that was read. Raises `ObjectNotFound`."""
        with self._translated(key):
            blob = self._blob(key)
            content = blob.download_as_bytes(raw_download=True, timeout=TIMEOUT, retry=RETRY)
        return content, _meta(key, blob, len(content))

    def get_version(self, key: str, version: str) -> bytes:
        """The object as it was in that version, also after it was replaced or deleted. Raises `ObjectNotFound`."""
        with self._translated(key):
            blob = self._blob(key, int(version))
            return blob.download_as_bytes(raw_download=True, timeout=TIMEOUT, retry=RETRY)

    @property
    def copies_from(self) -> Collection[str]:
        """The keys of the locations whose buckets these credentials may read, by the topology."""
        return self._place.copies_from.keys()

    def copy_from(self, location: str, key: str, size: int) -> str | None:
        """Have Google copy an object from that location's bucket; it tells a CRC32C, which is no digest."""
        origin = self._client.bucket(self._place.copies_from[location].bucket).blob(check_key(key))
        token: str | None = None
        with self._translated(key):
            # A large object takes several requests, each of which goes on where the last one stopped. Any of them may be
            # repeated, which the annotation, though not the client, leaves to its own policy.
            while True:
                token, _, _ = self._blob(key).rewrite(origin, token=token, timeout=TIMEOUT, retry=cast("Any", RETRY))
                if token is None:
                    return None

    def discard_uploads(self, prefix: str, before: datetime) -> int:
        """None to discard: Google forgets a resumable upload after a week ("Resumable uploads")."""
        return 0

    def get_range(self, key: str, start: int, end: int) -> bytes:
        """Bytes `start` (inclusive) to `end` (exclusive), cut at the object's end as a slice is.

        Raises `ObjectNotFound`.
        """
        # Google, as HTTP, has no range that holds no byte.
        if start >= end or start >= self.head(key).size:
            self.head(key)
            return b""
        with self._translated(key):
            blob = self._blob(key)
            return blob.download_as_bytes(start=start, end=end - 1, raw_download=True, timeout=TIMEOUT, retry=RETRY)

    def stream(self, key: str, chunk_size: int = CHUNK_SIZE) -> Iterator[bytes]:
        """The object in chunks of `chunk_size` bytes, the last one shorter. Raises `ObjectNotFound`, at once."""
        blob = self._blob(key)
        push = partial(blob.download_to_file, raw_download=True, timeout=TIMEOUT, retry=RETRY)
        chunks = self._chunks(key, pulled(push, chunk_size))
        # The first chunk is the first answer.
        first = next(chunks, None)
        return chain([first], chunks) if first is not None else iter(())

    def head(self, key: str) -> ObjectMeta:
        """Size and version without the content. Raises `ObjectNotFound`."""
        with self._translated(key):
            blob = self._blob(key)
            blob.reload(timeout=TIMEOUT, retry=RETRY)
        return _meta(key, blob)

    def put(self, key: str, data: bytes | Path | Iterator[bytes]) -> ObjectMeta:
        """Write or replace the object; readers see the old or the new content, never a part of it.

        Up to 8 MiB go in one request, more in a resumable upload. An error that `data` raises while it is read reaches
        the caller unchanged, and nothing is written.
        """
        if isinstance(data, bytes):
            return self._put(key, data)
        source = Source(file_chunks(data) if isinstance(data, Path) else data)
        begun, rest = beginning(iter(source), UPLOAD_CHUNK)
        if rest is None:
            return self._put(key, bytes(begun))
        blob = self._blob(key)
        blob.chunk_size = UPLOAD_CHUNK
        try:
            with self._translated(key):
                blob.upload_from_file(cast("IO[bytes]", Reader(chain(drained(begun), rest))), timeout=TIMEOUT, retry=RETRY)
        except McmlError:
            if source.error is not None:
                raise source.error from None
            raise
        return _meta(key, blob, source.size)

    def put_if_absent(self, key: str, data: bytes) -> ObjectMeta:
        """Write the object only if the key is free. Raises `PreconditionFailed`."""
        return self._put(key, data, if_generation_match=0)

    def put_if_match(self, key: str, data: bytes, etag: str) -> ObjectMeta:
        """Replace the object only if its version is still `etag`. Raises `PreconditionFailed`."""
        # Generation 0 means "no object" to Google, and what is no number never was a generation.
        if not etag.isdecimal() or int(etag) == 0:
            raise PreconditionFailed(f"{self.location}: {key!r} never had the version {etag!r}")
        return self._put(key, data, if_generation_match=int(etag))

    def list(self, prefix: str) -> Iterator[ObjectMeta]:
        """Every object whose key starts with the folder `prefix`, in the order of their keys."""
        folder = f"{check_key(prefix.rstrip('/'))}/" if prefix else None
        with self._translated(prefix):
            for blob in self._client.list_blobs(self._place.bucket, prefix=folder, timeout=TIMEOUT, retry=RETRY):
                yield _meta(blob.name, blob)

    def delete(self, key: str) -> None:
        """Remove the object; a missing key is not an error."""
        try:
            with self._translated(key):
                self._blob(key).delete(timeout=TIMEOUT, retry=RETRY)
        except ObjectNotFound:
            return

    @cached_property
    def _client(self) -> Client:
        # The project is only asked for by what makes buckets; without one the client would look for it on the network.
        # The endpoint is always said: a variable of the machine must not redirect all locations at once.
        return Client(
            project="-",
            credentials=google_credentials(self._place),
            client_options={"api_endpoint": self._place.store.endpoint or SERVICE},
        )

    def _blob(self, key: str, generation: int | None = None) -> "Blob":
        return self._client.bucket(self._place.bucket).blob(check_key(key), generation=generation)

    def _put(self, key: str, data: bytes, if_generation_match: int | None = None) -> ObjectMeta:
        with self._translated(key):
            blob = self._blob(key)
            blob.upload_from_string(data, if_generation_match=if_generation_match, timeout=TIMEOUT, retry=RETRY)
        return _meta(key, blob, len(data))

    def _chunks(self, key: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
        with self._translated(key):
            yield from chunks

    def _check_bucket(self) -> None:
        """Raise `LocationUnavailable` when the bucket is gone: the answer says 404 for either."""
        if time.monotonic() - self._seen > BUCKET_SEEN_SECONDS:
            with self._translated(""):
                next(iter(self._client.list_blobs(self._place.bucket, max_results=1, timeout=TIMEOUT, retry=RETRY)), None)

    @contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        """Turn errors of Google's client about `key` into the platform's, without the text of the service's answer."""
        try:
            yield
        except NotFound:
            if not key:
                raise missing_bucket_error(self.location, self._place.bucket) from None
            self._check_bucket()
            raise ObjectNotFound(f"{self.location} has no object {key!r}") from None
        except ERRORS as error:
            raise _failure(self.location, key, error) from None
        else:
            self._seen = time.monotonic()


def _failure(location: str, key: str, error: Exception) -> McmlError:
    """The platform's error for one of Google's client."""
    if isinstance(error, RetryError) and isinstance(error.cause, Exception):
        return _failure(location, key, error.cause)
    if isinstance(error, GoogleAPICallError) and error.code is not None:
        return answered_error(location, key, int(error.code), _reason(error.response))
    if isinstance(error, InvalidResponse):
        return answered_error(location, key, error.response.status_code, _reason(error.response))
    if isinstance(error, RefreshError | InvalidOperation):
        return CredentialsRejected(location, "Google does not renew its credentials; renew the key, or the identity's grant")
    if isinstance(error, DataCorruption):
        return TransientError(f"{location}: {key!r} was damaged on its way; the stored checksum differs")
    return unreachable_error(location, key, type(error).__name__)


def _reason(response: Any) -> str:
    """The `reason` of Google's error document, as `rateLimitExceeded`; empty where there is none."""
    try:
        return str(response.json()["error"]["errors"][0]["reason"])
    except (AttributeError, ValueError, LookupError, TypeError):
        return ""


def _meta(key: str, blob: "Blob", size: int | None = None) -> ObjectMeta:
    generation = str(blob.generation)
    return ObjectMeta(key, blob.size or 0 if size is None else size, generation, generation, blob.time_created)
