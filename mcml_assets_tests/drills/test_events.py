"""What is read of Dagster's events about a drill: all that is its own, marked as such, and in no figure of production."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest

from mcml_assets.automation import DRILL_TAG, ERROR_TAG, TAKEOVER_TAG, UNAVAILABLE_TAG
from mcml_assets.declaration import asset_key
from mcml_assets.domain.acting import Acting
from mcml_assets.domain.drill import Asked, Ended, Stage
from mcml_assets.drills import requests
from mcml_assets.drills.events import recorded, tag_runs
from mcml_assets.drills.measuring import Seen, measured
from mcml_assets.drills.reliability import spent
from mcml_assets.drills.surprises import surprises
from mcml_assets.instance.run_history import takeover_seconds
from mcml_assets_tests.failover.stage import example_workloads

SHOP, LENDER = example_workloads()
A, B = "aws/eu-west-2", "gcp/europe-west2"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    return tmp_path


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


def a_run(instance: dg.DagsterInstance, noun: str, partition: str, *, fails: bool = False, **tags: str) -> str:
    """A run of the shop that has begun and ended just now; its id."""
    run = dg.DagsterRun(
        "__ASSET_JOB", str(uuid4()), asset_selection=frozenset({asset_key(SHOP, noun)}),
        tags={"dagster/partition": partition, **{name.replace("_", "/", 1): value for name, value in tags.items()}},
    )  # fmt: skip
    instance.add_run(run)
    kinds = (
        dg.DagsterEventType.PIPELINE_START,
        (dg.DagsterEventType.PIPELINE_FAILURE if fails else dg.DagsterEventType.PIPELINE_SUCCESS),
    )
    for kind in kinds:
        instance.report_dagster_event(dg.DagsterEvent(kind.value, "__ASSET_JOB"), run.run_id)
    return run.run_id


def told(instance: dg.DagsterInstance, noun: str, place: str, **metadata: str | float) -> None:
    instance.report_runless_asset_event(dg.AssetObservation(asset_key(SHOP, noun), partition=place, metadata=metadata))


def published(instance: dg.DagsterInstance, noun: str, place: str) -> None:
    instance.report_runless_asset_event(dg.AssetMaterialization(asset_key(SHOP, noun), partition=place))


def test_whatever_is_noticed_first_is_the_detection(instance: dg.DagsterInstance) -> None:
    """A failed run, a failed transaction and a probe each tell that something is wrong; what was before the fault does not."""
    a_run(instance, "model", A, fails=True)
    since = time.time()
    assert recorded(instance, SHOP, "UK", since).detections == ()
    failed = a_run(instance, "raw_data", B, fails=True)
    instance.add_run_tags(failed, {ERROR_TAG: "LocationUnavailable"})
    told(instance, "endpoint", A, synthetic="failed", problem="no answer")
    told(instance, "traffic_route", "UK", decision="stays", down_since=time.time())
    texts = [event.text for event in recorded(instance, SHOP, "UK", since).detections]
    assert "the run of raw_data in gcp/europe-west2 failed: LocationUnavailable" in texts
    assert "a synthetic transaction of endpoint in aws/eu-west-2 failed: no answer" in texts
    assert "a probe found the acting location down" in texts


def test_each_stage_has_its_time_by_asset_and_place(instance: dg.DagsterInstance) -> None:
    """Published is what was materialized after the decision, served who answered after it; what nobody did is not there."""
    since = time.time()
    published(instance, "raw_data", B)
    decided = time.time()
    published(instance, "landing", "UK")
    asked = [
        Asked(since, 0.02, 200, A, 1), Asked(decided + 1, 0.02, 503, A, 2), Asked(decided + 2, 0.5, 200, B, 2),
    ]  # fmt: skip
    seen = Seen(since, Acting(A, 1), Acting(B, 2), decided, decided + 60, None, 0.0, ())
    found = measured(seen, recorded(instance, SHOP, "UK", since), asked)
    assert [(stage.asset, stage.place) for stage in found.stages] == [("landing", "UK"), ("endpoint", B)]
    assert found.stages[1] == Stage("endpoint", B, None, decided + 2.5)
    assert found.timeline.detected == decided
    assert found.timeline.served == decided + 2.5


def test_a_recovery_is_measured_from_what_took_the_location_away(instance: dg.DagsterInstance) -> None:
    """A copy that was held up a minute before is no outage: it is in nobody's recovery time, and callers count since then."""
    held_up = time.time() - 90
    told(instance, "endpoint", B, synthetic="failed", problem="no answer")
    time.sleep(0.05)
    lost = time.time()
    asked = [Asked(lost - 60, 0.02, 503, A, 1), Asked(lost - 100, 0.02, 503, A, 1), Asked(lost + 4, 0.5, 200, B, 2)]
    seen = Seen(lost, Acting(A, 1), Acting(B, 2), lost + 2, lost + 60, None, 0.0, (), first_fault=held_up)
    found = measured(seen, recorded(instance, SHOP, "UK", held_up), asked)
    assert found.timeline.seconds("served") == pytest.approx(4.5)
    assert found.timeline.seconds("detected") == pytest.approx(2)
    assert (found.requests.sent, found.requests.failed) == (2, 1)


def test_every_run_of_a_drill_is_marked_and_no_other(instance: dg.DagsterInstance) -> None:
    """Whoever requested it: what was made before, or for another jurisdiction, is production's."""
    before = a_run(instance, "landing", "UK")
    since = time.time()
    during = [a_run(instance, "landing", "UK"), a_run(instance, "raw_data", B)]
    elsewhere = a_run(instance, "landing", "EU")
    tag_runs(instance, SHOP, "UK", since, "drill-1")
    marked = {run.run_id for run in instance.get_runs() if run.tags.get(DRILL_TAG) == "drill-1"}
    assert marked == set(during)
    assert not {before, elsewhere} & marked


def test_a_takeover_of_a_drill_predicts_nothing(instance: dg.DagsterInstance, home: Path) -> None:
    """The predicted time of a failover rests on real takeovers; with rehearsed ones alone there is none."""
    run = a_run(instance, "landing", "UK")
    instance.add_run_tags(run, {TAKEOVER_TAG: "online_retail/UK/2", DRILL_TAG: "drill-1"})
    assert takeover_seconds(home) is None
    a_run(instance, "landing", "UK")
    assert takeover_seconds(home) is not None


def test_a_run_that_never_ended_is_told_by_no_event(instance: dg.DagsterInstance) -> None:
    """A run that was asked for counts as it ended, with its error; one that Dagster does not know has not."""
    failed = a_run(instance, "landing", "UK", fails=True)
    instance.add_run_tags(failed, {ERROR_TAG: "ContractViolation"})
    asked = [requests.Asked("landing in UK", True, failed), requests.Asked("model in UK", False, str(uuid4()))]
    assert requests.endings(asked, instance) == (
        Ended("landing in UK", True, True, "ContractViolation"),
        Ended("model in UK", False, None),
    )


def test_a_spent_budget_is_a_reason_not_to_begin(instance: dg.DagsterInstance) -> None:
    """What failed today leaves no room for a rehearsal; what failed in rehearsals themselves does not count."""
    told(instance, "traffic_route", "UK", synthetic="failed", problem="no answer", synthetic_asked=60, synthetic_failed=5)
    now = datetime.now(UTC)
    why = spent(instance, SHOP, "UK", [], now)
    assert why is not None
    assert "5 of 60 synthetic transactions failed" in why
    assert spent(instance, SHOP, "EU", [], now) is None
    assert spent(instance, SHOP, "UK", [{"began": now.timestamp() - 60, "ended": now.timestamp()}], now) is None


def test_slow_answers_are_a_reason_not_to_begin(instance: dg.DagsterInstance) -> None:
    """A spent budget of latency is a short budget too; slowness in a rehearsal, or a slow one of many, is none."""
    now, late = datetime.now(UTC), SHOP.serving.objectives.latency_milliseconds
    counts = {"synthetic_asked": 60, "synthetic_failed": 0, "synthetic_slow": 5}
    told(instance, "traffic_route", "UK", synthetic="passed", **counts)
    why = spent(instance, SHOP, "UK", [], now)
    assert why is not None
    assert f"5 of 60 synthetic transactions took longer than {late:g} ms" in why
    assert spent(instance, SHOP, "UK", [{"began": now.timestamp() - 60, "ended": now.timestamp()}], now) is None
    told(instance, "traffic_route", "EU", synthetic="passed", **{**counts, "synthetic_asked": 1000})
    assert spent(instance, SHOP, "EU", [], now) is None
    # Nothing tells how fast these were: they make the five no smaller a share.
    told(instance, "traffic_route", "UK", synthetic="passed", synthetic_asked=100_000, synthetic_failed=0)
    assert spent(instance, SHOP, "UK", [], now) == why


def test_what_a_struck_location_does_is_no_surprise(instance: dg.DagsterInstance) -> None:
    """Runs that could not reach it and its own endpoint's silence are what the fault is for; the same elsewhere surprises."""
    since = time.time()
    for noun, place, unreachable in (("raw_data", A, A), ("raw_data", B, A), ("model", B, B)):
        run = a_run(instance, noun, place, fails=True)
        instance.add_run_tags(run, {ERROR_TAG: "LocationUnavailable", UNAVAILABLE_TAG: unreachable})
    a_run(instance, "landing", "UK", fails=True)
    for noun, place in (("endpoint", A), ("endpoint", B), ("traffic_route", "UK")):
        told(instance, noun, place, synthetic="failed", problem="no answer")
    told(instance, "traffic_route", "UK", decision="stays", down_since=time.time())
    detections = recorded(instance, SHOP, "UK", since).detections
    assert set(surprises(detections, [], {A})) == {
        "the run of model in gcp/europe-west2 failed: LocationUnavailable",
        "the run of landing in UK failed: no typed error",
        "a synthetic transaction of endpoint in gcp/europe-west2 failed: no answer",
        "a synthetic transaction of traffic_route in UK failed: no answer",
    }
    asked = [Ended("landing in UK", True, True), Ended("model in gcp/europe-west2", False, True)]
    assert "the run of landing in UK failed: no typed error" not in surprises(detections, asked, {A})
    assert "the run of model in gcp/europe-west2 failed: LocationUnavailable" in surprises(detections, asked, {A})
