"""A store that fails on purpose: any `ObjectStore`, with the faults that strike its requests.

A struck request ends as it would with a real cloud, after our translation of that cloud's errors; tracebacks name the
fault, so that nobody takes a drill for an accident. Which requests a fault strikes is `domain/faults.py`'s business,
which faults there are `fault_plan.py`'s.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TypeVar

from mcml_assets.clouds.answers import answered_error, unreachable_error
from mcml_assets.clouds.chunks import CHUNK_SIZE, file_chunks
from mcml_assets.clouds.interfaces import CloudStore, ObjectMeta, ObjectStore
from mcml_assets.domain.errors import McmlError, ObjectNotFound, TransientError
from mcml_assets.domain.faults import SKEW_REFUSED_SECONDS, WRITES, Fault, FaultKind

# Larger objects are blobs, which never change: there is no former version of them to serve.
STALE_BYTES = 1024 * 1024

Written = TypeVar("Written")


@dataclass(frozen=True, slots=True)
class Request:
    """One request: its number, and the faults that strike it."""

    number: int
    operation: str
    key: str
    faults: tuple[Fault, ...]

    def struck(self, kind: FaultKind) -> Fault | None:
        """The first fault of this kind that strikes the request."""
        return next((fault for fault in self.faults if fault.kind is kind), None)


class FaultyStore:
    """An `ObjectStore` around another one; the same while `faults` gives none, which costs that one call per request.

    `faults` gives those that are planned for any target and time; `clock` says which are active, `sleep` takes seconds.
    Requests are numbered by `numbers`, from 0 when absent, so that the same requests meet the same faults. `asker` is the
    location that asks, None for the control plane: partitions part locations from each other.
    """

    def __init__(
        self,
        store: ObjectStore,
        faults: Callable[[], Sequence[Fault]],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
        numbers: Iterator[int] | None = None,
        asker: str | None = None,
    ) -> None:
        self.inner = store
        self.asker = asker
        self._faults = faults
        self._clock = clock
        self._sleep = sleep
        self._numbers = count() if numbers is None else numbers
        self._seen: dict[str, tuple[bytes, ObjectMeta] | None] = {}

    @property
    def location(self) -> str:
        """The key of the location this bucket belongs to, for messages."""
        return self.inner.location

    def get(self, key: str) -> bytes:
        """The whole object. Raises `ObjectNotFound`."""
        request = self._begin("get", key)
        return self._arrived(request, self.inner.get(key) if self._is_fresh(request) else self._first_seen(key)[0])

    def get_with_meta(self, key: str) -> tuple[bytes, ObjectMeta]:
        """The whole object and the version that was read. Raises `ObjectNotFound`."""
        request = self._begin("get_with_meta", key)
        data, meta = self.inner.get_with_meta(key) if self._is_fresh(request) else self._first_seen(key)
        return self._arrived(request, data), _dated(request, meta)

    def get_range(self, key: str, start: int, end: int) -> bytes:
        """Bytes `start` (inclusive) to `end` (exclusive). Raises `ObjectNotFound`."""
        request = self._begin("get_range", key)
        if self._is_fresh(request):
            return self._arrived(request, self.inner.get_range(key, start, end))
        return self._arrived(request, self._first_seen(key)[0][start:end])

    def stream(self, key: str, chunk_size: int = CHUNK_SIZE) -> Iterator[bytes]:
        """The object in chunks of about `chunk_size` bytes. Raises `ObjectNotFound`."""
        request = self._begin("stream", key)
        chunks = self.inner.stream(key, chunk_size) if self._is_fresh(request) else iter([self._first_seen(key)[0]])
        return self._passing(request, self._damaged(request, chunks))

    def head(self, key: str) -> ObjectMeta:
        """Size and version without the content. Raises `ObjectNotFound`."""
        request = self._begin("head", key)
        return _dated(request, self.inner.head(key) if self._is_fresh(request) else self._first_seen(key)[1])

    def put(self, key: str, data: bytes | Path | Iterator[bytes]) -> ObjectMeta:
        """Write or replace the object; readers see the old or the new content, never a part of it."""
        request = self._begin("put", key)
        if request.struck(FaultKind.BANDWIDTH) and not isinstance(data, Iterator):
            data = file_chunks(data) if isinstance(data, Path) else iter([data])
        if isinstance(data, Iterator):
            data = self._passing(request, data)
        return self._written(request, lambda: self.inner.put(key, data), lambda: _unwritten(request, data))

    def put_if_absent(self, key: str, data: bytes) -> ObjectMeta:
        """Write the object only if the key is free. Raises `PreconditionFailed`."""
        request = self._begin("put_if_absent", key)
        self._pace(request, data)
        refused = request.struck(FaultKind.LOST_WRITE) and self._etag(key) is not None
        return self._written(
            request, lambda: self.inner.put_if_absent(key, data), None if refused else lambda: _unwritten(request, data)
        )

    def put_if_match(self, key: str, data: bytes, etag: str) -> ObjectMeta:
        """Replace the object only if its version is still `etag`. Raises `PreconditionFailed`."""
        request = self._begin("put_if_match", key)
        self._pace(request, data)
        refused = request.struck(FaultKind.LOST_WRITE) and self._etag(key) != etag
        return self._written(
            request, lambda: self.inner.put_if_match(key, data, etag), None if refused else lambda: _unwritten(request, data)
        )

    def list(self, prefix: str) -> Iterator[ObjectMeta]:
        """Every object whose key starts with the folder `prefix`, in the order of their keys."""
        request = self._begin("list", prefix)
        for meta in self.inner.list(prefix):
            yield _dated(request, meta)

    def delete(self, key: str) -> None:
        """Remove the object; a missing key is not an error."""
        request = self._begin("delete", key)
        self._written(request, lambda: self.inner.delete(key), lambda: None)

    def _begin(self, operation: str, key: str, *others: str) -> Request:
        """Number a request, let it wait, and refuse it where a fault says so; `others` are locations it needs as well."""
        number = next(self._numbers)
        active = self._active(*others)
        if not active:
            self._seen.clear()
            return Request(number, operation, key, ())
        if not any(fault.kind is FaultKind.STALE_READ for fault in active):
            self._seen.clear()
        struck = tuple(fault for fault in active if fault.selects(operation, key) and fault.strikes(number))
        request = Request(number, operation, key, struck)
        for fault in struck:
            if fault.kind is FaultKind.LATENCY:
                milliseconds = fault.amount("ms") + fault.amount("jitter_ms") * fault.draw(number, "jitter")
                self._sleep(milliseconds / 1000)
        for fault in struck:
            self._refuse(fault, key)
        if operation in WRITES:
            self._remember(active, key)
        return request

    def _active(self, *others: str) -> tuple[Fault, ...]:
        planned = self._faults()
        if not planned:
            return ()
        now = self._clock()
        concerned = (self.location, *others)
        return tuple(
            fault
            for fault in planned
            if fault.active(now)
            and (
                any(fault.parts(self.asker, location) for location in concerned)
                if fault.kind is FaultKind.PARTITION
                else any(map(fault.concerns, concerned))
            )
        )

    def _refuse(self, fault: Fault, key: str) -> None:
        """Raise what a cloud's client would, after our translation, where the fault lets nothing pass."""
        match fault.kind:
            case FaultKind.OUTAGE:
                raise _noted(unreachable_error(self.location, key, "connection refused"), fault)
            case FaultKind.PARTITION:
                raise _noted(unreachable_error(self.location, key, f"no route from {self.asker}"), fault)
            case FaultKind.CREDENTIALS_REVOKED:
                raise _noted(answered_error(self.location, key, 403, "InvalidAccessKeyId"), fault)
            case FaultKind.THROTTLING:
                raise _noted(answered_error(self.location, key, 503, "SlowDown"), fault)
            case FaultKind.CLOCK_SKEW if abs(fault.amount("seconds")) > SKEW_REFUSED_SECONDS:
                raise _noted(answered_error(self.location, key, 403, "RequestTimeTooSkewed"), fault)
            case _:
                return

    def _written(self, request: Request, write: Callable[[], Written], pretend: Callable[[], Written] | None) -> Written:
        """What the writer is told; `pretend` answers for a write that never happens, None where it would be refused."""
        if pretend is not None and request.struck(FaultKind.LOST_WRITE):
            return pretend()
        answer = write()
        if fault := request.struck(FaultKind.LOST_ACKNOWLEDGEMENT):
            lost = TransientError(f"{self.location}: {request.key!r}: the connection was reset before the answer came")
            raise _noted(lost, fault)
        return answer

    def _etag(self, key: str) -> str | None:
        """The version of what is stored, None where nothing is."""
        try:
            return self.inner.head(key).etag
        except ObjectNotFound:
            return None

    def _arrived(self, request: Request, data: bytes) -> bytes:
        """Content that was asked for in one piece, as it arrives."""
        if not request.faults:
            return data
        self._pace(request, data)
        return b"".join(self._damaged(request, iter([data])))

    def _passing(self, request: Request, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Chunks on their way, in either direction, until an outage begins."""
        for chunk in chunks:
            for fault in self._active():
                selected = fault.kind is FaultKind.OUTAGE and fault.selects(request.operation, request.key)
                if selected and fault.strikes(request.number):
                    self._refuse(fault, request.key)
            self._pace(request, chunk)
            yield chunk

    def _pace(self, request: Request, data: bytes) -> None:
        if fault := request.struck(FaultKind.BANDWIDTH):
            self._sleep(len(data) / fault.amount("bytes_per_second"))

    def _damaged(self, request: Request, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """What arrives of a read: with a bit flipped in its first piece, or without the end of its last."""
        flip, cut = request.struck(FaultKind.FLIPPED_BIT), request.struck(FaultKind.TRUNCATED_READ)
        if flip is not None:
            chunks = _flipped(chunks, flip.draw(request.number, "bit"))
        return chunks if cut is None else _cut(chunks, cut.amount("keep"))

    def _is_fresh(self, request: Request) -> bool:
        """Whether the read is answered with what is stored now."""
        if request.struck(FaultKind.STALE_READ) is None:
            return True
        return request.key not in self._seen and self._is_large(request.key)

    def _is_large(self, key: str) -> bool:
        try:
            return self.inner.head(key).size > STALE_BYTES
        except ObjectNotFound:
            return False

    def _first_seen(self, key: str) -> tuple[bytes, ObjectMeta]:
        """The object as it was when it was first asked about since stale reads began."""
        if key not in self._seen:
            try:
                self._seen[key] = self.inner.get_with_meta(key)
            except ObjectNotFound:
                self._seen[key] = None
        former = self._seen[key]
        if former is None:
            raise ObjectNotFound(f"{self.location} has no object {key!r}")
        return former

    def _remember(self, active: Sequence[Fault], key: str) -> None:
        """Look at what a write replaces, if later reads are to be answered with it."""
        stale = (fault for fault in active if fault.kind is FaultKind.STALE_READ)
        wanted = any(fault.selects(str(fault.parameters.get("operation", "get")), key) for fault in stale)
        if wanted and not self._is_large(key):
            try:
                self._first_seen(key)
            except ObjectNotFound:
                return


class FaultyCloudStore(FaultyStore):
    """The same around a provider's store."""

    inner: CloudStore

    def get_version(self, key: str, version: str) -> bytes:
        """The object as it was in this version. Raises `ObjectNotFound`."""
        return self._arrived(self._begin("get_version", key), self.inner.get_version(key, version))

    def discard_uploads(self, prefix: str, before: datetime) -> int:
        """Discard what killed uploads left below the folder `prefix`; their number. To faults it is a listing."""
        self._begin("list", prefix)
        return self.inner.discard_uploads(prefix, before)

    @property
    def copies_from(self) -> Collection[str]:
        """The keys of the locations whose buckets these credentials may read, by the topology."""
        return self.inner.copies_from

    def copy_from(self, location: str, key: str, size: int) -> str | None:
        """Have the provider copy an object; what fails at either location fails here. Raises `ObjectNotFound`."""
        request = self._begin("copy_from", key, location)
        digest = self._written(request, lambda: self.inner.copy_from(location, key, size), lambda: None)
        if fault := request.struck(FaultKind.FLIPPED_BIT):
            # Stored wrong, and told by nobody.
            self.inner.put(key, b"".join(_flipped(self.inner.stream(key), fault.draw(request.number, "bit"))))
            return None
        return digest


def _dated(request: Request, meta: ObjectMeta) -> ObjectMeta:
    """The answer as a bucket gives it whose clock is wrong."""
    skew = request.struck(FaultKind.CLOCK_SKEW)
    if skew is None or meta.modified is None:
        return meta
    return replace(meta, modified=meta.modified + timedelta(seconds=skew.amount("seconds")))


def _unwritten(request: Request, data: bytes | Path | Iterator[bytes]) -> ObjectMeta:
    """The answer to a write that never happened; the data was taken all the same."""
    chunks = file_chunks(data) if isinstance(data, Path) else iter([data]) if isinstance(data, bytes) else data
    return ObjectMeta(request.key, sum(map(len, chunks)), f"never-written-{request.number}")


def _noted(error: McmlError, fault: Fault) -> McmlError:
    """The error, with a note in its traceback that it was planned."""
    error.add_note(f"planned as fault {fault.id}: {fault.describe()}; see `mcml fault list`")
    return error


def _flipped(chunks: Iterator[bytes], where: float) -> Iterator[bytes]:
    """The chunks with one bit changed, in the first that has any."""
    for chunk in chunks:
        if chunk:
            position = int(where * len(chunk) * 8)
            byte = chunk[position // 8] ^ (1 << position % 8)
            yield chunk[: position // 8] + bytes([byte]) + chunk[position // 8 + 1 :]
            break
    yield from chunks


def _cut(chunks: Iterator[bytes], keep: float) -> Iterator[bytes]:
    """The chunks but the end of the last."""
    held = b""
    for chunk in chunks:
        if held:
            yield held
        held = chunk
    if rest := held[: int(len(held) * keep)]:
        yield rest
