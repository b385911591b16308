"""`mcml top` and `mcml status` as a person meets them: what is unknown or fails is never shown as healthy."""

import json
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mcml_assets.cli import app
from mcml_assets.domain.error_budget import DEFAULT_OBJECTIVES
from mcml_assets.serving.edge.asked import Asked, read_clusters
from mcml_assets.serving.edge.traffic_counts import LocationTraffic
from mcml_assets.serving.synthetic_results import record_synthetic
from mcml_assets.top import _worst
from mcml_assets_tests.failover.stage import Stage
from mcml_assets_tests.ports import free_ports

MCML = str(Path(sys.executable).with_name("mcml"))


@pytest.fixture
def stage(stage_in_shell: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """All is well, but for an edge that does not run."""
    monkeypatch.setenv("MCML_EDGE_ADMIN_PORT", str(free_ports(1)[0]))
    return stage_in_shell


def shown(*arguments: str) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(app, ["top", "--json", "--seconds", "0.2", *arguments])
    return result.exit_code, json.loads(result.stdout)


def test_without_an_edge_nothing_is_healthy_and_the_rest_is_shown(stage: Stage) -> None:
    """Traffic is unknown, not nought; routes, register and buckets are read all the same, and the exit code is 1."""
    code, seen = shown()
    assert code == 1
    assert "the edge's counts cannot be read" in seen["edge_problem"]
    (row,) = (row for row in seen["locations"] if (row["workload"], row["location"]) == ("online_retail", "aws/eu-west-2"))
    assert (row["edge"], row["requests_per_second"], row["budget_left"]) == (None, None, None)
    assert (row["acting"], row["route_acting"], row["route_epoch"]) == ("aws/eu-west-2", "aws/eu-west-2", 1)
    assert (row["endpoint"], row["lag_seconds"], row["healthy"]) == ("ready", 0, False)
    assert row["problem"] == "the edge does not answer"


def test_once_is_a_table_that_names_what_is_wrong(stage: Stage) -> None:
    """Without a terminal one table is printed, with a line for each location; watching needs a terminal, and says so."""
    result = CliRunner().invoke(app, ["top", "--once", "--seconds", "0.2"])
    assert result.exit_code == 1
    assert "aws/eu-west-2 acting" in result.stdout
    assert "online_retail azure/uksouth: the edge does not answer" in result.stdout.replace("\n", " ")
    watching = CliRunner().invoke(app, ["top"])
    assert (watching.exit_code, "use `mcml top --once`" in watching.output) == (2, True)


def test_a_terminal_shows_a_view_until_it_is_interrupted(stage: Stage) -> None:
    """In a real terminal the view comes again and again, and Ctrl-C ends it without an error."""
    terminal, end = pty.openpty()
    termios.tcsetwinsize(end, (50, 140))
    with subprocess.Popen(
        [MCML, "top", "--seconds", "0.3"], stdin=end, stdout=end, stderr=end, env={**os.environ, "TERM": "xterm"},
        start_new_session=True,
    ) as process:  # fmt: skip
        os.close(end)
        said, deadline = "", time.monotonic() + 120
        while said.count("UTC, over") < 3:
            assert time.monotonic() < deadline, said
            if select.select([terminal], [], [], 1)[0]:
                said += os.read(terminal, 65536).decode(errors="replace")
        process.send_signal(2)
        while True:
            try:
                if not os.read(terminal, 65536):
                    break
            except OSError:  # so ends a terminal on Linux
                break
        assert process.wait(timeout=60) == 0
    os.close(terminal)
    assert "aws/eu-west-2" in said
    assert "Traceback" not in said


def test_an_endpoint_that_fails_synthetic_transactions_is_not_healthy(stage: Stage) -> None:
    """One failure may have met a new server; two in a row make the location unhealthy in `mcml status`, and passing ends it."""
    folder, endpoint = stage.platform.folder, "online_retail@aws/eu-west-2"

    def problems() -> dict[str, str]:
        rows = json.loads(CliRunner().invoke(app, ["status", "--json"]).stdout)
        return {row["location"]: row["problem"] for row in rows if row["workload"] == "online_retail" and not row["healthy"]}

    assert problems() == {}

    def seen() -> tuple[bool | None, bool | None]:
        rows = {
            row["location"]: row["synthetic_passed"] for row in shown()[1]["locations"] if row["workload"] == "online_retail"
        }
        return rows["aws/eu-west-2"], rows["gcp/europe-west2"]

    assert seen() == (None, None)
    record_synthetic(folder, endpoint, False, 1, "HTTP status 503", "UK")
    assert problems() == {}
    record_synthetic(folder, endpoint, False, 2, "HTTP status 503", "UK")
    assert problems() == {"aws/eu-west-2": "synthetic transactions fail: HTTP status 503"}
    assert seen() == (False, None)
    assert re.search(r"failed \d+ s", CliRunner().invoke(app, ["top", "--once", "--seconds", "0.2"]).stdout)
    record_synthetic(folder, endpoint, True, 1, None, "UK")
    assert problems() == {}
    assert seen() == (True, None)


@pytest.mark.parametrize(
    ("counts", "left", "said"),
    [
        ({"requests": 10_000}, 1.0, "0 of 10,000 attempts"),
        ({"requests": 10_000, "failed": 5}, 0.5, "5 of 10,000 attempts"),
        ({"requests": 10_000, "failed": 5, "given_up": 15}, -1.0, "started failed or were given up, 0.2%; 0.1% may"),
    ],
)
def test_what_is_left_of_a_budget(counts: dict[str, int], left: float, said: str) -> None:
    """Failures and answers that nobody waited for spend it, ten of 10,000 all of it; how much was is told in attempts."""
    at_most = {DEFAULT_OBJECTIVES.latency_milliseconds: counts["requests"], float("inf"): counts["requests"]}
    traffic = LocationTraffic("shop", "UK", "aws/eu-west-2", 1, at_most=at_most, **counts)
    found = _worst(traffic, DEFAULT_OBJECTIVES)
    assert found is not None
    assert found.left == pytest.approx(left)
    assert said in found.sentence()


def test_nothing_asked_spends_nothing() -> None:
    """Of a location that was never asked no budget is shown, neither whole nor spent."""
    assert _worst(LocationTraffic("shop", "UK", "aws/eu-west-2", 1), DEFAULT_OBJECTIVES) is None


def test_slow_answers_spend_the_budget_of_latency() -> None:
    """The objective that is worse off is the one that is told."""
    at_most = {DEFAULT_OBJECTIVES.latency_milliseconds: 980, float("inf"): 1000}
    found = _worst(LocationTraffic("shop", "UK", "aws/eu-west-2", 1, requests=1000, at_most=at_most), DEFAULT_OBJECTIVES)
    assert found is not None
    assert found.sentence() == (
        "the budget of latency is spent: 20 of 1,000 attempts since the edge started took longer than promised, 2.0%; 1% may"
    )


def test_of_two_servers_the_better_one_counts() -> None:
    """While a new server is not yet healthy its location is asked; ejection and failed checks are told apart."""

    def host(region: str, **health: object) -> dict[str, Any]:
        return {"locality": {"zone": "aws", "region": region}, "health_status": {"eds_health_status": "HEALTHY", **health}}

    hosts = [
        host("eu-west-2", failed_active_health_check=True),
        host("eu-west-2"),
        host("eu-west-1", failed_outlier_check=True),
        host("us-east-1", failed_active_health_check=True),
    ]
    found = read_clusters({"cluster_statuses": [{"name": "shop.UK", "host_statuses": hosts}, {"name": "collector"}]})
    assert {location: asked for (_, _, location), asked in found.items()} == {
        "aws/eu-west-2": Asked.ASKED,
        "aws/eu-west-1": Asked.EJECTED,
        "aws/us-east-1": Asked.UNHEALTHY,
    }
