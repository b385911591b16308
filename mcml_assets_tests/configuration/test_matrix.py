"""The inventory of placements."""

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from mcml_assets.configuration.matrix import matrix_rows, matrix_table
from mcml_assets.configuration.workload import load_workload
from mcml_assets_tests.configuration.workload_files import local_topology, write_workload


@pytest.fixture
def rows(tmp_path: Path) -> list[dict[str, object]]:
    """The rows of two workloads, one of them locked in."""
    topology = local_topology()
    locked = write_workload(
        tmp_path / "fraud",
        ("lock_in: null", "lock_in: {cloud: aws, reason: needs Inferentia}"),
        ("      - {location: gcp/europe-west2, standby: warm}\n", ""),
        ("location: azure/westeurope\n      - location: aws/eu-central-1\n        standby: cold", "location: aws/eu-central-1"),
        ("managed_services: []", "managed_services: [SageMaker]"),
    )
    return matrix_rows([load_workload(write_workload(tmp_path / "churn"), topology), load_workload(locked, topology)])


def test_the_inventory_has_one_row_per_workload_and_location(rows: list[dict[str, object]]) -> None:
    """The JSON shape is stable: exactly these keys, plain values."""
    assert json.loads(json.dumps(rows)) == rows
    assert [(row["workload"], row["location"], row["role"]) for row in rows] == [
        ("churn", "aws/eu-west-2", "primary"),
        ("churn", "gcp/europe-west2", "warm"),
        ("churn", "azure/westeurope", "primary"),
        ("churn", "aws/eu-central-1", "cold"),
        ("fraud", "aws/eu-west-2", "primary"),
        ("fraud", "aws/eu-central-1", "primary"),
    ]
    assert rows[4] == {
        "workload": "fraud",
        "location": "aws/eu-west-2",
        "jurisdiction": "UK",
        "role": "primary",
        "classification": "confidential",
        "rto_seconds": 60,
        "rpo_seconds": 3600,
        "owner": "retail@example.com",
        "regulations": ["UK GDPR"],
        "managed_services": ["SageMaker"],
        "lock_in": {"cloud": "aws", "reason": "needs Inferentia"},
    }


def test_the_table_shows_every_placement_and_what_binds_it(rows: list[dict[str, object]]) -> None:
    """Every location has a line; objectives are shown in the unit people say; the lock-in comes with its reason."""
    output = StringIO()
    Console(file=output, width=240).print(matrix_table(rows))
    text = output.getvalue()
    lines = [line for line in text.splitlines() if "/" in line]
    assert len(lines) == len(rows)
    assert "1 min" in text
    assert "1 h" in text
    assert "aws: needs Inferentia" in text


def test_nothing_placed_is_an_empty_inventory() -> None:
    """No workload is no row, and a table that can still be printed."""
    output = StringIO()
    Console(file=output, width=200).print(matrix_table(matrix_rows([])))
    assert "workload" in output.getvalue()
