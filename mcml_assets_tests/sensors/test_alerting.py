"""The sensor as Dagster runs it: real runs and checks on a real instance, and a receiver that gets one notice per cause."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from mcml_assets.alerting import delivery
from mcml_assets.asset_checks.partitioned import partitioned_check
from mcml_assets.domain import alert
from mcml_assets.resources.alerts import Alerts
from mcml_assets.sensors.alerting import alerting
from mcml_assets_tests.alerting.receiver import Receiver, receiver

LOCATIONS = ("aws/eu-west-2", "aws/us-east-1", "gcp/europe-west2")
PARTITIONS = dg.StaticPartitionsDefinition(list(LOCATIONS))
KEY = dg.AssetKey(["shop", "raw_data"])
STATE: dict[str, set[str]] = {"unreachable": set(), "broken": set(), "wrong": set()}


@dg.asset(key=KEY, partitions_def=PARTITIONS)
def raw_data(context: dg.AssetExecutionContext) -> None:
    if context.partition_key in STATE["unreachable"]:
        metadata = {"error": "LocationUnavailable", "location": context.partition_key}
        raise dg.Failure(f"{context.partition_key} does not answer", metadata=metadata, allow_retries=False)
    if context.partition_key in STATE["broken"]:
        raise ValueError("a bug")


@partitioned_check(KEY, "contract", "Holds.", PARTITIONS)
def contract(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    passed = context.partition_key not in STATE["wrong"]
    return dg.AssetCheckResult(passed=passed, metadata={} if passed else {"problem": "a row too many"})


class Watched:
    """An instance with runs, the sensor's cursor, and who is told."""

    def __init__(self, here: Receiver) -> None:
        self.here, self.cursor, self.said = here, None, ""
        self.instance = dg.DagsterInstance.ephemeral()
        self.definitions = dg.Definitions(assets=[raw_data], asset_checks=[contract], executor=dg.in_process_executor)
        self.alerts = Alerts(webhook="ALERTS", pagerduty_address="unused", repeat_hours=24)

    def run(self, partition: str) -> None:
        job = self.definitions.resolve_implicit_global_asset_job_def()
        job.execute_in_process(instance=self.instance, partition_key=partition, raise_on_error=False)

    def tick(self) -> list[tuple[str, str, list[str]]]:
        """What is told by one tick: action, key, places."""
        before = len(self.here.got)
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, repository_def=self.definitions.get_repository_def()
        ) as context:
            result: Any = alerting(context, alerts=self.alerts)
        self.cursor, self.said = result.cursor, result.skip_reason.skip_message
        return [(one["action"], one["key"], one["where"]) for one in self.here.got[before:]]


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Watched]:
    with receiver() as here:
        monkeypatch.setenv("ALERTS", here.address)
        watched = Watched(here)
        assert watched.tick() == []
        yield watched
    for state in STATE.values():
        state.clear()


def test_an_outage_is_one_alert_that_names_its_locations_and_ends(watched: Watched) -> None:
    """Two regions of one cloud, one notice; nothing more until both have succeeded, and then its end."""
    STATE["unreachable"] |= set(LOCATIONS[:2])
    for location in LOCATIONS:
        watched.run(location)
    assert watched.tick() == [("trigger", "outage/aws", list(LOCATIONS[:2]))]
    assert watched.tick() == []
    STATE["unreachable"].clear()
    watched.run(LOCATIONS[0])
    assert watched.tick() == []
    watched.run(LOCATIONS[1])
    assert watched.tick() == [("resolve", "outage/aws", list(LOCATIONS[:2]))]


def test_a_failed_check_and_a_bug_are_alerts_of_their_own(watched: Watched) -> None:
    """The check tells its problem once, not also as a failed run; the bug is told by its error; both end."""
    STATE["wrong"].add(LOCATIONS[0])
    STATE["broken"].add(LOCATIONS[2])
    watched.run(LOCATIONS[0])
    watched.run(LOCATIONS[2])
    told = watched.tick()
    assert [(action, where) for action, _, where in told] == [("trigger", [LOCATIONS[0]]), ("trigger", [LOCATIONS[2]])]
    assert told[0][1] == "check/shop/raw_data/contract"
    assert told[1][1].startswith("run/shop/raw_data/")
    assert watched.here.got[0]["details"] == ["a row too many"]
    STATE["wrong"].clear()
    STATE["broken"].clear()
    watched.run(LOCATIONS[0])
    watched.run(LOCATIONS[2])
    assert [action for action, _, _ in watched.tick()] == ["resolve", "resolve"]


def test_many_checks_are_read_by_and_by(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tick reads a bounded number of checks; what it leaves, the next ones read, and nothing is told as ended meanwhile."""
    STATE["wrong"].add(LOCATIONS[0])
    watched.run(LOCATIONS[0])
    monkeypatch.setattr("mcml_assets.sensors.alerting.CHECKS_PER_TICK", 0)
    assert watched.tick() == []
    monkeypatch.setattr("mcml_assets.sensors.alerting.CHECKS_PER_TICK", 1)
    assert watched.tick() == [("trigger", "check/shop/raw_data/contract", [LOCATIONS[0]])]
    STATE["wrong"].clear()
    watched.run(LOCATIONS[0])
    monkeypatch.setattr("mcml_assets.sensors.alerting.CHECKS_PER_TICK", 0)
    assert watched.tick() == []
    monkeypatch.setattr("mcml_assets.sensors.alerting.CHECKS_PER_TICK", 1)
    assert watched.tick() == [("resolve", "check/shop/raw_data/contract", [LOCATIONS[0]])]


def test_what_everybody_missed_is_owed_and_tried_again(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the receiver answers 503 no tick fails, the notice is owed and named; when it answers again, it is told, once."""
    monkeypatch.setattr(delivery, "PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(alert, "FIRST_PAUSE", timedelta(0))
    STATE["wrong"].add(LOCATIONS[0])
    watched.run(LOCATIONS[0])
    watched.here.answers = [503] * 6
    told = watched.tick()
    assert {key for _, key, _ in told} == {"check/shop/raw_data/contract"}
    assert "trigger of check/shop/raw_data/contract did not reach webhook: HTTP 503; tried again at" in watched.said
    assert "1 causes are wrong, 1 notices are owed" in watched.said
    watched.tick()
    assert "did not reach webhook" in watched.said
    assert watched.here.answers == []
    assert [(action, key) for action, key, _ in watched.tick()] == [("trigger", "check/shop/raw_data/contract")]
    assert watched.tick() == []
    assert "0 notices are owed" in watched.said


def test_that_one_receiver_is_deaf_is_told_by_the_other(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slack refuses: the webhook is told of the failed check, then that alerts do not reach Slack, and when they do again."""
    monkeypatch.setattr(alert, "FIRST_PAUSE", timedelta(0))
    with receiver() as slack:
        monkeypatch.setenv("SLACK", slack.address)
        watched.alerts = Alerts(webhook="ALERTS", slack="SLACK", pagerduty_address="unused", repeat_hours=24)
        slack.answers = [403] * 2
        STATE["wrong"].add(LOCATIONS[0])
        watched.run(LOCATIONS[0])
        assert [key for _, key, _ in watched.tick()] == ["check/shop/raw_data/contract"]
        assert [(action, key) for action, key, _ in watched.tick()] == [("trigger", "alerts/slack/alerting")]
        watched.tick()
        assert [(action, key) for action, key, _ in watched.tick()] == [("resolve", "alerts/slack/alerting")]
        assert [text["text"].splitlines()[0] for text in slack.got].count(
            "[alert] contract of shop/raw_data fails: aws/eu-west-2") == 3  # fmt: skip


def test_what_is_never_taken_is_given_up(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ticks there are, a notice is tried a bounded number of times, and the tick says that it was given up."""
    monkeypatch.setattr(alert, "FIRST_PAUSE", timedelta(0))
    monkeypatch.delenv("ALERTS")
    STATE["wrong"].add(LOCATIONS[0])
    watched.run(LOCATIONS[0])
    said = [watched.said for _ in range(12) if watched.tick() == []]
    assert sum("did not reach webhook" in one for one in said) == alert.MOST_TRIES
    assert "given up after 8 tries" in said[alert.MOST_TRIES - 1]
    assert watched.cursor is not None
    assert "check/shop/raw_data/contract" in watched.cursor


def test_what_failed_before_the_first_tick_is_told(watched: Watched) -> None:
    """A run that failed while nobody watched is told by the first tick; one that succeeded since is not."""
    STATE["broken"] |= set(LOCATIONS)
    for location in LOCATIONS:
        watched.run(location)
    STATE["broken"].clear()
    watched.run(LOCATIONS[1])
    watched.cursor = None
    ((action, key, where),) = watched.tick()
    assert (action, where) == ("trigger", [LOCATIONS[0], LOCATIONS[2]])
    assert key.startswith("run/shop/raw_data/")
    assert watched.tick() == []
