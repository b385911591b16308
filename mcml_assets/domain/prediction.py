"""A prediction on record: what is kept of one answer, its id, and the chain of hashes that makes a change visible.

Pure. Where rows are written first is `serving/prediction_log/spool.py`'s business, where they stay `log.py`'s beside it.
"""

import hmac
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Literal
from uuid import UUID

from mcml_assets.domain.errors import ConfigurationError, CorruptSnapshot
from mcml_assets.domain.snapshot import canonical_json
from mcml_assets.domain.workload import Classification, Workload

Inputs = Literal["kept", "hashed"]
START = "0" * 64
KEPT_CLASSIFICATIONS = (Classification.PUBLIC, Classification.INTERNAL)


@dataclass(frozen=True, slots=True)
class PredictionRow:
    """One scored entity of one answer; `item` is its place in the request.

    `time` is ISO 8601, UTC. `caller` is who asked, as the edge knows them; `route_epoch` is None when the endpoint was
    asked directly. `model_digest` and `feature_snapshot` are snapshot ids. With `inputs` "kept", `entity` and `features`
    are canonical JSON; with "hashed" they are keyed digests of it (HMAC-SHA256 with the key of `writer`). `writer` is the
    server process, `sequence` counts its rows from 1, so that a number that is missing is a row that was lost.
    """

    prediction_id: str
    item: int
    time: str
    workload: str
    jurisdiction: str
    location: str
    caller: str
    route_epoch: int | None
    model_version: int
    model_digest: str
    feature_snapshot: str
    inputs: Inputs
    entity: str
    features: str
    score: float
    writer: str
    sequence: int

    @property
    def content(self) -> bytes:
        """What the chain covers: every field, in one form."""
        return canonical_json(asdict(self))

    @classmethod
    def from_json(cls, line: bytes) -> "PredictionRow":
        """Read a stored row. Raises `CorruptSnapshot` for a part of a line, and for fields that lack or are unknown."""
        try:
            row = cls(**json.loads(line))
        except (ValueError, TypeError) as error:
            raise CorruptSnapshot(f"prediction is not readable: {type(error).__name__}") from None
        if type(row.sequence) is not int or not isinstance(row.writer, str):  # pyright: ignore[reportUnnecessaryIsInstance] - read from JSON
            raise CorruptSnapshot("prediction names no writer and sequence")
        return row


FIELDS = tuple(field.name for field in fields(PredictionRow))


@dataclass(frozen=True, slots=True)
class ChainedRow:
    """A row with the hash of itself and of all rows before it, in hex."""

    row: PredictionRow
    chain: str


def logged_inputs(workload: Workload) -> Inputs:
    """Whether a prediction log may keep what was asked about: only of data that is neither confidential nor personal."""
    keeps = workload.classification in KEPT_CLASSIFICATIONS and not workload.personal_columns
    return "kept" if keeps else "hashed"


def prediction_id(milliseconds: int, randomness: bytes) -> str:
    """A UUID of version 7 (RFC 9562, 5.7): 48 bits of Unix time, then 74 of the 80 bits of `randomness` (10 bytes)."""
    number = (milliseconds << 80) | int.from_bytes(randomness)
    number = (number & ~(0xF << 76)) | (7 << 76)
    return str(UUID(int=(number & ~(0b11 << 62)) | (0b10 << 62)))


def predicted_at(identifier: str) -> datetime:
    """When the prediction of this id was made, to the millisecond. Raises `ConfigurationError` for what is no such id."""
    try:
        number = UUID(identifier)
        if number.version == 7:
            return datetime.fromtimestamp((number.int >> 80) / 1000, UTC)
    except (ValueError, OverflowError):
        pass
    raise ConfigurationError(
        f"{identifier!r} is no prediction id; an answer carries it as x-mcml-prediction-id (0198c2f0-…, a UUID of version 7)"
    )


def keyed_digest(key: bytes, value: object) -> str:
    """The digest of a JSON value that nobody can guess back without the key, however few values there may be."""
    return hmac.new(key, canonical_json(value), sha256).hexdigest()


def chained(previous: str, rows: Iterable[PredictionRow]) -> Iterator[ChainedRow]:
    """Each row with its link: SHA-256 over the link before it and the row's content; the first follows `START`."""
    for row in rows:
        previous = sha256(previous.encode() + row.content).hexdigest()
        yield ChainedRow(row, previous)


def broken_links(previous: str, rows: Iterable[ChainedRow]) -> Iterator[int]:
    """Where the chain does not hold: places (from 0) of rows that are not what was chained, or whose predecessor is not.

    After a broken link the stored one is taken for granted, so that one change is told once.
    """
    for place, entry in enumerate(rows):
        (expected,) = chained(previous, [entry.row])
        if expected.chain != entry.chain:
            yield place
        previous = entry.chain


def lost_rows(shipped: Mapping[str, int], rows: Iterable[PredictionRow]) -> int:
    """How many sequence numbers are missing in rows that follow what was shipped (the last number, by writer)."""
    last = dict(shipped)
    lost = 0
    for row in rows:
        lost += row.sequence - last.get(row.writer, 0) - 1
        last[row.writer] = row.sequence
    return lost


def row_document(entry: ChainedRow) -> dict[str, Any]:
    """The row's columns and its link."""
    return {**asdict(entry.row), "chain": entry.chain}
