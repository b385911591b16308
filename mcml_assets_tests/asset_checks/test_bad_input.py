"""Features that nobody wishes for, through the checks as Dagster runs them: each says what is wrong, and none breaks."""

from collections.abc import Callable
from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest

from mcml_assets_tests.asset_checks.conftest import Served
from mcml_assets_tests.asset_checks.defects import SPOILT, changed, recommit
from mcml_assets_tests.assets.conftest import failure_of

CHECKS = ("contract", "integrity", "parity", "online_parity", "drift")


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


@pytest.mark.parametrize("what", INPUTS)
def test_each_check_says_what_is_wrong_and_none_breaks(served: Served, what: str) -> None:
    """Every check of the features has a result with words; parity names this location, and nothing is a stack trace."""
    pointer = served.stores.snapshots(served.workload, SPOILT, "feature_snapshot").pointer
    before = pointer.read()
    assert before is not None
    try:
        recommit(served, "feature_snapshot", INPUTS[what], admits=False)
        result = served.run_checks(SPOILT, {"feature_snapshot": CHECKS})
        broken = {
            event.step_failure_data.error.cls_name
            for event in result.get_step_failure_events()
            if event.step_failure_data.error
        }
        assert broken <= {"DagsterAssetCheckFailedError"}, failure_of(result)  # a blocking check that failed, as it should
        found = {one.check_name: one for one in result.get_asset_check_evaluations() if one.partition == SPOILT}
    finally:
        pointer.move(before.pointer.snapshot_id, before.pointer.epoch, pointer.read())
    assert found.keys() == set(CHECKS)
    assert not found["parity"].passed
    assert found["integrity"].passed
    for name, one in found.items():
        said = f"{one.description} {[value.value for value in one.metadata.values()]}"
        assert len(said) > 20, name
        assert "Traceback" not in said, name
        assert 'File "' not in said, name
