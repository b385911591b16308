"""What a game day promises: a plan before, a document afterwards that forgets no miss, and a reminder when none was held."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mcml_assets.cli import app
from mcml_assets.configuration.gameday_files import gameday_named
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.drill import Judged, Verdict
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.drills.gamedays import load, results_of, save
from mcml_assets.drills.results import keep
from mcml_assets.rehearsals.gameday_reminder import reminder
from mcml_assets_tests.drills.test_report import RESULT


def mcml(*arguments: str):
    return CliRunner().invoke(app, ["gameday", *arguments])


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("MCML_HOME", str(tmp_path))
    return Settings()


def test_a_day_is_planned_noted_and_reported_with_its_misses(settings: Settings) -> None:
    """Roles have names, results of its drills are joined, and every objective that was missed is somebody's action."""
    planned = mcml("plan", "--workload", "online_retail", "-j", "UK", "--person", "scribe=Ann")
    assert planned.exit_code == 0, planned.output
    name = planned.stdout.split()[0]
    assert "| scribe | Ann |" in mcml("report", name).stdout
    assert "No scenario was rehearsed yet." in mcml("report", name).stdout
    missed = replace(RESULT, verdict=Verdict.MISSED, judged=(Judged("at most 0 requests fail", "1 of 200", False),))
    keep(missed, settings)
    day, held = load(name, settings)
    save(day, replace(held, drills=(missed.id,)), settings)
    assert mcml("note", name, "the pager rang").exit_code == 0
    assert mcml("note", name, "raise the hedge", "--owner", "Bob", "--due", "2027-01-31").exit_code == 0
    told = mcml("report", name).stdout
    assert "| region_outage | missed | 3.5 s | 1 of 200 |" in told
    assert "Not rehearsed: server_killed, server_frozen, latency_spike, orchestrator_lost." in told
    assert "the pager rang" in told
    assert "| raise the hedge | Bob | 2027-01-31 |" in told
    assert "region_outage: at most 0 requests fail, measured 1 of 200" in told
    assert [one["id"] for one in results_of(load(name, settings)[1], settings)] == [missed.id]


def test_a_platform_that_is_not_running_refuses_the_day_and_keeps_that(settings: Settings, stage_in_shell) -> None:
    """The first scenario is refused with its reasons, the day goes no further, and the refusal is in the document."""
    name = mcml("plan", "--workload", "online_retail", "-j", "UK").stdout.split()[0]
    stage_in_shell.darken("aws")
    (settings.dagster_home).mkdir(parents=True, exist_ok=True)
    (settings.dagster_home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    ran = mcml("run", name, "--yes")
    assert ran.exit_code == 2, ran.output
    assert "region_outage: refused" in ran.stdout
    assert " region_outage was refused: " in mcml("report", name).stdout


def test_mistakes_are_told_with_what_would_be_right(settings: Settings, tmp_path: Path) -> None:
    """An unknown role, day or scenario names the nearest, the latter with its line."""
    assert "did you mean 'scribe'" in mcml("plan", "--person", "scribee=Ann").output
    assert "names nobody" in mcml("plan", "--person", "scribe").output
    assert "begins one" in " ".join(mcml("report", "20260101-none").output.split())
    own = tmp_path / "shop" / "gamedays"
    own.mkdir(parents=True)
    day = {"title": "t", "purpose": "p", "roles": {"r": "d"}, "agenda": [{"minutes": 1, "what": "w"}], "questions": ["q"]}
    (own / "mine.yaml").write_text(json.dumps(day | {"scenarios": ["region_outrage"]}))
    with pytest.raises(ConfigurationError, match=r"mine.yaml:1: scenarios\[?.*region_outage"):
        gameday_named("mine", tmp_path)


def test_people_are_reminded_until_they_held_one(settings: Settings) -> None:
    """With none held, or none within the quarter, there is a notice; after one there is silence."""
    ended = datetime.fromtimestamp(RESULT.ended, UTC)
    never = reminder(settings, ended)
    assert never is not None
    assert "none was ever held" in never.alert.details[0]
    name = mcml("plan").stdout.split()[0]
    keep(RESULT, settings)
    day, held = load(name, settings)
    save(day, replace(held, drills=(RESULT.id,)), settings)
    assert reminder(settings, ended + timedelta(days=90)) is None
    late = reminder(settings, ended + timedelta(days=100))
    assert late is not None
    assert "100 days ago" in late.alert.details[0]
