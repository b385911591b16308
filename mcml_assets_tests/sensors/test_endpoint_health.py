"""Promises of `endpoint_health`: each step of a rollout and each flag is on record once, and a return is told to people."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.flags import FlagChange
from mcml_assets.domain.rollout import Findings, RolloutPlan, advance, begin
from mcml_assets.domain.route import Route, RouteLocation
from mcml_assets.domain.workload import RolloutSteps
from mcml_assets.resources.alerts import Alerts
from mcml_assets.resources.endpoints import Endpoints
from mcml_assets.sensors.endpoint_health import endpoint_health
from mcml_assets.serving.folder import DataPlaneFolder
from mcml_assets.serving.rollout.record import write_record
from mcml_assets.serving.routes import change_flag, publish_route
from mcml_assets_tests.alerting.receiver import receiver

PLACE = "gcp/europe-west2"
PLAN = RolloutPlan(RolloutSteps((5, 100), dwell_seconds=8, shadow_seconds=8), (PLACE,))


def test_what_a_rollout_did_is_on_record_once_and_a_return_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events that came between two ticks, or while Dagster was away, are observations of the endpoint, none of them twice;
    a version that was rolled back is an alert that names the objective, and is resolved by the next version.
    """
    settings, instance = Settings(home=tmp_path), dg.DagsterInstance.ephemeral()
    folder, cursor = DataPlaneFolder.of(settings), None
    with receiver() as here:
        monkeypatch.setenv("ALERTS", here.address)
        resources: dict[str, Any] = {
            "endpoints": Endpoints.from_settings(settings),
            "alerts": Alerts(webhook="ALERTS", pagerduty_address="unused", repeat_hours=24),
        }

        def tick() -> list[str]:
            nonlocal cursor
            with dg.build_sensor_context(instance=instance, cursor=cursor, resources=resources) as context:
                result: Any = endpoint_health(context)
            cursor = result.cursor
            assert not result.run_requests
            return [event.metadata["rollout"].value for event in result.asset_events]

        assert tick() == []
        begun = begin("shop", PLACE, 1, 2, "d" * 64, PLAN, 1000.0)
        started = advance(begun, Findings(), 1001.0)
        write_record(folder, started)
        assert tick() == ["waiting", "starting"]
        assert tick() == []
        write_record(folder, advance(started, Findings(condemned="availability: 3 of 4 failed"), 1002.0))
        assert tick() == ["rolled back"]
        ((action, detail),) = [(one["action"], str(one)) for one in here.got]
        assert action == "trigger"
        assert "availability: 3 of 4 failed" in detail
        write_record(folder, begin("shop", PLACE, 1, 3, "e" * 64, PLAN, 1003.0))
        assert tick() == ["waiting"]
        assert [one["action"] for one in here.got] == ["trigger", "resolve"]


def test_who_changed_a_flag_and_why_is_on_the_routes_timeline(tmp_path: Path) -> None:
    """Each change is an observation of `traffic_route`, told once, also of flags that were set while Dagster was away."""
    settings, instance = Settings(home=tmp_path), dg.DagsterInstance.ephemeral()
    publish_route(Route("shop", "UK", 1, 1, (RouteLocation(PLACE, 100, 0),), "2024-07-01T00:00:00+00:00"), settings)
    resources: dict[str, Any] = {
        "endpoints": Endpoints.from_settings(settings),
        "alerts": Alerts(pagerduty_address="unused", repeat_hours=24),
    }

    def tick(cursor: str | None) -> tuple[list[tuple[Any, ...]], str]:
        with dg.build_sensor_context(instance=instance, cursor=cursor, resources=resources) as context:
            result: Any = endpoint_health(context)
        return [(event.asset_key.path[1], event.partition, event.description) for event in result.asset_events], result.cursor

    def change(value: int | None, why: str, second: int) -> None:
        at = f"2024-07-01T00:00:0{second}+00:00"
        change_flag("shop", "UK", FlagChange("read_only", PLACE, value, "ada", why, at), settings)

    change(1, "a drill", 1)
    change(None, "it is over", 2)
    said, cursor = tick(None)
    assert said == [
        ("traffic_route", "UK", f"ada: read_only of {PLACE} is set to 1: a drill"),
        ("traffic_route", "UK", f"ada: read_only of {PLACE} is cleared: it is over"),
    ]
    assert tick(cursor)[0] == []
    change(1, "again", 3)
    assert [text for _, _, text in tick(cursor)[0]] == [f"ada: read_only of {PLACE} is set to 1: again"]
