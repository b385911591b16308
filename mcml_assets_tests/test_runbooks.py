"""What a runbook promises: each of its commands exists and does what the page says, on a platform where it has happened."""

import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mcml_assets.cli import app
from mcml_assets.clouds.fault_plan import set_fault
from mcml_assets.commands.terminal import Exit
from mcml_assets.configuration.scenario_files import load_scenario, scenario_files
from mcml_assets.domain.faults import Fault, FaultKind
from mcml_assets.domain.scenario import resolved
from mcml_assets_tests.failover.stage import Stage, example_workloads
from mcml_assets_tests.runbook_pages import EXAMPLE, FOLDER, JURISDICTION, runbooks

RUNBOOKS = runbooks()


def test_the_pages_are_the_runbooks() -> None:
    """deploy/runbooks has one page for every scenario; `python -m mcml_assets_tests.runbook_pages` renews them."""
    assert {page.stem: page.read_text(encoding="utf-8") for page in FOLDER.glob("*.md")} == {
        name: made.markdown() for name, made in RUNBOOKS.items()
    }


@pytest.mark.parametrize("name", sorted(RUNBOOKS))
def test_every_command_of_a_runbook_works_while_it_happens(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the scenario's faults set, each command runs in the page's order; none is unknown, misspelt or out of place."""
    stage = Stage(tmp_path, example_workloads([EXAMPLE]))
    stage.fill()
    monkeypatch.setenv("MCML_HOME", str(tmp_path))
    workload = stage.workloads[EXAMPLE]
    placement, now = workload.placement(JURISDICTION), datetime.now(UTC)
    scenario = load_scenario(scenario_files()[name])
    for one in scenario.injections:
        if isinstance(one.kind, FaultKind):
            one, target = resolved(one, placement.primary.key, placement, stage.stores.topology)
            fault = Fault(target, FaultKind(one.kind), now, now + timedelta(minutes=5), one.parameters, one.probability)
            set_fault(fault, stage.stores.topology, stage.settings)
    mended = False
    try:
        for command in RUNBOOKS[name].commands:
            program, *arguments = shlex.split(command)
            assert program == "mcml"
            if arguments == ["start"]:
                continue  # starts real servers, of which this platform has none; the live tests run it
            if arguments[0] == "failback" and not mended:
                stage.mend()
                mended = True
            stage.beat()
            result = CliRunner().invoke(app, arguments)
            # A clock that is wrong is wrong configuration to the doctor; a command misspelt would be the same number.
            found = (Exit.WRONG_INPUT,) if arguments[0] == "doctor" and "RequestTimeTooSkewed" in result.output else ()
            assert result.exit_code in (Exit.OK, Exit.UNHEALTHY, Exit.UNAVAILABLE, *found), f"{command}: {result.output}"
    finally:
        stage.mend()


@pytest.mark.parametrize("name", sorted(RUNBOOKS))
def test_commands_within_sentences_exist(name: str) -> None:
    """What a page names in passing, with a value that only the reader knows, is a command of ours too."""
    named = re.findall(r"`mcml ([^`]+)`", RUNBOOKS[name].markdown())
    assert named
    for words in map(str.split, named):
        command = words[:2] if words[0] in ("drill", "register", "fault") else words[:1]
        shown = CliRunner().invoke(app, [*command, "--help"])
        assert shown.exit_code == Exit.OK, f"{command}: {shown.output}"


@pytest.mark.parametrize("name", sorted(RUNBOOKS))
def test_a_runbook_answers_all_questions(name: str) -> None:
    """Signs, decision, commands, how to check, how to go back, and who is told: no page lacks one of them."""
    sections = dict(RUNBOOKS[name].sections)
    assert list(sections) == ["Signs", "Decision", "What to do", "How to check", "How to go back", "Who is told"]
    assert all(sections.values())
    moves = load_scenario(scenario_files()[name]).objectives.moves
    assert any(command.startswith("mcml failover") for command in RUNBOOKS[name].commands) is moves


def test_where_no_majority_is_left_the_page_says_so() -> None:
    """With two clouds gone nobody may move anything: the page says why, who still answers, and what brings it back."""
    decision = " ".join(step.text for step in dict(RUNBOOKS["two_clouds_lost"].sections)["Decision"])
    assert "Nothing can move" in decision
    assert "the register has lost its majority" in decision
    assert "another cloud would not mend this" not in decision
    others = [name for name, made in RUNBOOKS.items() if "lost its majority" in made.markdown()]
    assert others == ["two_clouds_lost"]


def test_the_command_shows_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`mcml runbook` works without a running platform, which is when it is wanted, and names a misspelt scenario's nearest."""
    monkeypatch.setenv("MCML_HOME", str(tmp_path))
    shown = CliRunner().invoke(app, ["runbook", "region_outage", "--workload", EXAMPLE, "--jurisdiction", "UK", "--plain"])
    assert shown.exit_code == Exit.OK, shown.output
    assert shown.stdout == RUNBOOKS["region_outage"].markdown()
    misspelt = CliRunner().invoke(app, ["runbook", "region_outrage"])
    assert misspelt.exit_code == Exit.WRONG_INPUT
    assert "region_outage" in misspelt.stderr
