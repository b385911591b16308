"""What the digest of a table promises: the same for the same rows however they lie, another for any other rows."""

import struct
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from mcml_assets.comparison.digest import digest_files, digest_table
from mcml_assets.domain.errors import ContractViolation, CorruptSnapshot
from mcml_assets.domain.table_digest import TableDigest, compare_digests

FLOATS = st.none() | st.floats(width=64)
ROWS = st.lists(
    st.tuples(
        st.none() | st.integers(-(2**63), 2**63 - 1), FLOATS, st.none() | st.text(max_size=20), st.none() | st.booleans()
    ),
    max_size=30,
)
SCHEMA = pa.schema({"number": pa.int64(), "value": pa.float64(), "text": pa.string(), "flag": pa.bool_()})
quiet = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def table_of(rows: list[tuple[Any, ...]]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [[] for _ in SCHEMA]
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)


def column(values: list[Any], kind: pa.DataType | None = None, name: str = "x") -> TableDigest:
    return digest_table(pa.table({name: pa.array(values, kind)}))


@quiet
@given(
    rows=ROWS,
    seed=st.integers(0, 2**32 - 1),
    group=st.integers(1, 40),
    cut=st.floats(0, 1),
    codec=st.sampled_from(["zstd", "none"]),
)
def test_layout_does_not_matter(rows: list[Any], seed: int, group: int, cut: float, codec: str, tmp_path: Path) -> None:
    """Other order, files, row groups, codec, encoding and column order: the same digest."""
    table = table_of(rows)
    shuffled = table.take(pa.array(np.random.default_rng(seed).permutation(len(rows)), pa.int64())).select(SCHEMA.names[::-1])
    at = round(cut * len(rows))
    files = [tmp_path / "1.parquet", tmp_path / "2.parquet"]
    for file, part in zip(files, (shuffled.slice(0, at), shuffled.slice(at)), strict=True):
        parquet.write_table(part, file, row_group_size=group, compression=codec, use_dictionary=seed % 2 == 0)
    assert digest_files(files) == digest_files(files[::-1]) == digest_table(table)


@quiet
@given(rows=ROWS.filter(bool), data=st.data())
def test_a_row_lost_or_doubled_shows(rows: list[Any], data: st.DataObject) -> None:
    """One row less, or one twice, is another table; two rows doubled do not cancel each other."""
    index = data.draw(st.integers(0, len(rows) - 1))
    whole = digest_table(table_of(rows))
    assert whole.digest != digest_table(table_of(rows[:index] + rows[index + 1 :])).digest
    assert whole.digest != digest_table(table_of([*rows, rows[index]])).digest
    assert whole.digest != digest_table(table_of([*rows, rows[index], rows[index]])).digest


@quiet
@given(rows=ROWS.filter(bool), data=st.data())
def test_one_other_cell_shows_in_its_column_and_in_the_rows(rows: list[Any], data: st.DataObject) -> None:
    """The changed column is named, and no other."""
    row, name = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.sampled_from(SCHEMA.names))
    position = SCHEMA.get_field_index(name)
    drawn = data.draw(
        (st.none() | st.integers(0, 9), FLOATS, st.none() | st.text(max_size=20), st.none() | st.booleans())[position]
    )
    changed = list(rows)
    changed[row] = (*rows[row][:position], drawn, *rows[row][position + 1 :])
    difference = compare_digests(digest_table(table_of(rows)), digest_table(table_of(changed)))
    before = rows[row][position]
    same = (before == drawn and (before is None) == (drawn is None)) or (before != before and drawn != drawn)
    assert (difference is None) == same
    if difference is not None:
        assert (difference.columns, difference.schema_differs, difference.rows) == ((name,), False, 0)


@pytest.mark.parametrize("value", [1.0, 0.1, 1e-300, 123456.789])
def test_the_last_digit_shows(value: float) -> None:
    """The nearest other float is another value, and so is 1e-12 more in one cell of a million."""
    assert column([value]).digest != column([np.nextafter(value, 2 * value)]).digest
    many = np.random.default_rng(1).normal(size=1_000_000)
    changed = many.copy()
    changed[777_777] += 1e-12
    assert digest_table(pa.table({"x": many})).digest != digest_table(pa.table({"x": changed})).digest


def test_two_columns_swapped_show() -> None:
    """The same cells under each other's names are another table."""
    one = pa.table({"a": [1, 2], "b": [3, 4]})
    difference = compare_digests(digest_table(one), digest_table(one.rename_columns(["b", "a"])))
    assert difference is not None
    assert difference.columns == ("a", "b")


def test_cells_in_other_rows_show_although_each_column_is_the_same() -> None:
    """A column sorted by itself keeps its cells, and loses the rows."""
    difference = compare_digests(
        digest_table(pa.table({"a": [1, 2], "b": [3, 4]})), digest_table(pa.table({"a": [1, 2], "b": [4, 3]}))
    )
    assert difference is not None
    assert (difference.columns, difference.repaired) == ((), True)


def test_null_nan_and_zero_are_three_values_and_the_two_zeros_are_one() -> None:
    """-0.0 equals 0.0, as everywhere; every NaN is one, whatever its payload; null is neither."""
    payload = struct.unpack("<d", struct.pack("<Q", 0xFFF8_0000_0000_1234))[0]
    digests = {column([value], pa.float64()).digest for value in (None, float("nan"), 0.0, float("inf"), float("-inf"))}
    assert len(digests) == 5
    assert column([-0.0]) == column([0.0])
    assert column([payload]) == column([float("nan")])


def test_what_lies_under_a_null_does_not_matter() -> None:
    """Arrow leaves arbitrary bytes there."""
    under = [pa.array(np.array(values), mask=np.array([False, True])) for values in ([1, 2], [1, 99])]
    assert digest_table(pa.table({"x": under[0]})) == digest_table(pa.table({"x": under[1]})) == column([1, None])


def test_types_are_part_of_a_table() -> None:
    """The same numbers as another type are another table, and are told apart from other values."""
    kinds = [pa.int32(), pa.int64(), pa.uint8(), pa.float32(), pa.float64(), pa.decimal128(5, 1), pa.string()]
    digests = [column(["1"] if kind == pa.string() else [1], kind) for kind in kinds]
    assert len({digest.digest for digest in digests}) == len(kinds)
    difference = compare_digests(digests[0], digests[1])
    assert difference is not None
    assert difference.retyped == ("x",)


def test_a_shifted_time_zone_shows() -> None:
    """The same clock reading in another zone is another instant; without a zone it is another type."""
    hour = 3_600_000_000
    kinds = [(0, pa.timestamp("us", "UTC")), (hour, pa.timestamp("us", "UTC")), (0, pa.timestamp("us"))]
    assert len({column([value], kind).digest for value, kind in kinds}) == 3


@pytest.mark.parametrize(
    ("values", "kind", "others"),
    [
        (["a", "b", None, "a"], pa.string(), [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]),
        ([b"a", b"", None], pa.binary(), [pa.large_binary(), pa.binary_view()]),
        ([[1, 2], [], None, [None]], pa.list_(pa.int32()), [pa.large_list(pa.int32())]),
    ],
)  # fmt: skip
def test_a_layout_in_memory_is_no_type(values: list[Any], kind: pa.DataType, others: list[pa.DataType]) -> None:
    """A dictionary, a view or wide offsets hold the same values."""
    plain = pa.array(values, kind)
    for other in others:
        assert digest_table(pa.table({"x": plain.cast(other)})) == digest_table(pa.table({"x": plain})), other
    runs = pa.array([1, 1, None])
    assert digest_table(pa.table({"x": pa.RunEndEncodedArray.from_arrays([2, 3], pa.array([1, None]))})) == digest_table(
        pa.table({"x": runs})
    )


NESTED: list[tuple[list[Any], list[Any], pa.DataType]] = [
    ([{"a": 1, "b": "x"}], [{"a": 1, "b": "y"}], pa.struct({"a": pa.int64(), "b": pa.string()})),
    ([{"a": None}], [None], pa.struct({"a": pa.int64()})),
    ([[1, 2]], [[2, 1]], pa.list_(pa.int64())),
    ([[1], [2]], [[1, 2], []], pa.list_(pa.int64())),
    ([[]], [None], pa.list_(pa.int64())),
    ([[None]], [[]], pa.list_(pa.int64())),
    ([[[1], []]], [[[], [1]]], pa.list_(pa.list_(pa.int64()))),
    ([[("k", 1)]], [[("k", 2)]], pa.map_(pa.string(), pa.int64())),
    ([[{"a": 1}, {"a": 2}]], [[{"a": 2}, {"a": 1}]], pa.list_(pa.struct({"a": pa.int64()}))),
    ([Decimal("1.10")], [Decimal("1.11")], pa.decimal128(5, 2)),
    ([date(2020, 1, 1)], [date(2020, 1, 2)], pa.date32()),
    (["x" * 8], ["x" * 8 + "\0"], pa.string()),
    (["ab" * 50], ["ab" * 49 + "ba"], pa.string()),
    ([""], [None], pa.string()),
    (["ä"], ["a\u0308"], pa.string()),
]


@pytest.mark.parametrize(("one", "other", "kind"), NESTED, ids=lambda value: str(value)[:30])
def test_nested_values_and_text_count_by_what_is_in_them(
    one: list[Any], other: list[Any], kind: pa.DataType, tmp_path: Path
) -> None:
    """Another element, order, length or null anywhere inside shows, in memory and from a file."""
    assert column(one, kind).digest != column(other, kind).digest
    parquet.write_table(pa.table({"x": pa.array(one * 3, kind)}), tmp_path / "x.parquet", row_group_size=2)
    assert digest_files([tmp_path / "x.parquet"]) == column(one * 3, kind)


@quiet
@given(st.lists(st.none() | st.lists(st.none() | st.text(max_size=9), max_size=4), max_size=20), st.integers(0, 19))
def test_a_slice_is_its_rows(values: list[Any], start: int) -> None:
    """Where an array begins in its buffer does not matter."""
    kind = pa.list_(pa.string())
    assert digest_table(pa.table({"x": pa.array(values, kind)}).slice(start)) == column(values[start:], kind)


def test_a_table_without_rows_has_a_digest_and_ten_thousand_categories_are_fine(tmp_path: Path) -> None:
    """Nothing is a table too, and says which columns it has; many categories are only text."""
    empty, other = column([], pa.int64()), column([], pa.int64(), name="y")
    assert (empty.rows, empty.columns["x"].nulls) == (0, 0)
    assert compare_digests(empty, other) is not None
    values = [f"category {number % 10_000}" for number in range(50_000)]
    parquet.write_table(pa.table({"x": values}), tmp_path / "x.parquet")
    assert digest_files([tmp_path / "x.parquet"]) == column(values)
    nothing_known = column([None] * 9)
    assert (nothing_known.rows, nothing_known.columns["x"].nulls) == (9, 9)


def test_digests_stored_today_are_understood_tomorrow() -> None:
    """The algorithm never changes under its name: these digests are part of `rows128-v1`."""
    table = pa.table(
        {
            "number": pa.array([1, -2, None], pa.int64()),
            "value": pa.array([0.5, float("nan"), None], pa.float64()),
            "text": pa.array(["", "a longer text than eight bytes", None], pa.string()),
            "tags": pa.array([["x"], [], None], pa.list_(pa.string())),
            "at": pa.array([0, 1, None], pa.timestamp("us", "UTC")),
        }
    )
    digest = digest_table(table)
    assert TableDigest.from_json(digest.to_json()) == digest
    assert (digest.algorithm, digest.digest) == ("rows128-v1", "483e77e87f1b35522f88b19990d36cb7")
    assert {name: column.digest[:8] for name, column in digest.columns.items()} == {
        "at": "89bdfe8a",
        "number": "4c14d12d",
        "tags": "c618fa87",
        "text": "f8b8460e",
        "value": "b5c406d4",
    }


def test_what_cannot_be_digested_says_why(tmp_path: Path) -> None:
    """No file, other columns, a union, damage: each is an error with a name and a place, and no value."""
    with pytest.raises(ContractViolation, match="at least one Parquet file"):
        digest_files([])
    for name, content in (("1", {"a": [1]}), ("2", {"b": [1]})):
        parquet.write_table(pa.table(content), tmp_path / f"{name}.parquet")
    with pytest.raises(ContractViolation, match=r"2.parquet has other columns or types than 1.parquet: a, b"):
        digest_files([tmp_path / "1.parquet", tmp_path / "2.parquet"])
    union = pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])
    with pytest.raises(ContractViolation, match=r"column 'x' has type .*union"):
        digest_table(pa.table({"x": union}))
    (tmp_path / "3.parquet").write_bytes((tmp_path / "1.parquet").read_bytes()[:-20])
    with pytest.raises(CorruptSnapshot, match=r"3\.parquet cannot be read"):
        digest_files([tmp_path / "3.parquet"])
    with pytest.raises(ContractViolation, match=r"share a name: \['a'\]"):
        digest_table(pa.table([[1], [2]], ["a", "a"]))
    with pytest.raises(CorruptSnapshot, match="expected fields"):
        TableDigest.from_json({"rows": 1})
