"""What real daemons do on bad days: bounded, once, and ending where it is right; figures are counts, never times.

The bounds are those of `deploy/docs/bounds.md`. Each test starts daemons of its own over real local clouds.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest

from mcml_assets.automation import TAKEOVER_TAG
from mcml_assets.configuration.settings import PROJECT_ROOT
from mcml_assets.sensors.recovery import Returns
from mcml_assets_tests.alerting.receiver import receiver
from mcml_assets_tests.sensors.live_control import RETRY_TAG, LiveControl
from mcml_assets_tests.sensors.live_platform import HANGS

pytestmark = pytest.mark.live

SHOP = "online_retail"
A, B, C = "aws/eu-west-2", "gcp/europe-west2", "azure/uksouth"
EU = ("azure/westeurope", 1)
LOCATIONS = 3
"""Of the shop in each of its jurisdictions: what one publication is copied to."""
REPORT = PROJECT_ROOT / "build" / "live" / "reaped.json"

RELAPSES = 3
"""How often the sensors are to have seen it vanish: what they do not see they cannot get wrong."""

Start = Callable[..., LiveControl]


@pytest.fixture
def prepare(tmp_path: Path) -> Iterator[Start]:
    """A stage whose daemons, none so far, end with the test."""
    controls: list[LiveControl] = []

    def make(**options: bool | int) -> LiveControl:
        control = LiveControl(tmp_path / "home", **options)  # pyright: ignore[reportArgumentType] - by name
        controls.append(control)
        return control

    yield make
    for control in controls:
        control.kill()


@pytest.fixture
def start(prepare: Start) -> Start:
    """A stage with one daemon, whose sensors have ticked."""

    def begin(**options: bool | int) -> LiveControl:
        control = prepare(**options)
        control.start()
        return control

    return begin


def test_errors_that_no_cloud_mends_and_outages_of_one_two_and_all(start: Start):
    """A permanent error everywhere moves nothing; a location that fails for ever is left once; with two and three dark
    nothing moves; mended, the primary acts again. All runs have a cause, and no cause has more than its bound."""
    control = start()
    broken = [("landing", "UK"), ("landing", "EU"), ("model", A), ("model", B), ("model", C)]
    control.plant("ContractViolation", *(f"{noun} {partition}" for noun, partition in broken))
    for noun, partition in broken:
        control.order(f"broken {noun} {partition}", noun, partition)
    control.wait(lambda: sum(run.status is dg.DagsterRunStatus.FAILURE for run in control.runs()) == len(broken))
    control.settle()
    assert control.requested() == {"orders": len(broken)}
    assert (control.acting(), control.acting("EU")) == ((A, 1), EU)
    control.plant(None, *(f"{noun} {partition}" for noun, partition in broken))

    control.stage.darken("aws")
    control.wait(lambda: control.took_over(B, 2))
    for number in range(3):
        control.order(f"fails for ever {number}", "raw_data", A)
    control.wait(lambda: control.requested().get("orders") == len(broken) + 3)
    control.settle()
    assert (control.acting(), control.acting("EU")) == ((B, 2), EU)
    assert control.takeovers() == {f"{SHOP}/UK/2": 1}
    copied = control.requested().get("automation_by_location", 0)
    assert 0 < copied <= LOCATIONS

    control.stage.darken("gcp")
    control.settle()
    control.stage.darken("azure")
    control.settle()
    assert control.takeovers() == {f"{SHOP}/UK/2": 1}
    assert control.requested().get("automation_by_location", 0) == copied
    # Without a majority nobody's work goes on, and people are told: also of the jurisdiction that nothing had struck at first.
    control.wait(lambda: all(f"move: {SHOP}/{where}: " in control.said("watchdog") for where in ("UK", "EU")))

    control.stage.mend()
    control.wait(lambda: control.took_over(A, 3))
    control.settle()
    assert (control.acting(), control.acting("EU")) == ((A, 3), EU)
    assert control.takeovers() == {f"{SHOP}/UK/2": 1, f"{SHOP}/UK/3": 1}
    requested = control.requested()
    assert requested.pop("orders") == len(broken) + 3
    assert requested.pop("failover") == 2
    # Every location of both jurisdictions was dark once; one copy to each for each of two publications.
    assert requested.pop("recovery", 0) <= 2 * LOCATIONS
    assert requested.pop("automation_by_location") <= 2 * LOCATIONS
    assert requested == {}


def test_flapping_and_a_failure_in_the_middle_of_a_failover(start: Start):
    """Vanishing every few seconds moves work once at most, and never back; a takeover whose worker is held still, in a
    location that goes dark too, holds up nobody: it is ended, and the next one succeeds."""
    control = start()

    def relapses() -> int:
        return Returns.from_json(control.cursor("recovery")).watches[A].relapses

    for _ in range(40):
        control.stage.darken("aws")
        control.pause(3.5)
        control.stage.mend()
        control.pause(3.5)
        if relapses() >= RELAPSES:
            break
    assert relapses() >= RELAPSES
    control.settle()
    assert control.acting() in ((A, 1), (B, 2))
    assert control.takeovers().total() <= 1
    assert control.requested().get("recovery", 0) <= 1
    control.stage.darken("aws")
    control.wait(lambda: control.took_over(B, 2))
    control.settle()

    control.plant(HANGS, "landing UK")
    control.stage.mend()
    control.tick(1, "failover")
    control.stage.darken("gcp")
    control.wait(lambda: control.acting()[1] == 3)
    third, _ = control.acting()

    def hanging() -> psutil.Process | None:
        run = control.run_of(**{TAKEOVER_TAG: f"{SHOP}/UK/3"})
        started = run is not None and run.status is dg.DagsterRunStatus.STARTED
        return control.worker(run) if run is not None and started else None

    control.wait(lambda: hanging() is not None)
    worker = hanging()
    assert worker is not None
    worker.suspend()
    control.plant(None, "landing UK")
    control.stage.mend()
    control.stage.darken(third.partition("/")[0])
    control.wait(lambda: control.acting()[1] == 4)
    fourth, _ = control.acting()
    control.wait(lambda: control.took_over(fourth, 4))
    assert worker.status() == psutil.STATUS_STOPPED
    overtaken = control.run_of(**{TAKEOVER_TAG: f"{SHOP}/UK/3"})
    assert overtaken is not None
    assert overtaken.status is dg.DagsterRunStatus.CANCELED
    worker.kill()
    control.settle()
    assert control.acting() == (fourth, 4)
    assert control.takeovers() == {f"{SHOP}/UK/{epoch}": 1 for epoch in (2, 3, 4)}
    requested = control.requested()
    assert requested.pop("failover") == 3
    # Of each cloud that was mended two locations had been dark; the flapping asked for one catch-up at most.
    assert requested.pop("recovery", 0) <= 1 + 2 * 2
    assert requested.pop("automation_by_location") <= 3 * LOCATIONS
    assert requested == {}


def test_killed_in_the_middle_and_then_lost(start: Start):
    """After kill -9 of everything the run that was left is ended and made again, and its takeover is requested once. With
    the whole instance deleted in the same outage, `rebuild` knows who acts, and nothing is asked for again."""
    control = start()
    control.plant(HANGS, "landing UK")
    control.stage.darken("aws")

    def left() -> dg.DagsterRun | None:
        return control.run_of(**{TAKEOVER_TAG: f"{SHOP}/UK/2"})

    control.wait(lambda: (run := left()) is not None and control.worker(run) is not None)
    control.wait(lambda: (run := left()) is not None and run.status is dg.DagsterRunStatus.STARTED)
    run = left()
    assert run is not None
    control.kill()
    control.plant(None, "landing UK")
    returned = time.time()
    control.start()

    def reaped() -> dg.RunRecord | None:
        with control.instance() as instance:
            record = instance.get_run_record_by_id(run.run_id)
        return record if record is not None and record.dagster_run.is_finished else None

    control.wait(lambda: reaped() is not None)
    record = reaped()
    assert record is not None
    assert record.dagster_run.status in (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
    _report(returned, record)
    control.wait(lambda: control.took_over(B, 2))
    control.settle()
    assert control.takeovers() == {f"{SHOP}/UK/2": 1}
    assert sum(RETRY_TAG in run.tags for run in control.runs()) <= 2
    requested = control.requested()
    assert requested.pop("automation_by_location") <= LOCATIONS
    assert requested == {"failover": 1}

    control.kill()
    assert control.found_anew() > 0
    control.start()
    control.tick(2)
    control.settle()
    assert control.requested() == {}
    assert (control.acting(), control.acting("EU")) == ((B, 2), EU)
    control.stage.mend()
    control.wait(lambda: control.took_over(A, 3))
    control.settle()
    assert control.takeovers() == {f"{SHOP}/UK/3": 1}
    assert control.requested().get("recovery", 0) <= 2 * LOCATIONS


def test_two_daemons_by_mistake_and_ticks_that_are_repeated(start: Start):
    """Two daemons, and three times a tick whose end was never noted: one change, and one takeover for each of them."""
    control = start()
    control.start()
    before = control.cursor("failover")
    control.stage.darken("aws")
    control.wait(lambda: control.took_over(B, 2))
    control.settle()
    # Dagster looks for a run key and then creates the run: of two daemons each may have found none.
    once = control.takeovers()[f"{SHOP}/UK/2"]
    assert 1 <= once <= 2
    for _ in range(3):
        control.forget("failover", before)
        control.tick(1, "failover")
    control.settle()
    assert control.takeovers() == {f"{SHOP}/UK/2": once}
    assert control.acting() == (B, 2)
    requested = control.requested()
    assert requested.pop("automation_by_location") <= 2 * once * LOCATIONS
    assert requested == {"failover": once}


def test_fifty_workloads_that_lose_one_cloud_at_once(start: Start):
    """Each jurisdiction that acted there is moved once and asks for one takeover; the others are not touched. The queue is
    held, so that what is counted are the requests, and the watchdog tells that it grows. Then each of these very runs is
    executed: every jurisdiction lands where it acts now, under its new epoch."""
    control = start(copies=25, concurrent_runs=0, impatient=True)
    concerned = {
        f"{workload.name}/{placement.jurisdiction}/2"
        for workload, placement in control.stage.jurisdictions
        if placement.primary.location.cloud == "aws"
    }
    assert len(concerned) == 50
    control.stage.darken("aws")
    control.wait(lambda: control.takeovers().total() >= len(concerned))
    control.tick(3)
    assert control.takeovers() == dict.fromkeys(concerned, 1)
    assert control.requested() == {"failover": len(concerned)}
    register = control.stage.stores.register
    for workload, placement in control.stage.jurisdictions:
        acting = register.read(workload, placement.jurisdiction)
        moved = placement.primary.location.cloud == "aws"
        assert acting.epoch == (2 if moved else 1)
        assert acting.location == (placement.locations[1] if moved else placement.primary).key
    control.wait(lambda: f"{len(concerned)} runs" in control.said("watchdog"))

    control.kill()
    control.execute_queued()
    runs = control.runs()
    assert {run.tags[TAKEOVER_TAG] for run in runs} == concerned
    assert [run.status for run in runs] == [dg.DagsterRunStatus.SUCCESS] * len(concerned)
    for workload, placement in control.stage.jurisdictions:
        acting = register.read(workload, placement.jurisdiction)
        landing = control.stage.snapshots(workload, acting.location, "landing").current_pointer()
        assert landing is not None
        assert landing.epoch == acting.epoch


def test_what_stands_still_is_told(start: Start):
    """A sensor that does not tick, a run that hangs, a partition left failed and a queue that does not move: each by name."""
    control = start(impatient=True)
    control.plant("ContractViolation", "landing UK")
    control.plant(HANGS, "landing EU")
    control.order("fails", "landing", "UK")
    control.order("hangs", "landing", "EU")
    control.order("waits", "landing", "EU")
    control.wait(lambda: len(control.runs()) == 3)
    control.plant(HANGS, "orders")
    # The words of one line each: what stands still, and that it does.
    wanted = [("landing [EU]", "has been going on"), ("landing [UK]", "failed"), ("1 runs", "oldest"), ("orders", "ticked")]
    found: set[tuple[str, str]] = set()

    def all_told() -> bool:
        lines = control.said("watchdog").splitlines()
        found.update(words for words in wanted if any(all(word in line for word in words) for line in lines))
        return len(found) == len(wanted)

    control.wait(all_told)


def test_a_failure_from_before_the_daemon_is_told_once_and_so_is_its_end(prepare: Start):
    """Its receiver answers 503 at first: the notice is owed, arrives, is not repeated after kill -9, and is resolved."""
    control = prepare()
    broken = [True]

    @dg.asset(key=dg.AssetKey([SHOP, "landing"]))
    def landing() -> None:
        if broken[0]:
            raise ValueError("a bug")

    def run() -> None:
        with control.instance() as instance:
            dg.materialize([landing], instance=instance, raise_on_error=False)

    run()
    with receiver() as here:
        control.environment |= {"MCML_ALERT_WEBHOOK": "ALERTS", "ALERTS": here.address}
        here.answers = [503] * 3
        control.start()
        control.wait(lambda: len(here.got) > 3)
        control.settle()  # a tick that is killed before it has kept its cursor tells again
        control.kill()
        control.start()
        broken[0] = False
        run()
        control.wait(lambda: here.got[-1]["action"] == "resolve")
        told = [(one["action"], one["key"]) for one in here.got if one["key"].startswith("run/")]
    cause = f"run/{SHOP}/landing/ValueError"
    assert told == [("trigger", cause)] * 4 + [("resolve", cause)]


def _report(returned: float, record: dg.RunRecord) -> None:
    """Leave the measured time for people: seconds from the daemon's start to the end of the run that was left."""
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    ended = record.end_time or record.update_timestamp.timestamp()
    load = os.getloadavg()[0]
    REPORT.write_text(json.dumps({"seconds": ended - returned, "load": load}), encoding="utf-8")
