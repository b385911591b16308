"""An export is an Open Data Contract Standard document: the standard's own JSON schema takes it, whatever the contract says."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pandera.pandas as pa
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft201909Validator

from mcml_assets.build import DEFS
from mcml_assets.configuration.contract_files import contract_from_odcs
from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.configuration.workload import load_workload
from mcml_assets.contracts.odcs import contract_of_schemas, to_odcs, to_yaml
from mcml_assets.domain.workload import Workload

DATA = Path(__file__).parents[1] / "data"
STANDARD = Draft201909Validator(json.loads((DATA / "odcs_v3.1.0.schema.json").read_text()))


def complaints(document: Any) -> list[str]:
    return [f"{list(error.path)}: {error.message}" for error in STANDARD.iter_errors(document)]


@pytest.fixture(scope="module")
def workload() -> Workload:
    return load_workload(DEFS / "credit_scoring" / "defs.yaml", load_topology(Settings().topology_file))


@pytest.mark.parametrize("file", sorted(DEFS.glob("*/contracts/*.odcs.yaml")), ids=lambda file: f"{file.parts[-3]} {file.name}")
def test_the_examples_exports_are_documents_of_the_standard(file: Path) -> None:
    """What is committed is read by every tool that reads the standard."""
    assert complaints(yaml.safe_load(file.read_text())) == []


def test_the_standard_refuses_what_is_none_of_it() -> None:
    """A misspelt field, a limit that its type does not have and an unknown type are found, so that passing means something."""
    document = yaml.safe_load((DEFS / "online_retail" / "contracts" / "1.0.odcs.yaml").read_text())
    column = document["schema"][0]["properties"][0]
    for change in ({"requird": True}, {"logicalTypeOptions": {"minimum": "a"}}, {"logicalType": "text"}):
        document["schema"][0]["properties"][0] = {**column, **change}
        assert complaints(document)


numbers = st.integers(-10, 10) | st.floats(-10, 10) | st.just(float("inf"))
texts = st.text(st.sampled_from("ab|é\n'"), max_size=4)
times = st.datetimes().map(pd.Timestamp)
TYPES = {
    "int32": numbers,
    "uint8": numbers,
    "double": numbers,
    "float": numbers,
    "string": texts,
    "bool": st.booleans(),
    "timestamp[us]": times,
    "timestamp[us, tz=UTC]": times.map(lambda time: time.tz_localize("UTC")),
    "date32": times,
    "binary": texts,
}


def checks_of(values: st.SearchStrategy) -> st.SearchStrategy[pa.Check]:
    """Every built-in check that a column of such values may have, and a callable."""
    one = (pa.Check.gt, pa.Check.ge, pa.Check.lt, pa.Check.le, pa.Check.eq, pa.Check.ne)
    pairs = st.tuples(values, values).map(sorted).filter(lambda pair: pair[0] < pair[1])
    return st.one_of(
        *(values.map(make) for make in one),
        st.lists(values, max_size=3).map(pa.Check.isin),
        st.lists(values, max_size=3).map(pa.Check.notin),
        st.tuples(pairs, st.booleans(), st.booleans()).map(
            lambda drawn: pa.Check.in_range(*drawn[0], include_min=drawn[1], include_max=drawn[2])
        ),
        st.sampled_from(["^a", r"\d+$"]).map(pa.Check.str_matches),
        st.tuples(st.integers(0, 2), st.integers(2, 4)).map(lambda ends: pa.Check.str_length(*ends)),
        st.just(pa.Check(lambda column: column.notna(), name="known", error="is known | `so`")),
    )


@st.composite
def columns(draw: st.DrawFn) -> tuple[str, pa.Column]:
    type_ = draw(st.sampled_from(sorted(TYPES)))
    metadata = draw(st.sampled_from([None, {"references": "t.a"}, {"fresh_within_days": 1.5}, {"unit": "GBP"}]))
    checks = draw(st.lists(checks_of(TYPES[type_]), max_size=3))
    return type_, pa.Column(None, checks, nullable=draw(st.booleans()), unique=draw(st.booleans()), metadata=metadata)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from("abc"), columns(), min_size=1), st.booleans())
def test_every_contract_is_a_document_of_the_standard(
    workload: Workload, drawn: dict[str, tuple[str, pa.Column]], unique: bool
) -> None:
    """Whatever types and rules: the standard takes it, as YAML and as JSON, and it is read as what was written."""
    schema = pa.DataFrameSchema({name: column for name, (_, column) in drawn.items()}, unique=[*drawn] if unique else None)
    source = replace(workload.sources[0], name="t", columns={name: type_ for name, (type_, _) in drawn.items()})
    declared = replace(workload, sources=(source,), personal_columns=("a",))
    contract = contract_of_schemas(declared, {"t": schema})
    document = to_odcs(contract, declared)
    assert complaints(document) == []
    assert contract_from_odcs(yaml.safe_load(to_yaml(document))) == contract
    assert contract_from_odcs(json.loads(json.dumps(document, allow_nan=False))) == contract
