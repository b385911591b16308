"""Small sources as Parquet files, and a landing after another as the platform does it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mcml_assets.domain.workload import JurisdictionColumn, Source
from mcml_assets.sources.parquet import Batch, next_batch

START = datetime(2024, 3, 1, 8, 30)
COLUMNS = {"time": "timestamp[us]", "country": "string", "amount": "double"}
SCHEMA = pa.schema([("time", pa.timestamp("us")), ("country", pa.string()), ("amount", pa.float64())])
VALUES = {"UK": ("United Kingdom",), "EU": ("France", "Côte d'Azur")}

Row = tuple[datetime, str | None, float | None]


def source_at(path: Path, **changes: Any) -> Source:
    """An incremental source: ten days first, then five and five, divided between UK and EU."""
    facts: dict[str, Any] = {
        "name": "visits",
        "path": path,
        "columns": COLUMNS,
        "event_time": "time",
        "first_batch_days": 10,
        "batch_days": 5,
        "placed_by": JurisdictionColumn("country", VALUES),
    }
    return Source(**(facts | changes))


def day(number: float) -> datetime:
    """The time so many days after the first event."""
    return START + timedelta(days=number)


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Put these rows into the source's file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {name: [row[index] for row in rows] for index, name in enumerate(SCHEMA.names)}
    pq.write_table(pa.table(columns, schema=SCHEMA), path)


def read_rows(files: Iterable[Path]) -> list[Row]:
    """All rows of these files, in their order."""
    tables = [pq.read_table(file).select(SCHEMA.names) for file in files]
    return [tuple(row.values()) for table in tables for row in table.to_pylist()]  # pyright: ignore[reportReturnType] - by SCHEMA


@dataclass
class Landings:
    """One landing after another of one jurisdiction; keeps what has landed as the snapshot would."""

    source: Source
    jurisdiction: str
    folder: Path
    files: dict[str, Path] = field(default_factory=dict)
    watermark: str | None = None
    number: int = 0

    def land(self) -> Batch:
        """Take the next batch, and add its files to what has landed."""
        landed = [self.files[path] for path in sorted(self.files)]
        folder = self.folder / str(self.number)
        batch = next_batch(self.source, self.jurisdiction, landed, self.watermark, self.number, folder)
        self.files.update({file.path: file.local for file in batch.files})
        self.watermark = batch.watermark
        self.number += 1
        return batch

    def rows(self) -> list[Row]:
        """Everything that has landed."""
        return read_rows(self.files[path] for path in sorted(self.files))
