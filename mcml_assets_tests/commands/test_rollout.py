"""`mcml rollout` as a person meets it: what is under way in order, orders that are on record, and plain words for a mistake."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mcml_assets import cli
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.rollout import Phase, Rollout, RolloutPlan, begin
from mcml_assets.domain.workload import RolloutSteps
from mcml_assets.serving.folder import DataPlaneFolder
from mcml_assets.serving.rollout.record import Order, read_record, take_order, write_record

CANARY, PRIMARY = "gcp/europe-west2", "aws/eu-west-2"
ORDER = (CANARY, PRIMARY)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataPlaneFolder:
    """Two locations of a workload, of which the canary shifts and the primary waits."""
    monkeypatch.setenv("MCML_HOME", str(tmp_path))
    folder = DataPlaneFolder.of(Settings())
    write_record(folder, replace(rollout(CANARY), phase=Phase.SHIFTING, step=1))
    write_record(folder, replace(rollout(PRIMARY), waits_for=f"{CANARY} comes first"))
    return folder


def rollout(location: str) -> Rollout:
    plan = RolloutPlan(RolloutSteps((5, 25, 100), dwell_seconds=8, shadow_seconds=8), ORDER)
    return begin("online_retail", location, 1, 2, "d" * 64, plan, 1000.0)


def mcml(code: int, *arguments: str) -> str:
    result = CliRunner().invoke(cli.app, ["rollout", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_a_half_done_rollout_is_seen_in_its_order(folder: DataPlaneFolder) -> None:
    """Each location has its phase, its share and what it waits for, the canary first."""
    rows = json.loads(mcml(0, "status", "--json"))
    assert [(row["location"], row["phase"], row["share"], row["waits_for"]) for row in rows] == [
        (CANARY, "shifting", 25, None),
        (PRIMARY, "waiting", 0, f"{CANARY} comes first"),
    ]
    assert "25 %" in mcml(0, "status", "--events")


def test_a_rollout_that_went_back_is_an_exit_code(folder: DataPlaneFolder) -> None:
    """A script sees without reading that something was rolled back, and why is in the table."""
    write_record(folder, replace(rollout(CANARY), phase=Phase.ROLLED_BACK, reason="availability: 3 of 4 failed"))
    assert "availability: 3 of 4 failed" in mcml(1, "status")


def test_an_order_reaches_whoever_drives_the_rollout(folder: DataPlaneFolder) -> None:
    """An abort is left for each location under way, with who and why, and taken once."""
    mcml(0, "abort", "online_retail", "--reason", "case 17", "--who", "ada")
    for location in ORDER:
        assert take_order(folder, f"online_retail@{location}") == Order("abort", "ada", "case 17")
        assert take_order(folder, f"online_retail@{location}") is None


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("start", "online_retail", "--reason", "x"), "no rollout of online_retail is rolled back or aborted"),
        (("abort", "online_retail", "-l", "azure/uksouth", "--reason", "x"), "is under way in azure/uksouth"),
        (("abort", "online_retale", "--reason", "x"), "did you mean 'online_retail'?"),
        (("abort", "online_retail", "-l", "aws/eu-west-3", "--reason", "x"), "is not placed in 'aws/eu-west-3'"),
    ],
)
def test_an_order_about_nothing_is_refused(folder: DataPlaneFolder, arguments: tuple[str, ...], told: str) -> None:
    """What cannot be obeyed is said, and nothing is left for anybody."""
    assert told in mcml(2, *arguments)
    assert not list((folder.path / "order").rglob("*.json"))


def test_a_record_is_read_as_it_was_written(folder: DataPlaneFolder) -> None:
    """Whoever drives a rollout next finds all of it."""
    written = replace(rollout(PRIMARY), phase=Phase.SHIFTING, step=2, since=1234.5)
    write_record(folder, written)
    assert read_record(folder, f"online_retail@{PRIMARY}") == written
