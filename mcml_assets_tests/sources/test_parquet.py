"""What one landing after another takes from a source: each line exactly once, and none of another jurisdiction."""

from collections import Counter
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcml_assets.domain.errors import ConfigurationError, ContractViolation
from mcml_assets.sources.parquet import next_batch
from mcml_assets_tests.sources.parquet_sources import (
    COLUMNS,
    SCHEMA,
    START,
    VALUES,
    Landings,
    Row,
    day,
    read_rows,
    source_at,
    write_rows,
)

UK, FRANCE = "United Kingdom", "France"

times = st.integers(0, 60).map(lambda half_days: day(half_days / 2))
countries = st.sampled_from([UK, FRANCE, "Côte d'Azur", "Norway", None])
amounts = st.sampled_from([1.0, 2.0, -0.5, float("inf"), None])
rows_of_a_source = st.lists(st.tuples(times, countries, amounts), max_size=12)


@settings(max_examples=40, deadline=None)
@given(
    first=rows_of_a_source.filter(bool),
    growth=st.lists(st.tuples(rows_of_a_source, st.integers(0, 3)), max_size=4),
    jurisdiction=st.sampled_from(["UK", "EU"]),
)
def test_what_has_landed_is_the_source_before_the_watermark(
    tmp_path_factory: pytest.TempPathFactory,
    first: list[Row],
    growth: list[tuple[list[Row], int]],
    jurisdiction: str,
) -> None:
    """For any growth of a source, with repeats and late rows: nothing lost, nothing twice, nothing of others."""
    folder = tmp_path_factory.mktemp("landings")
    path = folder / "visits.parquet"
    landings = Landings(source_at(path), jurisdiction, folder)
    held: list[Row] = []
    for new, count in [(first, 1), *growth]:
        held = [*held, *new]
        write_rows(path, held)
        for _ in range(count):
            batch = landings.land()
            assert landings.watermark is not None
            before = datetime.fromisoformat(landings.watermark)
            due = Counter(row for row in held if row[1] in VALUES[jurisdiction] and row[0] < before)
            assert Counter(landings.rows()) == due
            assert batch.rows == sum(file.rows for file in batch.files)
            assert batch.withdrawn_rows == 0
            assert batch.exhausted == (not batch.files)


def test_windows_start_at_midnight_and_end_just_after_the_last_event(tmp_path: Path) -> None:
    """The first landing takes its days from midnight of the first event, later ones theirs, the last what is left."""
    path = tmp_path / "visits.parquet"
    write_rows(path, [(day(number), UK, 1.0) for number in (0, 9, 9.9, 12, 16)])
    landings = Landings(source_at(path), "UK", tmp_path)
    batches = [landings.land() for _ in range(4)]
    assert [batch.watermark for batch in batches] == [
        "2024-03-11T00:00:00",
        "2024-03-16T00:00:00",
        "2024-03-17T08:30:00.000001",
        "2024-03-17T08:30:00.000001",
    ]
    assert [batch.rows for batch in batches] == [2, 2, 1, 0]
    assert [batch.exhausted for batch in batches] == [False, False, False, True]
    (file,) = batches[0].files
    assert (file.path, file.rows) == ("visits/part-00000.parquet", 2)
    assert (file.first_event, file.last_event) == ("2024-03-01T08:30:00", "2024-03-10T08:30:00")


def test_late_lines_are_taken_once_each_and_counted(tmp_path: Path) -> None:
    """Two more copies of a line that has landed once are two late lines, in a file of their own, and only once."""
    path = tmp_path / "visits.parquet"
    rows: list[Row] = [(day(0), UK, 1.0), (day(30), UK, 9.0)]
    write_rows(path, rows)
    landings = Landings(source_at(path), "UK", tmp_path)
    landings.land()
    write_rows(path, [*rows, (day(0), UK, 1.0), (day(0), UK, 1.0), (day(1), FRANCE, 5.0)])
    batch = landings.land()
    assert (batch.late_rows, batch.rows) == (2, 2)
    assert [(file.path, file.rows) for file in batch.files] == [
        ("visits/late-00001.parquet", 2),
        ("visits/part-00001.parquet", 0),
    ]
    assert landings.land().late_rows == 0
    assert Counter(landings.rows()) == Counter({(day(0), UK, 1.0): 3})


def test_late_lines_are_taken_at_the_end_of_the_data_too(tmp_path: Path) -> None:
    """An exhausted source that gets an old line is not exhausted; its watermark stays."""
    path = tmp_path / "visits.parquet"
    write_rows(path, [(day(0), UK, 1.0), (day(1), UK, 2.0)])
    landings = Landings(source_at(path), "UK", tmp_path)
    watermark = landings.land().watermark
    write_rows(path, [(day(0), UK, 1.0), (day(0.5), UK, 3.0), (day(1), UK, 2.0)])
    batch = landings.land()
    assert (batch.exhausted, batch.late_rows, batch.watermark) == (False, 1, watermark)
    assert landings.land().exhausted


def test_withdrawn_lines_are_counted_and_stay(tmp_path: Path) -> None:
    """What the source takes back is told; what has landed is never changed."""
    path = tmp_path / "visits.parquet"
    write_rows(path, [(day(0), UK, 1.0), (day(0), UK, 1.0), (day(1), UK, 2.0)])
    landings = Landings(source_at(path), "UK", tmp_path)
    landings.land()
    write_rows(path, [(day(0), UK, 1.0), (day(0), UK, 7.0), (day(1), UK, 2.0)])
    batch = landings.land()
    assert (batch.withdrawn_rows, batch.late_rows) == (1, 1)
    assert (day(0), UK, 1.0) in landings.rows()
    for left in ([(day(0), UK, 1.0)], []):
        write_rows(path, left)
        less = landings.land()
        assert (less.withdrawn_rows, less.watermark, less.exhausted) == (4 - len(left), batch.watermark, True)


def test_a_jurisdiction_without_events_moves_on_with_the_others(tmp_path: Path) -> None:
    """Windows are those of the whole source; a window without rows is an empty file that has the columns."""
    path = tmp_path / "visits.parquet"
    write_rows(path, [(day(0), UK, 1.0), (day(12), FRANCE, 2.0)])
    landings = Landings(source_at(path), "EU", tmp_path)
    first, second = landings.land(), landings.land()
    assert (first.rows, first.watermark, first.exhausted) == (0, "2024-03-11T00:00:00", False)
    assert pq.read_schema(first.files[0].local).names == list(COLUMNS)
    assert (first.files[0].first_event, first.files[0].last_event) == (None, None)
    assert second.rows == 1


def test_rows_of_no_jurisdiction_never_enter(tmp_path: Path) -> None:
    """A value that is listed nowhere, or no value, is placed nowhere; a jurisdiction without values gets nothing."""
    path = tmp_path / "visits.parquet"
    write_rows(path, [(day(0), "Norway", 1.0), (day(0), None, 1.0), (day(0), "united kingdom", 1.0)])
    for jurisdiction in ("UK", "EU", "US"):
        assert Landings(source_at(path), jurisdiction, tmp_path / jurisdiction).land().rows == 0


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    """Two landings of one batch have one digest, whatever the source's own file looks like inside."""
    path = tmp_path / "visits.parquet"
    write_rows(path, [(day(number / 100), UK, float(number)) for number in range(900)])
    first = Landings(source_at(path), "UK", tmp_path / "a").land()
    pq.write_table(pq.read_table(path), path, row_group_size=50, compression="none", use_dictionary=False)
    second = Landings(source_at(path), "UK", tmp_path / "b").land()
    assert first.files[0].local.read_bytes() == second.files[0].local.read_bytes()
    assert read_rows([first.files[0].local]) == read_rows([path])[:900]


def test_times_with_a_zone_give_a_watermark_in_utc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own time zone changes neither watermark nor rows nor types."""
    monkeypatch.setenv("TZ", "America/New_York")
    path = tmp_path / "loans.parquet"
    type_ = pa.timestamp("us", "UTC")
    pq.write_table(pa.table({"at": pa.array([START, day(20)], type_)}), path)
    source = source_at(path, columns={"at": "timestamp[us, tz=UTC]"}, event_time="at", placed_by=None)
    landings = Landings(source, "US", tmp_path)
    batches = [landings.land() for _ in range(4)]
    assert [batch.watermark for batch in batches[:2]] == ["2024-03-11T00:00:00+00:00", "2024-03-16T00:00:00+00:00"]
    assert [batch.rows for batch in batches] == [1, 0, 0, 1]
    assert pq.read_schema(batches[0].files[0].local).field("at").type == type_
    assert batches[0].files[0].first_event == "2024-03-01T08:30:00+00:00"


def test_a_path_with_signs_of_a_pattern_is_a_path(tmp_path: Path) -> None:
    """Brackets, stars and quotes in a folder's name are part of the name, and other files are not read with it."""
    path = tmp_path / "it's [a] *" / "visits.parquet"
    write_rows(path, [(day(0), UK, 1.0)])
    write_rows(tmp_path / "it's a b" / "visits.parquet", [(day(0), UK, 2.0)])
    assert Landings(source_at(path), "UK", tmp_path / "[out]").land().rows == 1


def test_a_reference_table_is_taken_whole_and_only_when_it_changed(tmp_path: Path) -> None:
    """Rows keep their order; the same content, though rewritten, is nothing new."""
    path = tmp_path / "shops.parquet"
    table = pa.table({"shop": [3, 1, 2], "city": ["Bath", None, "Hull"], "size": [1.0, float("nan"), 2.0]})
    pq.write_table(table, path)
    columns = {"shop": "int64", "city": "string", "size": "double"}
    facts = {"name": "shops", "columns": columns, "event_time": None, "first_batch_days": None, "batch_days": None}
    landings = Landings(source_at(path, **facts, placed_by=None), "UK", tmp_path)
    batch = landings.land()
    assert [(file.path, file.rows, file.first_event) for file in batch.files] == [("shops/whole.parquet", 3, None)]
    assert (batch.watermark, batch.exhausted) == (None, False)
    assert pq.read_table(batch.files[0].local)["shop"].to_pylist() == [3, 1, 2]
    pq.write_table(table, path, row_group_size=1)
    assert landings.land().exhausted
    pq.write_table(table.slice(1), path)
    assert (landings.land().rows, len(landings.files)) == (2, 1)


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"amount": None}, ["column 'amount' (double) is missing"]),
        ({"amount": None, "amuont": pa.array([1.0])},
         ["column 'amount' (double) is missing; did you mean 'amuont'?", "column 'amuont' (double) is not declared"]),
        ({"extra": pa.array([1])}, ["column 'extra' (int64) is not declared"]),
        ({"amount": pa.array(["secret"])}, ["column 'amount': expected double, found string"]),
        ({"time": pa.array([START], pa.timestamp("ns"))}, ["column 'time': expected timestamp[us], found timestamp[ns]"]),
    ],
)  # fmt: skip
def test_other_columns_than_declared_are_told_with_expected_and_found(
    tmp_path: Path, columns: dict[str, pa.Array | None], told: list[str]
) -> None:
    """A column missing, additional or of another type: one line each with file and column, and no value."""
    path = tmp_path / "visits.parquet"
    sound = {"time": pa.array([START]), "country": pa.array([UK]), "amount": pa.array([1.0])}
    table = {name: values for name, values in (sound | columns).items() if values is not None}
    pq.write_table(pa.table(table), path)
    with pytest.raises(ContractViolation) as raised:
        Landings(source_at(path), "UK", tmp_path).land()
    assert str(raised.value).splitlines() == [f"source 'visits': visits.parquet: {text}" for text in told]


def test_a_missing_source_file_is_told(tmp_path: Path) -> None:
    """The path that was looked for, and the nearest file that is there."""
    write_rows(tmp_path / "visit.parquet", [(day(0), UK, 1.0)])
    with pytest.raises(ConfigurationError) as raised:
        Landings(source_at(tmp_path / "visits.parquet"), "UK", tmp_path).land()
    assert str(raised.value) == (
        f"source 'visits': there is no file {tmp_path / 'visits.parquet'}; did you mean 'visit.parquet'?"
    )


@pytest.mark.parametrize("keep", [0, 3, 200, -1])
def test_a_truncated_source_file_is_told(tmp_path: Path, keep: int) -> None:
    """A file cut short, at any place, or of another format, violates the contract."""
    path = tmp_path / "visits.parquet"
    write_rows(path, [(day(0), UK, 1.0)])
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ContractViolation, match=r"visits\.parquet: expected a Parquet file, found \d+ bytes"):
        Landings(source_at(path), "UK", tmp_path).land()


def test_a_source_file_damaged_inside_is_told_without_its_values(tmp_path: Path) -> None:
    """Pages that cannot be decoded violate the contract, though the footer is whole."""
    path = tmp_path / "visits.parquet"
    write_rows(path, [(day(0), UK, float(number)) for number in range(2000)])
    content = bytearray(path.read_bytes())
    content[4:600] = b"\xff" * 596
    path.write_bytes(content)
    with pytest.raises(ContractViolation, match=r"visits\.parquet cannot be read to its end") as raised:
        Landings(source_at(path), "UK", tmp_path).land()
    assert raised.value.__suppress_context__


def test_a_row_without_an_event_time_is_told(tmp_path: Path) -> None:
    """Such a row belongs to no window and would be lost: the source is refused, unless the row is not ours."""
    path = tmp_path / "visits.parquet"
    columns = {"time": [START, None], "country": [UK, FRANCE], "amount": [1.0, 2.0]}
    pq.write_table(pa.table(columns), path)
    with pytest.raises(ContractViolation, match="'time': expected an event time in every row, found 1 rows without"):
        Landings(source_at(path), "EU", tmp_path).land()
    assert Landings(source_at(path), "UK", tmp_path).land().rows == 1


def test_a_first_landing_from_an_empty_source_is_refused(tmp_path: Path) -> None:
    """There is no first event to count from, and nothing to make an endpoint of."""
    path = tmp_path / "visits.parquet"
    write_rows(path, [])
    with pytest.raises(ContractViolation, match="expected rows, found none"):
        Landings(source_at(path), "UK", tmp_path).land()


FORMS = {
    "a column added": ({**COLUMNS, "shop": "int64"}, lambda rows: rows.append_column("shop", pa.array([7] * len(rows)))),
    "a column removed": ({"time": "timestamp[us]", "country": "string"}, lambda rows: rows.drop_columns(["amount"])),
    "a number widened": ({**COLUMNS, "amount": "double"}, lambda rows: rows),
}


@pytest.mark.parametrize("what", FORMS)
def test_what_landed_under_an_older_version_is_not_taken_again(tmp_path: Path, what: str) -> None:
    """Lines are compared in what their version had: none is late for a new column, and one that really is late lands."""
    path = tmp_path / "visits.parquet"
    columns, change = FORMS[what]
    rows = [(day(number / 2), UK, amount) for number, amount in enumerate((0.1, 0.1, 1e300, 2.5))]
    before = {**COLUMNS, "amount": "float"} if what == "a number widened" else COLUMNS
    write_rows(path, [row for row in rows if row[2] != 1e300])
    narrow = pa.schema([(name, pa.float32() if before[name] == "float" else SCHEMA.field(name).type) for name in SCHEMA.names])
    pq.write_table(pq.read_table(path).cast(narrow), path)
    landings = Landings(source_at(path, columns=before), "UK", tmp_path)
    assert landings.land().rows == 3
    write_rows(path, [*rows[:3], rows[3], (day(1), UK, 9.0)])
    pq.write_table(change(pq.read_table(path)), path)
    landings.source = replace(landings.source, columns=columns)
    batch = landings.land()
    assert (batch.late_rows, batch.withdrawn_rows) == (2, 0)
    late = pq.read_table(next(file.local for file in batch.files if "late" in file.path))
    assert late.column_names == list(columns)
    if "amount" in columns:
        assert sorted(late["amount"].to_pylist()) == [9.0, 1e300]


def test_what_cannot_be_brought_into_the_declared_type_is_told(tmp_path: Path) -> None:
    """The landing names file, column and both types, and the declaration that takes everything again."""
    path = tmp_path / "visits.parquet"
    write_rows(path, [(day(0), UK, 1.0)])
    landings = Landings(source_at(path), "UK", tmp_path)
    landings.land()
    table = pq.read_table(path)
    pq.write_table(table.set_column(2, "amount", table["amount"].cast(pa.string())), path)
    landings.source = replace(landings.source, columns={**COLUMNS, "amount": "string"})
    told = r"what has landed in part-00000\.parquet: column 'amount' is double, and cannot be brought into the declared string"
    with pytest.raises(ContractViolation, match=told) as raised:
        landings.land()
    assert "on_breaking_contract: retake" in str(raised.value)


def test_all_that_landed_is_taken_again_in_one_window(tmp_path: Path) -> None:
    """After a breaking change the first window ends where the last landing ended, and nothing later enters."""
    path = tmp_path / "visits.parquet"
    write_rows(path, [(day(number), UK, 1.0) for number in range(20)])
    landings = Landings(source_at(path), "UK", tmp_path)
    landings.land()
    landings.land()
    again = next_batch(landings.source, "UK", (), None, 2, tmp_path / "again", again_until=landings.watermark)
    assert (again.watermark, again.rows, again.late_rows) == (landings.watermark, len(landings.rows()), 0)
    assert read_rows([file.local for file in again.files]) == landings.rows()
