"""What `contract` promises in each location: it judges what is stored there, shows no value, and reads nothing twice."""

import shutil
from collections.abc import Callable
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
from pyarrow import parquet

from mcml_assets_tests.assets.conftest import Bench, failure_of

ACTING, WARM = "aws/eu-west-2", "gcp/europe-west2"


def contract_of(result: dg.ExecuteInProcessResult, noun: str) -> dg.AssetCheckEvaluation:
    (found,) = [
        evaluation
        for evaluation in result.get_asset_check_evaluations()
        if evaluation.check_name == "contract" and evaluation.asset_key.path[-1] == noun
    ]
    return found


def told(evaluation: dg.AssetCheckEvaluation, name: str) -> Any:
    return evaluation.metadata[name].value


@pytest.fixture
def retail(bench: Callable[[str], Bench]) -> Bench:
    retail = bench("online_retail")
    assert retail.run("UK", "landing").success
    return retail


def test_raw_data_and_features_are_judged_in_every_location(retail: Bench) -> None:
    """Each location reads what it stores and tells every rule, under the version that the manifest carries."""
    for location in (ACTING, WARM):
        result = retail.run(location, "raw_data", "feature_snapshot")
        assert result.success, failure_of(result)
        for noun in ("raw_data", "feature_snapshot"):
            verdict = contract_of(result, noun)
            assert verdict.passed
            assert told(verdict, "read") is True
            assert told(verdict, "rules") > 10
            manifest = retail.stores.snapshots(retail.workload, location, noun).current()
            assert manifest is not None
            assert told(verdict, "contract_version") == manifest.annotations["contract"] == "1.0"


def test_a_verdict_is_reused_only_by_its_own_location_for_the_same_question(retail: Bench) -> None:
    """A second run reads nothing; another location, another contract, or a former failure, and it is read again."""
    assert told(contract_of(retail.run(ACTING, "raw_data"), "raw_data"), "read") is True
    again = contract_of(retail.run(ACTING, "raw_data"), "raw_data")
    assert again.passed
    assert told(again, "read") is False
    assert told(again, "rules") > 10
    assert told(contract_of(retail.run(WARM, "raw_data"), "raw_data"), "read") is True
    contract = retail.workload.contract.file
    contract.write_text(contract.read_text().replace("pa.Check.ne(0)", "pa.Check.gt(0)"))
    broken = contract_of(retail.run(ACTING, "raw_data"), "raw_data")
    assert not broken.passed
    assert "greater_than(0)" in told(broken, "report")
    assert not contract_of(retail.run(ACTING, "raw_data"), "raw_data").passed


def test_a_broken_rule_shows_rows_but_no_customer(retail: Bench) -> None:
    """The report names three rows by file and place, and examples of values, but never a personal one."""
    table = parquet.read_table(retail.workload.sources[0].path)
    column = table["CustomerID"].to_pylist()
    spoilt = [7 if value is not None else None for value in column]
    position = table.schema.get_field_index("CustomerID")
    parquet.write_table(table.set_column(position, "CustomerID", pa.array(spoilt, pa.int64())), retail.workload.sources[0].path)
    verdict = contract_of(retail.run("UK", "landing"), "landing")
    assert not verdict.passed
    (line,) = [line for line in told(verdict, "report").splitlines() if "in_range(10000, 99999)" in line]
    cells = [cell.strip() for cell in line.split("|")]
    assert cells[6] == ""  # no example
    assert cells[7].count(".parquet row ") == 3


def test_features_that_break_a_rule_of_the_user_are_held_back(bench: Callable[[str], Bench]) -> None:
    """A feature contract beside `defs.yaml` adds to what follows from the views; what breaks it blocks, and is told."""
    retail = bench("online_retail")
    declaration = retail.workload.directory / "defs.yaml"
    declaration.write_text(
        declaration.read_text().replace(
            "    function: features.py:features\n",
            "    function: features.py:features\n    contract: contract.py:feature_contract\n",
        )
    )
    contract = retail.workload.contract.file
    shutil.rmtree(contract.with_name("contracts"))  # the rules over raw data are not the subject
    contract.write_text(
        contract.read_text() + "\n\ndef feature_contract():\n"
        "    return {'customer': pa.DataFrameSchema({'frequency': pa.Column('int64', pa.Check.gt(1))})}\n"
    )
    retail = Bench(declaration, retail.settings)
    retail.run("EU", "landing")
    verdict = contract_of(retail.run("azure/westeurope", "raw_data", "feature_snapshot"), "feature_snapshot")
    assert not verdict.passed
    assert told(verdict, "broken_rules") == 1
    assert "| customer | frequency | greater_than(1) |" in told(verdict, "report")
