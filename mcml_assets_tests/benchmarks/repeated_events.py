"""Many events in Dagster's sqlite files: rows that Dagster wrote itself, repeated under other names.

Written one by one, a platform of 100 workloads takes half an hour. Only for an instance that nobody else uses meanwhile.
"""

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from uuid import uuid4

EVENTS_OF_A_RUN = 10
STORAGE_ID = re.compile(r'("storage_id": )(\d+)')
LIST_COLUMNS = "SELECT name FROM pragma_table_info(?) ORDER BY cid"


def repeat_events(home: Path, name: str, others: Sequence[str]) -> int:
    """Repeat everything that was reported about the assets of workload `name` for each of the others; returns all events.

    Storage ids go on in the same order, and what refers to one refers to its repetition.
    """
    with closing(sqlite3.connect(home / "history" / "runs" / "index.db")) as database, database:
        (count,) = database.execute("SELECT max(id) FROM event_logs").fetchone()
        events = database.execute("SELECT * FROM event_logs").fetchall()
        keys = database.execute("SELECT * FROM asset_keys").fetchall()
        checks = database.execute("SELECT * FROM asset_check_executions").fetchall()
        tables = {"event_logs": events, "asset_keys": keys, "asset_check_executions": checks}
        for table, rows in tables.items():
            columns = [column for (column,) in database.execute(LIST_COLUMNS, [table])]
            for number, other in enumerate(others, start=1):
                repeated = [_repeated(columns, row, name, other, number * count, table == "event_logs") for row in rows]
                database.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", repeated)  # noqa: S608
        return count * (1 + len(others))


def _repeated(columns: Sequence[str], row: Sequence[object], name: str, other: str, shift: int, keeps_id: bool) -> list[object]:
    return [_value(column, value, name, other, shift, keeps_id) for column, value in zip(columns, row, strict=True)]


def _value(column: str, value: object, name: str, other: str, shift: int, keeps_id: bool) -> object:
    if column == "id":
        return int(str(value)) + shift if keeps_id else None
    if column.endswith("event_storage_id") and value is not None:
        return int(str(value)) + shift
    if isinstance(value, str):
        return STORAGE_ID.sub(lambda found: f"{found[1]}{int(found[2]) + shift}", value.replace(name, other))
    return value


def repeat_history(home: Path, events: int) -> int:
    """Repeat the first event until so many are stored, and the newest run once for each ten of them, as of a day ago.

    Returns all events.
    """
    runs = home / "history"
    with closing(sqlite3.connect(runs / "runs" / "index.db")) as database, database:
        row = database.execute("SELECT * FROM event_logs ORDER BY id LIMIT 1").fetchone()
        stored, newest = database.execute("SELECT count(*), max(id) FROM event_logs").fetchone()
        more = range(1, 1 + max(0, events - stored))
        mark = ", ".join("?" * len(row))
        database.executemany(
            f"INSERT INTO event_logs VALUES ({mark})",  # noqa: S608 - question marks
            ((newest + number, *row[1:]) for number in more),
        )
    with closing(sqlite3.connect(runs / "runs.db")) as database, database:
        (run_id,) = database.execute("SELECT run_id FROM runs ORDER BY id DESC LIMIT 1").fetchone()
        columns = [column for (column,) in database.execute(LIST_COLUMNS, ["runs"])]
        kept = ", ".join(column for column in columns if column not in ("id", "run_id", "run_body", "update_timestamp"))
        for _ in more[::EVENTS_OF_A_RUN]:
            other = str(uuid4())
            database.execute(
                f"INSERT INTO runs (run_id, run_body, update_timestamp, {kept}) "  # noqa: S608 - names of columns
                f"SELECT ?, replace(run_body, ?, ?), datetime('now', '-1 day'), {kept} FROM runs WHERE run_id = ?",
                [other, run_id, other, run_id],
            )
            database.execute(
                "INSERT INTO run_tags (run_id, key, value) SELECT ?, key, value FROM run_tags WHERE run_id = ?",
                [other, run_id],
            )
    return stored + len(more)
