"""`mcml fault` from a terminal: what is set is seen, wrong words are answered with right ones, and everything ends."""

import json
import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mcml_assets.cli import app
from mcml_assets.commands.terminal import Exit


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MCML_HOME", str(tmp_path))
    return tmp_path


def mcml(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_a_fault_is_set_listed_and_cleared(home: Path):
    """What `set` says it has set is what `list` shows, as JSON and as a table, until `clear`."""
    wanted = ("aws/eu-west-2", "--kind", "latency", "--param", "ms=30", "--for", "1h", "--why", "drill [1]", "--seed", "7")
    fault = json.loads(mcml("fault", "set", *wanted, "--json").stdout)
    assert (fault["target"], fault["kind"], fault["parameters"], fault["seed"]) == ("aws/eu-west-2", "latency", {"ms": 30}, 7)
    assert json.loads(mcml("fault", "list", "--json").stdout) == [fault]
    table = mcml("fault", "list").stdout
    assert all(word in table for word in (fault["id"], "aws/eu-west-2", "latency", "ms=30", "drill [1]"))
    assert json.loads(mcml("fault", "clear", fault["id"], "--json").stdout) == {"cleared": 1}
    assert "No fault is set" in mcml("fault", "list").stdout


def test_a_fault_lasts_ten_minutes_unless_it_is_said(home: Path):
    """Nobody has to remember to end a fault."""
    fault = json.loads(mcml("fault", "set", "aws", "--kind", "outage", "--json").stdout)
    assert datetime.fromisoformat(fault["expires"]) - datetime.fromisoformat(fault["begins"]) == timedelta(minutes=10)
    assert "1 fault is cleared" in mcml("fault", "clear", "--all").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["set", "asw", "--kind", "outage"], "did you mean 'aws'"),
        (["set", "aws/eu-west2", "--kind", "outage"], "did you mean 'aws/eu-west-2'"),
        (["set", "aws", "--kind", "outge"], "did you mean 'outage'"),
        (["set", "aws", "--kind", "latency", "--param", "msec=1"], "did you mean 'ms'"),
        (["set", "aws", "--kind", "latency", "--param", "ms"], "NAME=VALUE"),
        (["set", "aws", "--kind", "outage", "--for", "2d"], "at most 24 h"),
        (["set", "aws", "--kind", "outage", "--for", "soon"], "write 90s"),
        (["set", "aws", "--kind", "outage", "--probability", "2"], "at most 1"),
        (["clear", "abc"], "no fault has the id 'abc'"),
        (["clear"], "by its id, or --all"),
        (["clear", "abc", "--all"], "by its id, or --all"),
    ],
)
def test_wrong_words_are_answered_with_right_ones(home: Path, arguments: list[str], message: str):
    """A mistake ends with exit code 2, one sentence that helps, and no fault."""
    result = mcml("fault", *arguments)
    assert (result.exit_code, message in " ".join(result.stderr.split())) == (Exit.WRONG_INPUT, True), result.output
    assert not (home / "faults.json").exists() or json.loads((home / "faults.json").read_text())["faults"] == []


def test_status_warns_of_faults(home: Path):
    """`mcml status` has a line for each fault, and its JSON names them at the locations that they concern."""
    mcml("fault", "set", "gcp", "--kind", "outage", "--why", "drill")
    assert re.search(r"faults: outage of gcp until \d\d:\d\d:\d\d UTC \(drill\)", " ".join(mcml("status").stdout.split()))
    rows = json.loads(mcml("status", "--json").stdout)
    assert {row["location"].partition("/")[0] for row in rows if row["faults"]} == {"gcp"}


def test_a_damaged_plan_can_be_mended(home: Path):
    """Every command says that the plan is damaged and what mends it, status included; and that does."""
    (home / "faults.json").write_text("{")
    for command in (["fault", "list"], ["fault", "set", "aws", "--kind", "outage"]):
        result = mcml(*command)
        assert (result.exit_code, "mcml fault clear --all" in " ".join(result.stderr.split())) == (Exit.WRONG_INPUT, True)
    assert "no readable fault plan" in " ".join(mcml("status").stdout.split())
    assert mcml("fault", "clear", "--all").exit_code == Exit.OK
    assert "No fault is set" in mcml("fault", "list").stdout
