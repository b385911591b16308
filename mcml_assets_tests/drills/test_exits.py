"""What a script may rely on: `mcml drill run` ends with 0, 1, 2 or 3 by its verdict, and prints what the schema says."""

import json
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import jsonschema
import pytest
from typer.testing import CliRunner

from mcml_assets.cli import app
from mcml_assets.clouds.fault_plan import list_faults
from mcml_assets.commands.terminal import Exit
from mcml_assets.configuration import scenario_files
from mcml_assets.configuration.settings import PROJECT_ROOT
from mcml_assets.drills.report import TEMPLATE
from mcml_assets_tests.failover.stage import Stage
from mcml_assets_tests.http_server import json_server

SCHEMA = json.loads(TEMPLATE.with_name("result.schema.json").read_text())
SCORECARD = json.loads((PROJECT_ROOT / "mcml_assets" / "scorecard" / "scorecard.schema.json").read_text())
# One fault that harms nobody, for a second; what is asked of the platform meanwhile makes the difference.
SCENARIO = """
title: The acting location's bucket answers a little later
hypothesis: Nobody notices.
faults: [{{kind: latency, target: acting, for: {lasts}, parameters: {{ms: 1}}}}]
load: {{requests_per_second: 5}}
abort: {{after: {after}}}
objectives: {{moves: {moves}, failed_requests: 0, returns: true}}
{window}
"""
SCENARIOS = {
    "met": {"lasts": "1s", "after": "1m", "moves": "false", "window": ""},
    "missed": {"lasts": "1s", "after": "1m", "moves": "true", "window": ""},  # nothing moves for a millisecond
    "aborted": {"lasts": "1m", "after": "1s", "moves": "false", "window": ""},
}


@pytest.fixture
def shell(stage_in_shell: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A platform whose edge answers, with an instance, a watching controller, and scenarios of its own."""
    stage = stage_in_shell
    stage.settings.dagster_home.mkdir(parents=True)
    shutil.copyfile(PROJECT_ROOT / "dagster.yaml", stage.settings.dagster_home / "dagster.yaml")
    folder = tmp_path / "scenarios"
    folder.mkdir()
    for name, said in SCENARIOS.items():
        (folder / f"{name}.yaml").write_text(SCENARIO.format(**said))
    monkeypatch.setattr(scenario_files, "SHIPPED", folder)
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(1):
            stage.beat()

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        with json_server(lambda *_: (200, {"digest": "d", "predictions": [0.5]})) as address:
            monkeypatch.setenv("MCML_EDGE_PORT", str(urlsplit(address).port))
            yield stage
    finally:
        stop.set()
        watching.join()


def run(*arguments: str) -> tuple[int, dict]:
    result = CliRunner().invoke(app, ["drill", "run", *arguments, "--workload", "online_retail", "-j", "UK", "--json"])
    assert result.stdout, result.output
    document = json.loads(result.stdout)
    jsonschema.validate(document, SCHEMA)
    return result.exit_code, document


def evidence(stage: Stage) -> list[str]:
    """What the scorecard says that drills prove of coverage."""
    result = CliRunner().invoke(app, ["scorecard", "online_retail", "--json"])
    assert result.exit_code == Exit.OK, result.output
    cards = json.loads(result.stdout)
    jsonschema.validate(cards, SCORECARD)
    parts = {part["name"]: part for part in cards[0]["components"]}
    return [f"{one['subject']}: {one['text']}" for one in parts["coverage"]["evidence"]]


def test_each_verdict_has_its_exit_code(shell: Stage) -> None:
    """0 met, 1 missed, 3 given up, each with its reasons, with its fault mended, and all of them evidence, for or against."""
    for name, code in (("met", 0), ("missed", 1), ("aborted", 3)):
        exit_code, document = run(name)
        assert (exit_code, document["verdict"]) == (code, name), document["reasons"]
        assert bool(document["reasons"]) is (name != "met")
        assert document["measured"]["requests"]["sent"] > 0
        assert list_faults(shell.settings) == ()
    assert evidence(shell) == [
        "aborted in aws/eu-west-2: aborted: objectives aborted",
        "met in aws/eu-west-2: met: objectives met",
        "missed in aws/eu-west-2: missed: objectives missed",
    ]


def test_a_refused_drill_ends_with_two(shell: Stage) -> None:
    """Outside its window, or beside a fault that is set already, it breaks nothing, says why, and is no evidence."""
    tomorrow = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[(time.gmtime().tm_wday + 2) % 7]
    closed = f'window: {{days: [{tomorrow}], opens: "09:00", closes: "16:00"}}'
    (scenario_files.SHIPPED / "met.yaml").write_text(SCENARIO.format(**SCENARIOS["met"] | {"window": closed}))
    exit_code, document = run("met")
    assert (exit_code, document["verdict"], document["measured"]) == (2, "refused", None)
    assert any("outside the scenario's window" in reason for reason in document["reasons"])
    shell.darken("gcp/europe-west2")
    exit_code, document = run("missed")
    assert (exit_code, document["verdict"]) == (2, "refused")
    assert any("a fault is set already" in reason for reason in document["reasons"])
    shell.mend()
    assert evidence(shell) == []


def test_a_misspelt_scenario_is_wrong_input(shell: Stage) -> None:
    """Nothing begins, and the nearest one is named: a drill that is not run is as good as refused."""
    result = CliRunner().invoke(app, ["drill", "run", "mett", "--workload", "online_retail"])
    assert result.exit_code == Exit.WRONG_INPUT == 2
    assert "did you mean 'met'" in result.stderr
    assert not shell.settings.drills_folder.exists()
