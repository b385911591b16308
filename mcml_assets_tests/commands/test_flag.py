"""`mcml flag` as a person meets it: who and why stay on record, a new route keeps what was decided, mistakes are told."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mcml_assets import cli
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.route import Route, RouteLocation
from mcml_assets.serving.routes import publish_route

PLACE = "aws/eu-west-2"
ROUTE = Route("online_retail", "UK", 3, 1, (RouteLocation(PLACE, 100, 0),), "2024-07-01T00:00:00+00:00")
WHY = ("--reason", "case 17", "--who", "ada")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of its own, on which a route is published."""
    monkeypatch.setenv("MCML_HOME", str(tmp_path))
    publish_route(ROUTE, Settings())


def mcml(code: int, *arguments: str) -> str:
    result = CliRunner().invoke(cli.app, ["flag", *arguments])
    assert result.exit_code == code, result.output
    return result.stdout if code == 0 else result.output


def test_who_decided_what_and_why_outlives_the_route_and_the_flag() -> None:
    """A flag stays when the route is published anew, and its record when it is cleared."""
    mcml(0, "set", "online_retail", "read_only", PLACE, "1", *WHY)
    publish_route(ROUTE, Settings())
    ((flag),) = json.loads(mcml(0, "list", "--json"))
    assert (flag["name"], flag["location"], flag["value"], flag["who"], flag["reason"]) == (
        "read_only", PLACE, 1, "ada", "case 17",
    )  # fmt: skip
    mcml(0, "clear", "online_retail", "read_only", PLACE, "--reason", "closed", "--who", "bob")
    assert json.loads(mcml(0, "list", "--json")) == []
    record = json.loads(mcml(0, "list", "--history", "--json"))
    assert [(entry["value"], entry["who"], entry["reason"]) for entry in record] == [
        (1, "ada", "case 17"),
        (None, "bob", "closed"),
    ]
    assert "cleared" in mcml(0, "list", "--history")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("set", "online_retail", "shadou", PLACE, "1"), "did you mean 'shadow'?"),
        (("set", "online_retail", "shadow", "aws/eu-west-3", "1"), "is not placed in 'aws/eu-west-3'"),
        (("set", "online_retail", "model_version", PLACE, "7"), "no server of version 7 is ready"),
        (("set", "online_retail", "shadow", "azure/westeurope", "5"), "has no route in EU yet"),
        (("clear", "online_retail", "shadow", PLACE), "flag shadow is not set"),
    ],
)
def test_a_mistake_is_told_and_changes_nothing(arguments: tuple[str, ...], told: str) -> None:
    """A flag that cannot be obeyed is not set: a version that nobody serves would leave callers without an answer."""
    assert told in " ".join(mcml(2, *arguments, *WHY).split())
    assert json.loads(mcml(0, "list", "--history", "--json")) == []
