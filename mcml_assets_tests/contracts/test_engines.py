"""Both engines give one verdict: what DuckDB counts over Parquet is what pandera finds in pandas, rule by rule."""

import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pandera.pandas as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcml_assets.build import DEFS
from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.configuration.workload import load_workload
from mcml_assets.contracts.in_pandas import ask_in_pandas
from mcml_assets.contracts.in_parquet import Table, ask, database
from mcml_assets.contracts.reading import Reading, load_schemas, read_rules
from mcml_assets.contracts.rules import RuleResult
from mcml_assets.contracts.translation import translated

PATTERNS = ("^[A-C]+$", r"\d+", "a|b$", "^a{1,2}", r"^\w+$", "[^x]", r"é", "^.$", "^(?:ab|c)?$", r"a\.b", "(?i)abc")
texts = st.text(st.sampled_from("abcABC019x.é\n ٣"), max_size=5)
numbers = st.floats(-10, 10, width=32) | st.sampled_from([float("nan"), 0.1, -0.0, 3.0, float("inf")])
times = st.datetimes(datetime(2020, 1, 1), datetime(2020, 1, 3)).map(lambda time: time.replace(microsecond=0))


def number_checks() -> st.SearchStrategy[pa.Check]:
    one = st.integers(-10, 10) | st.sampled_from([0.1, 0.5, -3.0])
    pair = st.tuples(one, one).map(sorted).filter(lambda ends: ends[0] < ends[1])
    single = (pa.Check.gt, pa.Check.ge, pa.Check.lt, pa.Check.le, pa.Check.eq, pa.Check.ne)
    return st.one_of(
        *(one.map(make) for make in single),
        st.lists(one, max_size=3).map(pa.Check.isin),
        st.lists(one, max_size=3).map(pa.Check.notin),
        st.tuples(pair, st.booleans(), st.booleans()).map(
            lambda drawn: pa.Check.in_range(*drawn[0], include_min=drawn[1], include_max=drawn[2])
        ),
    )


def text_checks() -> st.SearchStrategy[pa.Check]:
    return st.one_of(
        st.sampled_from(PATTERNS).map(pa.Check.str_matches),
        st.sampled_from(PATTERNS).map(pa.Check.str_contains),
        texts.map(pa.Check.str_startswith),
        texts.map(pa.Check.str_endswith),
        st.lists(texts, max_size=3).map(pa.Check.isin),
        st.lists(texts, max_size=3).map(pa.Check.notin),
        st.tuples(st.integers(0, 3), st.integers(3, 5)).map(lambda ends: pa.Check.str_length(*ends)),
        texts.map(pa.Check.eq),
    )


def both(schema: pa.DataFrameSchema, frame: pd.DataFrame, folder: Path, repeating: bool = False) -> tuple[dict, dict]:
    """The failures of each rule, by DuckDB and what it leaves, and by pandera alone; `repeating` text is asked by value."""
    file = folder / "rows.parquet"
    frame.to_parquet(file, index=False)
    table = Table.of("rows", [file])
    text = [name for name, type_ in table.fields.items() if str(type_) == "string"]
    table = replace(table, repeating=frozenset(text if repeating else ()))
    reading = read_rules("rows", schema, table.fields)
    with database() as connection:
        ours = ask(connection, table, reading.rules, {"rows": table}, key=(), unshown=(), watermark=None)
    ours += [*reading.settled.values(), *ask_in_pandas("contract", table, reading, ())]
    peer = ask_in_pandas("contract", table, Reading(left=schema), ())
    return _failures(ours), _failures(peer)


def _failures(results: list[RuleResult]) -> dict[tuple[str | None, str], list[int]]:
    failures: dict[tuple[str | None, str], list[int]] = {}
    for result in results:
        failures.setdefault((result.column, result.rule), []).append(result.failures)
    return {key: sorted(counts) for key, counts in failures.items()}


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_duckdb_and_pandas_agree(data: st.DataObject) -> None:
    """Over numbers with NaN, text beyond ASCII with line breaks, and times: the same rules, the same counts."""
    size = data.draw(st.integers(1, 8))

    def column(values: st.SearchStrategy) -> list:
        return data.draw(st.lists(values, min_size=size, max_size=size))

    frame = pd.DataFrame(
        {
            "whole": pd.Series(column(st.integers(-10, 10)), dtype="int64"),
            "number": pd.Series(column(numbers), dtype="float64"),
            "text": pd.Series(column(texts | st.none()), dtype="object"),
            "time": pd.Series(column(times), dtype="datetime64[us]"),
        }
    )
    bound = pa.Check.ge(pd.Timestamp("2020-01-02"))
    schema = pa.DataFrameSchema(
        {
            "whole": pa.Column("int64", data.draw(st.lists(number_checks(), max_size=2)), unique=data.draw(st.booleans())),
            "number": pa.Column(float, data.draw(st.lists(number_checks(), max_size=2)), nullable=data.draw(st.booleans())),
            "text": pa.Column(str, data.draw(st.lists(text_checks(), max_size=2)), nullable=data.draw(st.booleans())),
            "time": pa.Column(pa.DateTime, bound),
        },
        unique=data.draw(st.sampled_from([None, ["whole", "time"], ["number"], ["text", "number"]])),
        checks=data.draw(st.sampled_from([None, pa.Check(lambda rows: rows["whole"] > rows["number"], name="more")])),
    )
    if not any(isinstance(text, str) for text in frame["text"]):
        frame["text"] = frame["text"].fillna("a")  # a column of nothing has no type; told apart elsewhere
    with TemporaryDirectory() as folder:
        ours, peer = both(schema, frame, Path(folder), repeating=data.draw(st.booleans()))
    assert ours == peer


@pytest.mark.parametrize(
    ("check", "values"),
    [
        (pa.Check(lambda values: values > 2, name="greater_than"), [1, 2, 3]),
        (pa.Check.gt(2, ignore_na=False), [1.0, None, 3.0]),
        (pa.Check(lambda value: value > 2, element_wise=True), [1, 2, 3]),
        (pa.Check.unique_values_eq([1, 2]), [1, 2, 3]),
        (pa.Check.gt("2"), [1, 2, 3]),
        (pa.Check.str_matches("1"), [1, 2, 3]),
        (pa.Check.ge(pd.Timestamp("2020-01-01", tz="UTC")), list(pd.date_range("2019-12-31", periods=3))),
    ],
)
def test_what_has_no_exact_translation_is_left_to_pandas(check: pa.Check, values: list, tmp_path: Path) -> None:
    """A callable with a borrowed name, a bound of another kind, a check over the whole column: pandera alone decides."""
    frame = pd.DataFrame({"a": values})
    table = Table.of("rows", [_stored(frame, tmp_path)])
    assert translated(check, '"a"', table.fields["a"]) is None
    ours, peer = both(pa.DataFrameSchema({"a": pa.Column(None, check, nullable=True)}), frame, tmp_path)
    assert ours == peer
    assert any(counts != [0] for counts in ours.values())


@pytest.mark.parametrize("name", ["online_retail", "credit_scoring"])
def test_declared_rules_are_asked_in_duckdb(name: str) -> None:
    """Of the example workloads only callables are left to pandas, so that the benchmark measures what people run."""
    workload = load_workload(DEFS / name / "defs.yaml", load_topology(Settings().topology_file), exported=False)
    for source in workload.sources:
        schema = load_schemas(workload.contract)[source.name]
        reading = read_rules(source.name, schema, Table.of(source.name, [source.path]).fields)
        left = [key for checks in reading.left_checks.values() for key, _ in checks]
        callables = [check for column in schema.columns.values() for check in column.checks if not check.statistics]
        assert len(left) == len(callables) + len(schema.checks or ())


@settings(max_examples=80, deadline=None)
@given(st.lists(texts, min_size=1, max_size=6), st.sampled_from(PATTERNS))
def test_a_pattern_means_what_python_means(values: list[str], pattern: str) -> None:
    """RE2 is asked only where it means the same: digits of other scripts and a line break before the end included."""
    schema = pa.DataFrameSchema({"a": pa.Column(str, pa.Check.str_matches(pattern))})
    with TemporaryDirectory() as folder:
        ours, _ = both(schema, pd.DataFrame({"a": values}), Path(folder), repeating=len(values) % 2 == 0)
    broken = sum(re.match(pattern, value) is None for value in values)
    assert ours["a", f"str_matches('{pattern}')"] == [broken]


def _stored(frame: pd.DataFrame, folder: Path) -> Path:
    file = folder / "stored.parquet"
    frame.to_parquet(file, index=False)
    return file


def test_text_of_few_values_is_recognised_by_its_size(tmp_path: Path) -> None:
    """Forty names in many rows are asked by value, keys that never repeat row by row, and both are counted alike."""
    rows = 20_000
    frame = pd.DataFrame({"kind": [f"kind {row % 40}" for row in range(rows)], "key": [f"{row:06}" for row in range(rows)]})
    frame.loc[:4, "kind"] = None
    table = Table.of("rows", [_stored(frame, tmp_path)])
    assert table.repeating == {"kind"}
    check = pa.Check.isin([f"kind {number}" for number in range(39)], error="known")
    schema = pa.DataFrameSchema({"kind": pa.Column(str, check), "key": pa.Column(str, pa.Check.str_length(6, 6), unique=True)})
    reading = read_rules("rows", schema, table.fields)
    with database() as connection:
        results = ask(connection, table, reading.rules, {"rows": table}, key=(), unshown=(), watermark=None)
    told = {(rule.column, rule.rule): (rule.failures, rule.keys[:1]) for rule in results if rule.failures}
    assert told == {
        ("kind", "not null"): (5, ("stored.parquet row 0",)),
        ("kind", "known"): (rows // 40, ("stored.parquet row 39",)),
    }


@pytest.mark.parametrize(
    ("parts", "failures"),
    [
        (([1, 2], [3, None]), 0),  # nothing twice
        (([1, 2], [3, 2]), 2),  # the same number in two files
        (([1, None], [None, 2]), 2),  # as in pandas, a missing value equals another one
        (([], []), 0),
    ],
)
def test_whole_numbers_that_must_differ_are_compared_across_files(
    parts: tuple[list[int | None], ...], failures: int, tmp_path: Path
) -> None:
    """A key may come twice in one file, in two, or be missing twice: each row of it is counted."""
    files = [tmp_path / f"part-{number}.parquet" for number, _ in enumerate(parts)]
    for file, part in zip(files, parts, strict=True):
        pd.DataFrame({"id": pd.Series(part, dtype="Int64")}).to_parquet(file, index=False)
    table = Table.of("rows", files)
    schema = pa.DataFrameSchema({"id": pa.Column("Int64", unique=True, nullable=True)})
    with database() as connection:
        asked = ask(
            connection,
            table,
            read_rules("rows", schema, table.fields).rules,
            {"rows": table},
            key=(),
            unshown=(),
            watermark=None,
        )
    assert {result.rule: result.failures for result in asked} == {"unique": failures}
