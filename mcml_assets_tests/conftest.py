"""What every test may rely on: a clean environment, and no test skipped in silence where none may be."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mcml_assets_tests.failover.stage import Stage

SKIPS_ALLOWED = os.environ.get("MCML_TESTS_ALLOW_SKIPS", "1") != "0"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own platform and Dagster instance are out of reach of the tests."""
    for name in list(os.environ):
        if name.startswith("MCML_") or name == "DAGSTER_HOME":
            monkeypatch.delenv(name)


@pytest.fixture
def stage_in_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Stage":
    """Both example workloads when all is well, and a shell in which `mcml` finds them."""
    from mcml_assets_tests.failover.stage import Stage, example_workloads

    stage = Stage(tmp_path, example_workloads())
    stage.fill()
    monkeypatch.setenv("MCML_HOME", str(tmp_path))
    return stage


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """CI installs everything the tests can use, so there a skip is a failure that names what is missing."""
    report = yield
    if report.skipped and not SKIPS_ALLOWED and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and no test may be: {report.longrepr}"
    return report
