"""What buckets behind obstore's HTTP clients share: uploads in parts, timeouts, and what a service's refusals mean.

How one cloud's client is opened is in its folder; what needs no network is in `obstore_store.py`. Imports obstore: import
this module only where a store is opened.
"""

import re
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError, UnauthenticatedError

from mcml_assets.clouds.answers import WRONG_REGION, answered_error, missing_bucket_error, unreachable_error
from mcml_assets.clouds.capabilities import upload_limits
from mcml_assets.clouds.chunks import Source, beginning, drained, file_chunks
from mcml_assets.clouds.interfaces import ObjectMeta
from mcml_assets.clouds.obstore_store import ObstoreStore
from mcml_assets.clouds.part_sizes import SINGLE_PUT_BYTES, part_size
from mcml_assets.domain.errors import CredentialsRejected, McmlError, ObjectNotFound
from mcml_assets.domain.topology import Location

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig
    from obstore.store import ObjectStore as Client

# A dead address costs 4 times 5 s, a server that stops talking 30 s; the last only ends what trickles for ever.
CONNECT_TIMEOUT = timedelta(seconds=5)
READ_TIMEOUT = timedelta(seconds=30)
REQUEST_TIMEOUT = timedelta(minutes=30)
# At most four tries within a minute: then the answer is the platform's to judge.
RETRY: "RetryConfig" = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=60),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=5), "base": 2},
}
PARTS_IN_FLIGHT = 4
# A missing key is taken for what it says for so long after the bucket answered.
BUCKET_SEEN_SECONDS = 10

MISSING_KEY = ("NoSuchKey", "NoSuchVersion", "BlobNotFound")
# The second form is a refusal within an answer to several deletions at once.
STATUS = re.compile(r"(?:status code: |\(code: )(\d{3})")
CODE = re.compile(r"<Code>(\w+)</Code>")
# The client's words for a redirect that names no address.
REDIRECTED = "incorrectly configured region"
# The client's own words for a connection that failed; they hold no URL.
REASON = re.compile(r'(?:message|error): "([^"]+)"|kind: (Timeout|Connect|Request|Body|Decode)')


def client_options(location: Location) -> "ClientConfig":
    """The HTTP client of a location: timeouts for every phase, TLS unless the topology says otherwise."""
    return {
        "allow_http": location.store.allow_http,
        "connect_timeout": CONNECT_TIMEOUT,
        "read_timeout": READ_TIMEOUT,
        "timeout": REQUEST_TIMEOUT,
    }


class RemoteStore(ObstoreStore):
    """An `ObjectStore` behind a service on the network; a cloud's own class opens the client."""

    def __init__(self, location: Location, open_client: "Callable[[], Client]") -> None:
        super().__init__(location.key, open_client)
        self._bucket = location.bucket
        self._limits = upload_limits(location.store.kind)
        self._origins = location.copies_from
        self._seen = float("-inf")

    def put(self, key: str, data: bytes | Path | Iterator[bytes]) -> ObjectMeta:
        """Write or replace the object; readers see the old or the new content, never a part of it.

        Up to 64 MiB go in one request, more in parts. An error that `data` raises while it is read reaches the caller
        unchanged, and nothing is written.
        """
        size = data.stat().st_size if isinstance(data, Path) else len(data) if isinstance(data, bytes) else None
        if isinstance(data, bytes) and len(data) <= SINGLE_PUT_BYTES:
            return self._put(key, data, "overwrite")
        chunks = file_chunks(data) if isinstance(data, Path) else iter([data]) if isinstance(data, bytes) else data
        source = Source(chunks)
        begun, rest = beginning(iter(source), SINGLE_PUT_BYTES)
        if rest is None:
            return self._put(key, begun, "overwrite")
        parts = part_size(size, self._limits)
        return self._put_stream(key, source, chain(drained(begun), rest), parts, PARTS_IN_FLIGHT)

    def get_version(self, key: str, version: str) -> bytes:
        """The object as it was in that version, also after it was replaced or deleted. Raises `ObjectNotFound`."""
        with self.translated(key):
            return bytes(obstore.get(self.client, self.path(key), options={"version": version}).bytes())

    @property
    def copies_from(self) -> Collection[str]:
        """The keys of the locations whose buckets these credentials may read, by the topology."""
        return self._origins.keys()

    def discard_uploads(self, prefix: str, before: datetime) -> int:
        """None to discard: Azure forgets blocks that were not committed within a week ("Put Block")."""
        return 0

    def check_bucket(self) -> None:
        """Raise `LocationUnavailable` when the bucket is gone: an answer without a body says 404 for either."""
        if time.monotonic() - self._seen > BUCKET_SEEN_SECONDS:
            with self.translated(""):
                next(iter(obstore.list(self.client, "none", chunk_size=1)), None)

    def other_region(self, answer: str) -> str | None:
        """The region that the bucket is in, when `answer` is due to its being in another one than the topology says."""
        return None

    @contextmanager
    def translated(self, key: str) -> Iterator[None]:
        """Turn obstore's errors about `key` into the platform's, without the text of the service's answer."""
        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            # The client's text ends in a dump of the answer, and with it whatever the service repeats of our request.
            failure = self._failure(key, str(error), error)
            if isinstance(failure, ObjectNotFound):
                self.check_bucket()
            raise failure from None
        else:
            self._seen = time.monotonic()

    def _failure(self, key: str, text: str, error: Exception) -> McmlError:
        status, code = STATUS.search(text), CODE.search(text)
        if status is None and isinstance(error, UnauthenticatedError):
            return CredentialsRejected(self.location, "its credentials could not be renewed; log in again, or renew them")
        if status is None and REDIRECTED in text:
            return answered_error(self.location, key, 301, "", self.other_region(text))
        if status is None:
            reason = REASON.search(text)
            return unreachable_error(self.location, key, reason[1] or reason[2] if reason else type(error).__name__)
        if code is not None and code[1] in MISSING_KEY:
            return ObjectNotFound(f"{self.location} has no object {key!r}")
        if status[1] == "404" and code is None:
            # A listing has no key to miss, so what is missing is the bucket.
            if isinstance(error, FileNotFoundError):
                return ObjectNotFound(f"{self.location} has no object {key!r}")
            return missing_bucket_error(self.location, self._bucket)
        # To a HEAD, which has no body, S3 says no more than that the request is bad.
        misplaced = code[1] in WRONG_REGION if code else status[1] == "400"
        elsewhere = self.other_region(text) if misplaced else None
        return answered_error(self.location, key, int(status[1]), code[1] if code else "", elsewhere)
