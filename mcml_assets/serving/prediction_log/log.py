"""The prediction log of one workload in one bucket: appended to, read, and verified. Imports pyarrow when rows are at hand.

    <workload>/prediction_log/segments/<number>.parquet   rows with their links, never changed
    <workload>/prediction_log/head.json                   how far the chain goes; moved last, by a conditional put
    <workload>/prediction_log/keys/<writer>               the key of a writer's digests: whoever removes it makes them blind

A segment's number is taken by a put that must find it free, so two that append cannot both succeed. What a row says is
`domain/prediction.py`'s business.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.domain.errors import CorruptSnapshot, ObjectNotFound, PreconditionFailed
from mcml_assets.domain.prediction import (
    FIELDS,
    START,
    ChainedRow,
    PredictionRow,
    broken_links,
    chained,
    lost_rows,
    row_document,
)
from mcml_assets.domain.snapshot import canonical_json

FORMAT = 1
CLOCK_SKEW = timedelta(minutes=5)  # between the machine that predicts and the store that stamps a segment


@dataclass(frozen=True, slots=True)
class Head:
    """How far a log goes: segments, rows, the last link, rows known to be lost, and the last sequence of each live writer."""

    segments: int = 0
    rows: int = 0
    chain: str = START
    lost: int = 0
    shipped: Mapping[str, int] = field(default_factory=dict[str, int])
    updated_at: str | None = None
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verification found: how far it read, and in a sentence each what is not as it was written."""

    segments: int
    rows: int
    chain: str
    lost: int
    findings: tuple[str, ...]


class PredictionLog:
    """Every method raises `LocationUnavailable` when the bucket does not answer."""

    def __init__(self, store: ObjectStore, workload: str) -> None:
        self._store = store
        self._folder = f"{workload}/prediction_log"

    @property
    def location(self) -> str:
        """The key of the location whose predictions these are."""
        return self._store.location

    def head(self) -> Head:
        """How far the log goes; an empty one before the first row. Raises `CorruptSnapshot` if it is unreadable."""
        return self._read_head()[0]

    def append(self, rows: Sequence[PredictionRow], *, live_writers: frozenset[str] | None = None) -> Head:
        """Append the rows that are not in the log yet, in their order, and return the new head.

        Rows of one writer must come in the order of their sequence. `live_writers` may still append; of others the head
        forgets how far they came. Raises `PreconditionFailed` when somebody else appends at the same time.
        """
        head, etag = self._read_head()
        while True:
            new = [row for row in rows if row.sequence > head.shipped.get(row.writer, 0)]
            if not new:
                return head
            entries = list(chained(head.chain, new))
            try:
                self._store.put_if_absent(self._segment_key(head.segments + 1), _encode(entries))
            except PreconditionFailed:
                # Whoever wrote it came no further: its rows are in the log, and the head follows.
                entries = self._segment(head.segments + 1)
                if list(broken_links(head.chain, entries)):
                    raise CorruptSnapshot(
                        f"{self.location}: {self._segment_key(head.segments + 1)} does not continue the log"
                    ) from None
            head, etag = self._move(head, etag, entries, live_writers)

    def note_lost(self, writer: str, last: int) -> Head:
        """Count rows of a writer that ended, which were lost after its last stored one, up to sequence number `last`."""
        head, etag = self._read_head()
        lost = last - head.shipped.get(writer, 0)
        if lost <= 0:
            return head
        return self._store_head(replace(head, lost=head.lost + lost, shipped={**head.shipped, writer: last}), etag)[0]

    def put_key(self, writer: str, key: bytes) -> None:
        """Keep the key of a writer's digests."""
        self._store.put(f"{self._folder}/keys/{writer}", key)

    def key(self, writer: str) -> bytes:
        """The key of a writer's digests. Raises `ObjectNotFound` when it was removed, or the writer needed none."""
        return self._store.get(f"{self._folder}/keys/{writer}")

    def rows(self, since: datetime | None = None) -> Iterator[ChainedRow]:
        """All rows, or those of segments that were stored after `since`, which hold every row made after it."""
        for meta in self._store.list(f"{self._folder}/segments"):
            if since is None or meta.modified is None or meta.modified >= since - CLOCK_SKEW:
                yield from _decode(self._store.get(meta.key), meta.key)

    def verify(self, witness: tuple[int, str] | None = None) -> Verdict:
        """Read everything, and compare every link with what it says and with the head.

        `witness` is what the log was known to be at an earlier time, kept where the bucket's owner has no hand: its
        number of rows then, and the last link. With it a log that was cut, or written anew as a whole, is found too.
        """
        head = self.head()
        stored = {meta.key for meta in self._store.list(f"{self._folder}/segments")}
        reading = _Reading(witness)
        for number in range(1, max(head.segments, len(stored)) + 1):
            if self._segment_key(number) not in stored:
                reading.findings.append(f"segment {number} is missing")
                continue
            try:
                reading.take(number, self._segment(number))
            except CorruptSnapshot as error:
                reading.findings.append(str(error))
            if number == head.segments:
                reading.compare(head)
        return reading.verdict(len(stored), head)

    def _read_head(self) -> tuple[Head, str | None]:
        try:
            data, meta = self._store.get_with_meta(self._head_key)
        except ObjectNotFound:
            return Head(), None
        try:
            head = Head(**json.loads(data))
        except (ValueError, TypeError) as error:
            raise CorruptSnapshot(f"{self.location}: {self._head_key} is not readable: {type(error).__name__}") from None
        if head.format != FORMAT:
            raise CorruptSnapshot(f"{self.location}: {self._head_key} has format {head.format}, this version reads {FORMAT}")
        return head, meta.etag

    def _move(
        self, head: Head, etag: str | None, entries: Sequence[ChainedRow], live_writers: frozenset[str] | None
    ) -> tuple[Head, str | None]:
        rows = [entry.row for entry in entries]
        shipped = {**head.shipped, **{row.writer: row.sequence for row in rows}}
        moved = replace(
            head,
            segments=head.segments + 1,
            rows=head.rows + len(rows),
            chain=entries[-1].chain if entries else head.chain,
            lost=head.lost + lost_rows(head.shipped, rows),
            shipped={writer: last for writer, last in shipped.items() if live_writers is None or writer in live_writers},
        )
        return self._store_head(moved, etag)

    def _store_head(self, head: Head, etag: str | None) -> tuple[Head, str | None]:
        head = replace(head, updated_at=datetime.now(UTC).isoformat(timespec="seconds"))
        data = canonical_json(asdict(head))
        if etag is None:
            meta = self._store.put_if_absent(self._head_key, data)
        else:
            meta = self._store.put_if_match(self._head_key, data, etag)
        return head, meta.etag

    def _segment(self, number: int) -> list[ChainedRow]:
        key = self._segment_key(number)
        return _decode(self._store.get(key), key)

    @property
    def _head_key(self) -> str:
        return f"{self._folder}/head.json"

    def _segment_key(self, number: int) -> str:
        return f"{self._folder}/segments/{number:010d}.parquet"


@dataclass(slots=True)
class _Reading:
    """A verification on its way from the first row to the last."""

    witness: tuple[int, str] | None
    rows: int = 0
    chain: str = START
    lost: int = 0
    known: dict[str, int] = field(default_factory=dict[str, int])
    findings: list[str] = field(default_factory=list[str])

    def take(self, number: int, entries: Sequence[ChainedRow]) -> None:
        """Compare the rows of the next segment with their links, and with the witness where it saw one of them."""
        for place in broken_links(self.chain, entries):
            row = entries[place].row
            what = f"row {place + 1} of segment {number} ({row.prediction_id}, {row.time})"
            self.findings.append(f"{what} was changed, or what was before it was changed or removed")
        seen, chain = self.witness or (0, "")
        if self.rows < seen <= self.rows + len(entries) and entries[seen - self.rows - 1].chain != chain:
            self.findings.append(f"row {seen} is not the one that was there when the log was last witnessed")
        self.lost += lost_rows(self.known, (entry.row for entry in entries))
        self.known |= {entry.row.writer: entry.row.sequence for entry in entries}
        self.rows += len(entries)
        self.chain = entries[-1].chain if entries else self.chain

    def compare(self, head: Head) -> None:
        """Compare what was read so far with what the head tells."""
        if (self.rows, self.chain) != (head.rows, head.chain):
            self.findings.append(
                f"the head tells of {head.rows} rows and of another last link than the {self.rows} stored rows"
            )

    def verdict(self, segments: int, head: Head) -> Verdict:
        if self.witness is not None and self.rows < self.witness[0]:
            gone = self.witness[0] - self.rows
            self.findings.append(f"{gone} rows are missing that were there when the log was last witnessed")
        return Verdict(segments, self.rows, self.chain, max(self.lost, head.lost), tuple(self.findings))


def _schema() -> Any:
    import pyarrow as pa  # noqa: PLC0415 - only when rows are at hand

    kinds = {"item": pa.int32(), "route_epoch": pa.int64(), "model_version": pa.int32(), "score": pa.float64()}
    kinds |= {"sequence": pa.int64()}
    return pa.schema([(name, kinds.get(name, pa.string())) for name in (*FIELDS, "chain")])


def _encode(entries: Sequence[ChainedRow]) -> bytes:
    import pyarrow as pa  # noqa: PLC0415 - only when rows are at hand
    from pyarrow import parquet  # noqa: PLC0415 - the same

    file = BytesIO()
    table = pa.Table.from_pylist([row_document(entry) for entry in entries], schema=_schema())
    parquet.write_table(table, file, compression="zstd")
    return file.getvalue()


def _decode(data: bytes, key: str) -> list[ChainedRow]:
    import pyarrow as pa  # noqa: PLC0415 - only when rows are at hand
    from pyarrow import parquet  # noqa: PLC0415 - the same

    try:
        documents = parquet.read_table(BytesIO(data)).to_pylist()
        return [ChainedRow(chain=document.pop("chain"), row=PredictionRow(**document)) for document in documents]
    except (pa.ArrowException, OSError, KeyError, TypeError) as error:
        raise CorruptSnapshot(f"{key} is not readable: {type(error).__name__}") from error
