"""Promises of the prediction log in a bucket: nothing twice, nothing unseen, whoever dies or tampers."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from pyarrow import parquet

from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.clouds.memory.store import MemoryStore
from mcml_assets.domain.errors import CorruptSnapshot, PreconditionFailed
from mcml_assets.serving.prediction_log.log import PredictionLog
from mcml_assets_tests.clouds.faults import Crash, CrashingStore, WrappedStore
from mcml_assets_tests.serving.prediction_log.rows import LOCATION, rows

SEGMENTS = "shop/prediction_log/segments"
HEAD = "shop/prediction_log/head.json"


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(LOCATION)


def filled(store: ObjectStore) -> PredictionLog:
    """Three segments of three rows each."""
    log = PredictionLog(store, "shop")
    for first in (1, 4, 7):
        log.append(rows(first, first + 2))
    return log


def rewrite(store: ObjectStore, number: int, change: Callable[[Any], Any]) -> None:
    """Replace a segment as somebody with access to the bucket would: by valid Parquet with other rows."""
    key = f"{SEGMENTS}/{number:010d}.parquet"
    table, file = parquet.read_table(BytesIO(store.get(key))), BytesIO()
    parquet.write_table(change(table), file)
    store.put(key, file.getvalue())


def test_rows_come_back_in_order(store: MemoryStore) -> None:
    """What was appended is what is read, once each, also when it was handed over twice."""
    log = filled(store)
    log.append(rows(1, 9))
    assert [entry.row for entry in log.rows()] == rows(1, 9)
    verdict = log.verify()
    assert (verdict.rows, verdict.segments, verdict.lost, verdict.findings) == (9, 3, 0, ())


@pytest.mark.parametrize("column", ["score", "caller", "time", "features", "model_digest", "chain"])
def test_a_changed_row_is_found(store: MemoryStore, column: str) -> None:
    """One changed value of one row is told with the row's place and id."""
    log = filled(store)

    def change(table: Any) -> Any:
        values = table.column(column).to_pylist()
        values[1] = 0.99 if column == "score" else "0" * 64
        return table.set_column(table.schema.get_field_index(column), table.schema.field(column), [values])

    rewrite(store, 2, change)
    assert log.verify().findings[0].startswith("row 2 of segment 2 (")


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_removed_row_is_found(store: MemoryStore, number: int, place: int) -> None:
    """A row that was cut out of any segment is found, the very first and the very last too."""
    log = filled(store)
    rewrite(store, number, lambda table: table.take([row for row in range(3) if row != place]))
    assert log.verify().findings


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_removed_segment_is_found(store: MemoryStore, number: int) -> None:
    """A whole segment that is gone is told by its number."""
    log = filled(store)
    store.delete(f"{SEGMENTS}/{number:010d}.parquet")
    assert f"segment {number} is missing" in log.verify().findings


def test_an_unreadable_segment_is_found(store: MemoryStore) -> None:
    """Bytes that are no Parquet are told, and the segments after them are still read."""
    log = filled(store)
    store.put(f"{SEGMENTS}/0000000002.parquet", b"not Parquet")
    verdict = log.verify()
    assert any("0000000002.parquet is not readable" in finding for finding in verdict.findings)
    assert verdict.rows == 6


def test_a_log_that_was_written_anew_is_found_by_its_witness(store: MemoryStore) -> None:
    """Who rewrites segments and head alike makes a whole chain, but not the one that was witnessed elsewhere."""
    log = filled(store)
    head = log.head()
    for number in (1, 2, 3):
        store.delete(f"{SEGMENTS}/{number:010d}.parquet")
    store.delete(HEAD)
    log.append(rows(2, 9))
    assert log.verify().findings == ()
    assert log.verify((head.rows, head.chain)).findings == (
        "1 rows are missing that were there when the log was last witnessed",
    )
    log.append(rows(10, 12))
    assert log.verify((head.rows, head.chain)).findings == (
        "row 9 is not the one that was there when the log was last witnessed",
    )


def test_lost_rows_are_counted(store: MemoryStore) -> None:
    """Missing numbers are counted within, between and after a writer's segments, once each."""
    log = PredictionLog(store, "shop")
    log.append(rows(1, 2) + rows(5, 6))
    log.append(rows(10, 10))
    log.note_lost("w1", 12)
    assert log.note_lost("w1", 12).lost == 2 + 3 + 2
    assert log.verify().lost == 7


@pytest.mark.parametrize("writes", [0, 1, 2, 3])
@pytest.mark.parametrize("applied", [False, True])
def test_a_crash_at_any_write_loses_and_doubles_nothing(store: MemoryStore, writes: int, applied: bool) -> None:
    """Whenever the one that appends dies, the next one ends with every row once, in one whole chain."""
    with pytest.raises(Crash):
        filled(CrashingStore(store, writes, applied=applied))
    log = PredictionLog(store, "shop")
    log.append(rows(1, 9))
    assert [entry.row for entry in log.rows()] == rows(1, 9)
    assert log.verify().findings == ()


def test_two_that_append_at_once_do_not_both_succeed(store: MemoryStore) -> None:
    """Who is overtaken is told, and appends its rows after the other's."""

    class Overtaken(WrappedStore):
        overtaken = False

        def put_if_absent(self, key: str, data: bytes) -> Any:
            if not self.overtaken:
                self.overtaken = True
                PredictionLog(store, "shop").append(rows(1, 2, "rival"))
            return super().put_if_absent(key, data)

    log = PredictionLog(Overtaken(store), "shop")
    with pytest.raises(PreconditionFailed):
        log.append(rows(1, 3))
    log.append(rows(1, 3))
    assert [entry.row.writer for entry in log.rows()] == ["rival"] * 2 + ["w1"] * 3
    assert log.verify().findings == ()


def test_a_lost_head_is_found_again(store: MemoryStore) -> None:
    """Without its head the log goes on after the segments that are there."""
    filled(store)
    store.delete(HEAD)
    log = PredictionLog(store, "shop")
    log.append(rows(1, 10))
    assert [entry.row for entry in log.rows()] == rows(1, 10)
    assert log.verify().findings == ()


def test_a_foreign_segment_is_not_continued(store: MemoryStore) -> None:
    """A segment that does not follow the log is refused, not taken into it."""
    other = PredictionLog(MemoryStore(LOCATION), "shop")
    other.append(rows(1, 2, "foreign"))
    log = filled(store)
    store.put(f"{SEGMENTS}/0000000004.parquet", other._store.get(f"{SEGMENTS}/0000000001.parquet"))
    with pytest.raises(CorruptSnapshot, match="does not continue the log"):
        log.append(rows(10, 12))


def test_a_damaged_head_is_said(store: MemoryStore) -> None:
    """A head that is no JSON, or of another format, is a `CorruptSnapshot`."""
    log = filled(store)
    for data in (b"{", b'{"format": 2}', b'{"what": 1}'):
        store.put(HEAD, data)
        with pytest.raises(CorruptSnapshot):
            log.append(rows(10, 10))
