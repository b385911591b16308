"""What the comparison within tolerances promises: sums in another order pass, a changed value does not, and it is named."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from mcml_assets.comparison.difference import compare_files
from mcml_assets.domain.errors import ContractViolation
from mcml_assets.domain.table_difference import TableDifference, Tolerance

SUMS = Tolerance(0.0, 1e-9, "sums in another order")
quiet = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def written(folder: Path, name: str, table: pa.Table, parts: int = 2) -> list[Path]:
    folder.mkdir(exist_ok=True)
    step = max(1, -(-len(table) // parts))
    files = []
    for number, start in enumerate(range(0, max(1, len(table)), step)):
        files.append(folder / f"{name}-{number}.parquet")
        parquet.write_table(table.slice(start, step), files[-1])
    return files


@pytest.fixture
def compare(tmp_path: Path):
    """Compare two tables keyed by `id`."""

    def run(one: dict[str, Any] | pa.Table, other: dict[str, Any] | pa.Table, **tolerances: Tolerance) -> TableDifference:
        first, second = (table if isinstance(table, pa.Table) else pa.table(table) for table in (one, other))
        return compare_files(
            written(tmp_path, "one", first), written(tmp_path, "other", second), keys=["id"], tolerances=tolerances
        )

    return run


@quiet
@given(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), min_size=1, max_size=20), st.randoms())
def test_sums_in_another_order_agree(compare, parts, random) -> None:
    """Floating-point sums depend on their order, in the last digits; that much is tolerated where it is declared."""
    ordered = [sum(map(abs, values)) for values in parts]
    shuffled = [sum(map(abs, random.sample(values, len(values)))) for values in parts]
    ids = list(range(len(parts)))
    assert compare({"id": ids, "total": ordered}, {"id": ids, "total": shuffled}, total=SUMS).agrees


@quiet
@given(st.lists(st.floats(1, 1e6), min_size=1, max_size=30), st.data(), st.floats(1e-6, 10))
def test_a_changed_value_is_named_with_its_key_and_size(compare, values, data, by) -> None:
    """One value off by more than the tolerance: one column, one row, its key and the difference."""
    changed = list(values)
    index = data.draw(st.integers(0, len(values) - 1))
    changed[index] += values[index] * by
    ids = [10 * number for number in range(len(values))]
    order = data.draw(st.permutations(range(len(values))))
    there = {"id": [ids[row] for row in order], "total": [changed[row] for row in order]}
    difference = compare({"id": ids, "total": values}, there, total=SUMS)
    (column,) = difference.columns
    assert not difference.agrees
    assert (column.column, column.rows, column.tolerated) == ("total", 1, 0)
    assert column.largest == abs(changed[index] - values[index])
    assert [example.key for example in column.examples] == [{"id": str(10 * index)}]
    assert column.examples[0].row == index


def test_without_a_tolerance_the_last_digit_differs(compare) -> None:
    """Tolerance is declared, never assumed."""
    one, other = {"id": [1, 2], "x": [0.1, 1.0]}, {"id": [1, 2], "x": [np.nextafter(0.1, 1), 1.0]}
    assert not compare(one, other).agrees
    tolerant = compare(one, other, x=SUMS)
    assert tolerant.agrees
    assert (tolerant.columns[0].rows, tolerant.columns[0].tolerated) == (0, 1)


def test_rows_lost_and_doubled_are_counted_by_key(compare) -> None:
    """A row that only one table has, and a row that is there twice, are named and compared with none."""
    difference = compare({"id": [1, 2, 2, 3], "x": [1, 2, 2, 3]}, {"id": [1, 2, 4], "x": [1, 2, 4]})
    assert (difference.compared, difference.only_first, difference.only_second) == (2, 2, 1)
    assert {example.key["id"] for example in difference.unmatched} == {"2", "3", "4"}
    assert difference.columns == ()


@pytest.mark.parametrize(
    ("here", "there", "agrees"),
    [
        (None, None, True),
        (None, 0.0, False),
        (float("nan"), float("nan"), True),
        (float("nan"), None, False),
        (float("nan"), 1.0, False),
        (float("inf"), float("inf"), True),
        (float("inf"), 1e300, False),
        (float("inf"), float("-inf"), False),
        (-0.0, 0.0, True),
    ],
)
def test_missing_and_infinite_values_agree_with_themselves_only(compare, here, there, agrees) -> None:
    """No tolerance makes a missing or an infinite value equal to a number."""
    kind = pa.float64()
    tables = [pa.table({"id": [1], "x": pa.array([value], kind)}) for value in (here, there)]
    assert compare(*tables, x=Tolerance(1e9, 0.5, "wide")).agrees is agrees


def test_a_schema_that_differs_is_said_in_columns(compare) -> None:
    """New, lost and retyped columns are named; the others are still compared."""
    difference = compare({"id": [1], "a": [1], "b": [1], "c": [1]}, {"id": [1], "b": ["1"], "c": [2], "d": [1]})
    assert (difference.missing, difference.added, difference.retyped) == (("a",), ("d",), ("b",))
    assert [column.column for column in difference.columns] == ["c"]


def test_text_lists_and_empty_tables_are_compared_too(compare) -> None:
    """Categories and nested values are equal or not; a table without rows agrees with one like it."""
    difference = compare({"id": [1, 2], "t": ["a", "b"], "l": [[1], []]}, {"id": [1, 2], "t": ["a", "c"], "l": [[1], [2]]})
    assert {column.column: (column.rows, column.largest) for column in difference.columns} == {"t": (1, None), "l": (1, None)}
    nothing = pa.table({"id": pa.array([], pa.int64()), "x": pa.array([], pa.float64())})
    assert compare(nothing, nothing).agrees


def test_a_key_that_cannot_match_is_an_error(tmp_path: Path) -> None:
    """Rows matched by a column that one table lacks would all differ, and say nothing."""
    one, other = (written(tmp_path, name, pa.table({name: [1]})) for name in ("id", "no"))
    with pytest.raises(ContractViolation, match="cannot be matched by 'id': it is int64 here, missing there"):
        compare_files(one, other, keys=["id"], tolerances={})
