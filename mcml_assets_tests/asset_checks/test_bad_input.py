"""Features that nobody wishes for, through the checks as Dagster runs them: each says what is wrong, and none breaks."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime

import dagster as dg
import numpy as np
import pyarrow as pa
import pytest

from mcml_assets.features.repositories import current_repository, repositories_folder, switch
from mcml_assets_tests.asset_checks.conftest import Served
from mcml_assets_tests.asset_checks.defects import OF_THE_WORKLOAD
from mcml_assets_tests.asset_checks.planting import SPOILT, changed, current, recommit
from mcml_assets_tests.assets.conftest import failure_of

CHECKS = {
    "feature_snapshot": (
        "contract", "integrity", "parity", "online_parity", "drift", "replication_lag", OF_THE_WORKLOAD,
    ),
    "endpoint": ("parity", "drift"),
}  # fmt: skip
EVIDENCE = {"endpoint": ("evidence",)}
"""Asked last, for it asks what the others found."""


def with_values(column: str, values: Callable[[int], object]) -> Callable[[pa.Table], pa.Table]:
    return lambda table: changed(table, column, lambda _: values(len(table)))


def replaced(column: str, values: Callable[[int], pa.Array]) -> Callable[[pa.Table], pa.Table]:
    """The column with another type."""
    return lambda table: table.set_column(table.column_names.index(column), column, values(len(table)))


INPUTS: dict[str, Callable[[pa.Table], pa.Table]] = {
    "no row": lambda table: table.slice(0, 0),
    "a single row": lambda table: table.slice(0, 1),
    "nothing but nulls": replaced("spend_30d", lambda rows: pa.nulls(rows, pa.float64())),
    "a constant column": with_values("spend_30d", lambda rows: np.full(rows, 3.0)),
    "infinite values": with_values("spend_30d", lambda rows: np.full(rows, np.inf)),
    "a new column": lambda table: table.append_column("new", pa.array(range(len(table)))),
    "a column of ten thousand categories": lambda table: table.append_column(
        "new", pa.array([f"category {number % 10_000}" for number in range(len(table))])
    ),
    "a missing column": lambda table: table.drop_columns(["spend_30d"]),
    "mixed types": replaced("spend_30d", lambda rows: pa.array(["1.5", "two"] * rows)[:rows]),
    "a time without a zone": replaced(
        "event_timestamp", lambda rows: pa.array([datetime(2011, 5, 30)] * rows, pa.timestamp("us"))
    ),
    "nested values": replaced("spend_30d", lambda rows: pa.array([{"pounds": 1.0}] * rows)),
}


@pytest.fixture
def spoilt(served: Served, request: pytest.FixtureRequest) -> Iterator[Served]:
    """A location whose features are the input; its online store is still that of the sound ones."""
    served.answer_as_held()
    pointer = served.stores.snapshots(served.workload, SPOILT, "feature_snapshot").pointer
    folder = repositories_folder(served.settings, SPOILT, served.workload.name)
    before, repository = pointer.read(), current_repository(folder)
    assert before is not None
    try:
        recommit(served, "feature_snapshot", INPUTS[request.param], admits=False)
        yield served
    finally:
        switch(folder, repository)
        pointer.move(before.pointer.snapshot_id, before.pointer.epoch, pointer.read())


@pytest.mark.parametrize("spoilt", INPUTS, indirect=True)
def test_each_check_says_what_is_wrong_and_none_breaks(spoilt: Served) -> None:
    """Every check of features and endpoint has a result with words; parity names this location, nothing is a stack trace."""
    folder = repositories_folder(spoilt.settings, SPOILT, spoilt.workload.name)
    # As if it had been built from them: else `online_parity` would look no further.
    switch(folder, replace(current_repository(folder), snapshot_id=current(spoilt, "feature_snapshot").snapshot_id))
    found: dict[tuple[str, str], dg.AssetCheckEvaluation] = {}
    for checks in (CHECKS, EVIDENCE):
        result = spoilt.run_checks(SPOILT, checks)
        assert broken(result) <= {"DagsterAssetCheckFailedError"}, failure_of(result)  # a blocking check failed, as it should
        found |= {
            (one.asset_key.path[-1], one.check_name): one
            for one in result.get_asset_check_evaluations()
            if one.partition == SPOILT
        }
    assert found.keys() == {(noun, name) for checks in (CHECKS, EVIDENCE) for noun, names in checks.items() for name in names}
    assert not found["feature_snapshot", "parity"].passed
    assert not found["endpoint", "evidence"].passed
    assert found["feature_snapshot", "integrity"].passed
    assert found["feature_snapshot", "replication_lag"].passed
    assert found["endpoint", "parity"].passed  # the model is not what is wrong
    for check, one in found.items():
        assert_in_words(one, " ".join(check))


@pytest.mark.parametrize("spoilt", INPUTS, indirect=True)
def test_quality_says_why_nothing_can_be_learnt(spoilt: Served) -> None:
    """A training on such features has a `quality` in words, whether it came to a candidate or not."""
    result = spoilt.run(SPOILT, "canary_training")
    assert broken(result) <= {"DagsterAssetCheckFailedError", "Failure"}, failure_of(result)
    (found,) = [one for one in result.get_asset_check_evaluations() if one.check_name == "quality"]
    assert_in_words(found, "quality")


def broken(result: dg.ExecuteInProcessResult) -> set[str]:
    """The kinds of errors that steps ended with."""
    errors = (event.step_failure_data.error for event in result.get_step_failure_events())
    return {str(error.cls_name) for error in errors if error is not None}


def assert_in_words(one: dg.AssetCheckEvaluation, check: str) -> None:
    said = f"{one.description} {[value.value for value in one.metadata.values()]}"
    assert len(said) > 20, check
    assert "Traceback" not in said, check
    assert 'File "' not in said, check
