"""Promises of `deploy/observability/`: Prometheus takes it, its alerts fire when they should, and each metric in it exists."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from mcml_assets.domain.error_budget import Objective, workbook_windows
from mcml_assets_tests.serving.prometheus import CONFIG, DASHBOARD, RULES, UNIT_TESTS, metrics_in, needs

PERIODS = {300: "5m", 1800: "30m", 3600: "1h", 21600: "6h", 259200: "3d"}


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


@pytest.mark.parametrize("arguments", [("check", "config", CONFIG), ("check", "rules", RULES), ("test", "rules", UNIT_TESTS)])
def test_promtool_accepts_it(arguments: tuple[str | Path, ...]) -> None:
    """Prometheus' own tool finds nothing wrong, and the alerts' unit tests pass."""
    said = subprocess.run([needs("promtool"), *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False)
    assert said.returncode == 0, said.stdout + said.stderr


def test_promtool_would_notice_a_wrong_rule(tmp_path: Path) -> None:
    """The check above has teeth: a function that does not exist is refused."""
    wrong = tmp_path / RULES.name
    wrong.write_text(RULES.read_text().replace("histogram_quantile(", "histogram_quartile("))
    said = subprocess.run([needs("promtool"), "check", "rules", str(wrong)], capture_output=True, text=True, check=False)
    assert said.returncode != 0
    assert "histogram_quartile" in said.stdout + said.stderr


@pytest.mark.parametrize(("noun", "objective"), [("Availability", Objective.AVAILABILITY), ("Latency", Objective.LATENCY)])
def test_alerts_burn_as_the_platform_judges(noun: str, objective: Objective) -> None:
    """Windows and rates are those by which the platform itself judges budgets, in months of 30 days; objectives are each
    workload's own, and no figure of one stands in the rules.
    """
    (fast,) = (rule["expr"] for rule in rules() if rule.get("alert") == f"Mcml{noun}BurnsFast")
    (slow,) = (rule["expr"] for rule in rules() if rule.get("alert") == f"Mcml{noun}BurnsSlow")
    windows = workbook_windows(30)
    assert [window.rate / 2 for window in windows] == [window.rate for window in workbook_windows(15)]
    for window, expression in zip(windows, (fast, fast, slow), strict=True):
        for seconds in (window.long_seconds, window.short_seconds):
            burn = f"mcml:{objective}_burn:rate{PERIODS[int(seconds)]}"
            assert f"{burn} > on (route) {window.rate:g} * mcml:objective_months" in expression
            (recorded,) = (rule["expr"] for rule in rules() if rule.get("record") == burn)
            assert f'mcml_objective_error_budget_ratio{{objective="{objective}"}}' in recorded


def test_every_recorded_series_is_recorded_somewhere() -> None:
    """Alerts and panels read no series of ours that no rule records."""
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    expressions = [rule["expr"] for rule in rules()] + [target["expr"] for panel in panels() for target in panel["targets"]]
    read = {name for expression in expressions for name in metrics_in(expression) if ":" in name}
    assert read <= recorded


def test_every_panel_can_be_placed() -> None:
    """Panels have a title and a place of their own, and nothing is drawn over another."""
    places = [panel["gridPos"] for panel in panels()]
    cells = {(x, y) for at in places for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
    assert len(cells) == sum(at["w"] * at["h"] for at in places)
    assert all(panel["title"] and panel["targets"] for panel in panels())
