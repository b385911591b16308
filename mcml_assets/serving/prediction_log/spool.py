"""The spool: where a model server leaves its predictions before it answers. Files on its machine, bounded, never waited for.

    <folder>/<workload>/<cloud>__<region>/<writer>.<number>.jsonl   rows, one a line
    <folder>/<workload>/<cloud>__<region>/<writer>.key              the key of the writer's digests
    <folder>/<workload>/<cloud>__<region>/<writer>.lost             the last sequence number that was lost

A row is one `write` into the page cache: it survives the server's death, and costs no wait for a disk. A writer holds a
lock on the file that it appends to, so a file without one is complete. Taking rows from here into the bucket is
`shipper.py`'s business.
"""

import fcntl
import logging
import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mcml_assets.domain.prediction import Inputs, PredictionRow, keyed_digest, prediction_id
from mcml_assets.domain.snapshot import canonical_json

SPOOL_BYTES = 64 * 1024 * 1024  # of one endpoint: about 100,000 rows
FILE_BYTES = 4 * 1024 * 1024
KEY_BYTES = 32
MEASURE_SECONDS = 1.0

log = logging.getLogger("mcml_assets.serving.server")


@dataclass(frozen=True, slots=True)
class Answered:
    """What all rows of a server have in common."""

    workload: str
    jurisdiction: str
    location: str
    model_version: int
    model_digest: str
    inputs: Inputs


@dataclass(frozen=True, slots=True)
class Scored:
    """One entity as it was scored."""

    entity: int | str
    features: Mapping[str, Any]
    score: float


class Spool:
    """The writing end of one server process. Not for several threads: a server answers in one.

    `lost` counts rows that could not be written; their sequence numbers are used up, so the log shows the gap too.
    """

    def __init__(
        self, folder: Path, answered: Answered, *, spool_bytes: int = SPOOL_BYTES, file_bytes: int = FILE_BYTES
    ) -> None:
        self.folder = spool_folder(folder, answered.workload, answered.location)
        self.answered = answered
        self.writer = secrets.token_hex(8)
        self.key = secrets.token_bytes(KEY_BYTES)
        self.lost = 0
        self._spool_bytes, self._file_bytes = spool_bytes, file_bytes
        self._sequence = self._number = self._written = 0
        self._file: int | None = None
        self._losses: int | None = None
        self._measured, self._measured_at = 0, float("-inf")

    def append(self, rows: Sequence[Scored], *, caller: str, route_epoch: int | None, feature_snapshot: str) -> str:
        """Keep one answer, and return its prediction id. Never raises: an answer does not depend on its record."""
        now = datetime.now(UTC)
        identifier = prediction_id(time.time_ns() // 1_000_000, secrets.token_bytes(10))
        lines = bytearray()
        for item, scored in enumerate(rows):
            self._sequence += 1
            row = PredictionRow(
                prediction_id=identifier,
                item=item,
                time=now.isoformat(timespec="microseconds"),
                workload=self.answered.workload,
                jurisdiction=self.answered.jurisdiction,
                location=self.answered.location,
                caller=caller,
                route_epoch=route_epoch,
                model_version=self.answered.model_version,
                model_digest=self.answered.model_digest,
                feature_snapshot=feature_snapshot,
                inputs=self.answered.inputs,
                entity=self._recorded(scored.entity),
                features=self._recorded(scored.features),
                score=scored.score,
                writer=self.writer,
                sequence=self._sequence,
            )
            lines += row.content + b"\n"
        try:
            self._write(bytes(lines))
        except OSError as error:
            if self.lost == 0:
                log.error("predictions are not logged any more: %s", error.strerror or error)
            self.lost += len(rows)
            self._note_loss()
        return identifier

    def _recorded(self, value: object) -> str:
        return canonical_json(value).decode() if self.answered.inputs == "kept" else keyed_digest(self.key, value)

    def _write(self, lines: bytes) -> None:
        file = self._file
        if file is None or self._written >= self._file_bytes:
            file = self._next_file()
        if self._size() + len(lines) > self._spool_bytes:
            raise OSError(None, f"the spool in {self.folder} is full")
        if os.write(file, lines) != len(lines):
            # The next row must not run into what is left of this one.
            os.write(file, b"\n")
            raise OSError(None, "the disk is full")
        self._written += len(lines)
        self._measured += len(lines)

    def _size(self) -> int:
        """Bytes in the spool; others' files are looked at once a second, because the shipper removes them."""
        now = time.monotonic()
        if now - self._measured_at >= MEASURE_SECONDS:
            with os.scandir(self.folder) as entries:
                self._measured = sum(_bytes_of(entry) for entry in entries)
            self._measured_at = now
        return self._measured

    def _note_loss(self) -> None:
        """Leave word of rows that nothing may ever follow; the file has its size already, so a full disk takes it."""
        if self._losses is not None:
            with suppress(OSError):
                os.pwrite(self._losses, _number(self._sequence), 0)

    def _first_files(self) -> None:
        """What has to be there before the first row: a digest without its key could never be explained."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.answered.inputs == "hashed":
            (self.folder / f"{self.writer}.key").write_bytes(self.key)
        losses = os.open(self.folder / f"{self.writer}.lost", os.O_WRONLY | os.O_CREAT, 0o600)
        os.pwrite(losses, _number(0), 0)
        self._losses = losses

    def _next_file(self) -> int:
        if self._losses is None:
            self._first_files()
        path = self.folder / f"{self.writer}.{self._number + 1:06d}.jsonl"
        new = path.with_suffix(".new")
        opened = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # It is seen under its name only once it is locked: without a lock it would count as complete.
        new.rename(path)
        former, self._file = self._file, opened
        self._number += 1
        self._written = 0
        if former is not None:
            os.close(former)
        return opened


@dataclass(frozen=True, slots=True)
class SpoolFile:
    """One file of a spool: who wrote it, which of theirs it is, and where its endpoint stands."""

    path: Path
    workload: str
    location: str

    @property
    def writer(self) -> str:
        return self.path.name.partition(".")[0]

    @property
    def key_file(self) -> Path:
        """Where the writer's key is, if it digests inputs."""
        return self.path.with_name(f"{self.writer}.key")

    @property
    def losses_file(self) -> Path:
        """Where the writer left word of what it lost last."""
        return self.path.with_name(f"{self.writer}.lost")

    def last_lost(self) -> int:
        """The last sequence number that the writer lost; 0 for none."""
        try:
            return int(self.losses_file.read_bytes() or b"0")
        except (FileNotFoundError, ValueError):
            return 0

    def is_complete(self) -> bool:
        """Whether nobody appends to it any more."""
        with self.path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True


def spool_folder(folder: Path, workload: str, location: str) -> Path:
    """Where an endpoint's predictions wait."""
    cloud, _, region = location.partition("/")
    return folder / workload / f"{cloud}__{region}"


def spool_files(folder: Path) -> Iterator[SpoolFile]:
    """Every file that waits under the spool's folder; of one writer in the order in which they were written."""
    for path in sorted(folder.glob("*/*__*/*.jsonl")):
        cloud, _, region = path.parent.name.partition("__")
        yield SpoolFile(path, path.parent.parent.name, f"{cloud}/{region}")


def _number(value: int) -> bytes:
    return b"%020d" % value


def _bytes_of(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except FileNotFoundError:
        return 0
