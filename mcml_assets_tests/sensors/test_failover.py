"""What the failover sensor promises: the right work moves, once, and tells why, however often and by whom it is asked."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest

from mcml_assets.automation import TAKEOVER_TAG
from mcml_assets.domain.acting import Acting
from mcml_assets.domain.register import Entry
from mcml_assets.resources.control import control_of
from mcml_assets.resources.endpoints import Endpoints
from mcml_assets.resources.stores import CloudStores
from mcml_assets.sensors.cursor import Cursor
from mcml_assets.sensors.failover import FRESH_SECONDS, Tick, build_failover
from mcml_assets_tests.failover.stage import Stage, example_workloads
from mcml_assets_tests.sensors.tower import Tower, asked

A, B, C = "aws/eu-west-2", "gcp/europe-west2", "azure/uksouth"
SHOP = "online_retail"
TAKEOVER = ("UK", [f"{SHOP}/landing", f"{SHOP}/traffic_route"])


def tower_over(stage: Stage, instance: dg.DagsterInstance | None = None) -> Tower:
    return Tower(stage, build_failover(lambda: list(stage.workloads.values()), look_again_seconds=0.0), instance=instance)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    stage = Stage(tmp_path, example_workloads([SHOP]))
    stage.fill()
    return stage


@pytest.fixture
def tower(stage: Stage) -> Tower:
    """The shop when all is well, after a first tick."""
    tower = tower_over(stage)
    assert tower.tick() == []
    return tower


def test_a_dark_cloud_is_left_within_one_tick(tower: Tower):
    """The jurisdiction that it served moves to the next location, the other one stays, and the route tells why."""
    tower.stage.darken("aws")
    requests = tower.tick()
    assert asked(requests) == [TAKEOVER]
    assert requests[0].tags[TAKEOVER_TAG] == f"{SHOP}/UK/2"
    assert tower.acting(SHOP, "UK") == (B, 2)
    assert tower.acting(SHOP, "EU") == ("azure/westeurope", 1)
    told = tower.told(SHOP, "UK")
    assert len(told) == 1
    assert f"moves from {A} to {B}, epoch 2: a probe finds {A} down" in told[0]


def test_an_outage_just_after_a_tick_looked_is_decided_in_that_tick(tower: Tower):
    """A tick that found all well looks once more before it ends; where still nothing changed, it tells and asks nothing."""
    stores, endpoints = CloudStores.from_settings(tower.stage.settings), Endpoints.from_settings(tower.stage.settings)
    cursor = Cursor.from_json(tower.cursors["failover"])
    control, workloads = control_of(stores, endpoints), list(tower.stage.workloads.values())
    tick = Tick(control, workloads, tower.instance, cursor, datetime.now(UTC))
    outcome = tick.run()
    tick.look_again(datetime.now(UTC), outcome)
    assert (outcome.requests, outcome.events, outcome.lines) == ([], [], [])
    tower.stage.darken("aws")
    tick.look_again(datetime.now(UTC), outcome)
    assert asked(outcome.requests) == [TAKEOVER]
    assert tower.acting(SHOP, "UK") == (B, 2)
    assert cursor.acting[f"{SHOP}/UK"].took_over == 2
    assert A in cursor.down


def test_a_location_that_fails_forever_is_left_once(tower: Tower):
    """However many ticks pass, and runs fail there, one takeover is requested and one decision told."""
    tower.stage.darken("aws")
    requests = []
    for _ in range(10):
        tower.fail(SHOP, "raw_data", A, "LocationUnavailable", A)
        requests += tower.tick()
    assert asked(requests) == [TAKEOVER]
    assert len(tower.told(SHOP, "UK")) == 1


def test_a_runs_own_word_moves_work(tower: Tower):
    """A run that failed for an unavailable acting location moves its jurisdiction, without waiting for a probe to agree."""
    tower.fail(SHOP, "landing", "UK", "LocationUnavailable", A)
    assert asked(tower.tick()) == [TAKEOVER]
    assert "a run failed because" in tower.told(SHOP, "UK")[0]


def test_a_run_of_the_far_side_moves_nothing_while_the_acting_location_answers(tower: Tower):
    """A standby that does not reach the acting location may only be parted from it: somebody between them is asked."""
    tower.fail(SHOP, "raw_data", B, "LocationUnavailable", A)
    assert tower.tick() == []
    assert tower.acting(SHOP, "UK") == (A, 1)
    assert "the acting location answers" in tower.told(SHOP, "UK")[0]


def test_a_killed_run_moves_nothing_while_its_location_answers(tower: Tower):
    """A run that left no error is no outage by itself; the event says that the location was asked."""
    tower.fail(SHOP, "landing", "UK")
    assert tower.tick() == []
    assert tower.acting(SHOP, "UK") == (A, 1)
    assert "the acting location answers" in tower.told(SHOP, "UK")[0]


@pytest.mark.parametrize("error", ["ContractViolation", "CorruptSnapshot", "ModelRejected", "TransientError"])
def test_what_no_other_cloud_can_mend_moves_nothing(tower: Tower, error: str):
    """Bad data is bad in every cloud: with the same error in all of them, everything stays where it is."""
    for location in (A, B, C):
        tower.fail(SHOP, "raw_data", location, error)
    tower.fail(SHOP, "landing", "UK", error)
    tower.fail(SHOP, "landing", "EU", error)
    for _ in range(3):
        assert tower.tick() == []
    assert (tower.acting(SHOP, "UK"), tower.acting(SHOP, "EU")) == ((A, 1), ("azure/westeurope", 1))


def test_a_dead_standby_moves_nothing(tower: Tower):
    """A run that failed for a standby concerns nobody else."""
    tower.stage.darken("gcp")
    tower.fail(SHOP, "raw_data", B, "LocationUnavailable", B)
    assert tower.tick() == []
    assert tower.acting(SHOP, "UK") == (A, 1)


def test_an_old_word_counts_no_more(tower: Tower):
    """A failure read long after it happened, by a daemon that was away, is a reason to probe and not to move."""
    run = tower.fail(SHOP, "landing", "UK", "LocationUnavailable", A)
    record = tower.instance.get_run_record_by_id(run)
    assert record is not None
    assert record.end_time is not None
    late = datetime.fromtimestamp(record.end_time + FRESH_SECONDS + 1, UTC)
    from mcml_assets.resources.control import control_of
    from mcml_assets.resources.endpoints import Endpoints
    from mcml_assets.sensors.cursor import Cursor
    from mcml_assets.sensors.failover import Tick

    control = control_of(CloudStores.from_settings(tower.stage.settings), Endpoints.from_settings(tower.stage.settings))
    cursor = Cursor.from_json(tower.cursors["failover"])
    outcome = Tick(control, list(tower.stage.workloads.values()), tower.instance, cursor, late).run()
    assert outcome.requests == []
    assert tower.acting(SHOP, "UK") == (A, 1)


def test_failing_in_turn_ends_where_somebody_answers(tower: Tower):
    """Each location that goes dark is left once, until nobody is left; then everything stays, and each refusal is told."""
    requests = []
    for cloud in ("aws", "gcp", "azure"):
        tower.stage.darken(cloud)
        requests += tower.tick() + tower.tick()
    # The register is kept in three clouds: with two of them dark nobody can say for sure who acts.
    assert tower.acting_known(SHOP, "UK") == (B, 2)
    assert asked(requests) == [TAKEOVER]
    assert "no location may take the work over" in tower.told(SHOP, "UK")[-1]
    for location in (A, C):
        assert f"not {location}: down" in tower.told(SHOP, "UK")[-1]


def started(tower: Tower, noun: str, partition: str) -> str:
    """A run that went on since before, and will never end by itself; its id."""
    run = dg.DagsterRun(
        "__ASSET_JOB", str(uuid4()), tags={"dagster/partition": partition}, status=dg.DagsterRunStatus.STARTED,
        asset_selection=frozenset({dg.AssetKey([SHOP, noun])}),
    )  # fmt: skip
    tower.instance.add_run(run)
    event = dg.DagsterEvent(dg.DagsterEventType.PIPELINE_START.value, "__ASSET_JOB")
    tower.instance.report_dagster_event(event, run.run_id)
    return run.run_id


def test_a_takeover_does_not_wait_for_runs_that_hang_in_the_lost_location(tower: Tower):
    """What holds the jurisdiction's slot, or goes on where nobody answers, is ended; runs of others go on."""
    ended = [started(tower, "landing", "UK"), started(tower, "raw_data", A)]
    going_on = [started(tower, "raw_data", B), started(tower, "landing", "EU")]
    tower.stage.darken("aws")
    assert asked(tower.tick()) == [TAKEOVER]
    statuses = {run.run_id: run.status for run in tower.instance.get_runs()}
    assert {statuses[run] for run in ended} == {dg.DagsterRunStatus.CANCELED}
    assert {statuses[run] for run in going_on} == {dg.DagsterRunStatus.STARTED}


def test_a_takeover_after_a_change_by_hand_ends_what_started_before_it_only(tower: Tower):
    """A run that began under the new epoch is the new acting location's own work."""
    before = started(tower, "landing", "UK")
    stores = CloudStores.from_settings(tower.stage.settings)
    workload = tower.stage.workloads[SHOP]
    stores.register.change(workload, "UK", Acting(A, 1), Acting(C, 2), who="anna", why="maintenance", request_id="1")
    after = started(tower, "training_run", "UK")
    assert asked(tower.tick()) == [TAKEOVER]
    statuses = {run.run_id: run.status for run in tower.instance.get_runs()}
    assert (statuses[before], statuses[after]) == (dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.STARTED)


def test_one_location_after_the_other(tower: Tower):
    """With the first one mended, the second one's outage leads to the next that is up, under the next epoch."""
    tower.stage.darken("aws")
    requests = tower.tick()
    tower.stage.mend()
    tower.stage.darken("gcp")
    requests += tower.tick()
    assert tower.acting(SHOP, "UK") in ((A, 3), (C, 3))
    assert len(requests) == 2
    assert {request.tags[TAKEOVER_TAG] for request in requests} == {f"{SHOP}/UK/2", f"{SHOP}/UK/3"}


def test_a_cloud_that_comes_up_while_all_were_down_is_taken(tower: Tower):
    """After a total outage the first lawful location that answers acts, as soon as the register can be changed."""
    tower.stage.darken("aws", "gcp", "azure")
    for _ in range(3):
        assert tower.tick() == []
    tower.stage.mend()
    tower.stage.darken("aws")
    assert asked(tower.tick()) == [TAKEOVER]
    assert tower.acting(SHOP, "UK") == (B, 2)


def test_a_daemon_that_dies_in_the_middle_repeats_nothing_and_forgets_nothing(tower: Tower):
    """Killed after the register changed and before anything was requested: the next tick requests it, once."""
    tower.stage.darken("aws")
    lost = tower.evaluate()
    assert lost.run_requests
    assert tower.acting(SHOP, "UK") == (B, 2)
    assert asked(tower.tick()) == [TAKEOVER]
    assert [tower.tick() for _ in range(3)] == [[], [], []]


def test_two_daemons_are_as_good_as_one(tower: Tower):
    """Two that tick over the same instance move the work once, and request its takeover once."""
    tower.stage.darken("aws")
    other = tower_over(tower.stage, tower.instance)
    other.cursors.update(tower.cursors)
    assert asked(tower.tick() + other.tick() + tower.tick() + other.tick()) == [TAKEOVER]
    assert tower.acting(SHOP, "UK") == (B, 2)


def test_a_lost_instance_repeats_nothing(tower: Tower):
    """A control plane with neither cursor nor runs finds what was done in the buckets: a takeover is not asked for again."""
    stage = tower.stage
    stage.darken("aws")
    tower.tick()
    stage.copy(stage.workloads[SHOP], Acting(B, 2), "raw_data", "landing", [B])
    anew = tower_over(stage)
    assert [anew.tick() for _ in range(3)] == [[], [], []]
    assert anew.acting(SHOP, "UK") == (B, 2)


def test_a_lost_instance_finishes_what_was_begun(tower: Tower):
    """Lost between the change and the takeover, the next control plane requests it."""
    tower.stage.darken("aws")
    tower.evaluate()
    assert asked(tower_over(tower.stage).tick()) == [TAKEOVER]


def test_a_change_by_hand_is_taken_over(tower: Tower):
    """Whoever changes the register: the new acting location is asked for its work, and the route tells."""
    stores = CloudStores.from_settings(tower.stage.settings)
    workload = tower.stage.workloads[SHOP]
    stores.register.change(workload, "UK", Acting(A, 1), Acting(C, 2), who="anna", why="maintenance", request_id="1")
    assert asked(tower.tick()) == [TAKEOVER]
    assert f"{C} acts, epoch 2" in tower.told(SHOP, "UK")[0]


def test_a_failure_during_a_failover_goes_on_to_the_next(tower: Tower):
    """When the new acting location goes dark before it took over, the work goes to the next one that is up."""
    tower.stage.darken("aws")
    tower.evaluate()
    tower.stage.mend()
    tower.stage.darken(B)
    requests = tower.tick()
    assert len(requests) == 1
    assert tower.acting(SHOP, "UK")[1] == 3
    assert [tower.tick() for _ in range(2)] == [[], []]


def test_a_stale_standby_is_named_and_passed_over(tower: Tower):
    """One that lacks what was landed past the RPO is not chosen, and the skip reason says so."""
    stage = tower.stage
    workload = stage.workloads[SHOP]
    newer = stage.land(workload, Acting(A, 1), b"batch 0", b"batch 1")
    stage.copy(workload, Acting(A, 1), "landing", "raw_data", [C])
    event = dg.AssetMaterialization(
        dg.AssetKey([SHOP, "landing"]), partition="UK", tags={"dagster/data_version": newer.snapshot_id}
    )
    tower.instance.report_runless_asset_event(event)
    stage.darken("aws")
    cursor = json.loads(tower.cursors["failover"] or "")
    cursor["down"][A] = datetime.now(UTC).timestamp() + 2 * workload.rpo_seconds
    tower.cursors["failover"] = json.dumps(cursor)
    assert asked(tower.tick()) == [TAKEOVER]
    assert tower.acting(SHOP, "UK") == (C, 2)


def test_fifty_workloads_that_lose_one_cloud_move_once_each(tmp_path: Path):
    """Each jurisdiction of each workload that acted there requests its one takeover, in one tick; no other is touched."""
    stage = Stage(tmp_path, example_workloads(copies=25))
    stage.fill()
    tower = tower_over(stage)
    assert tower.tick() == []
    stage.darken("aws")
    requests = [request for _ in range(3) for request in tower.tick()]
    concerned = [
        f"{workload.name}/{placement.jurisdiction}/2"
        for workload, placement in stage.jurisdictions
        if placement.primary.location.cloud == "aws"
    ]
    assert len(concerned) == 50
    assert sorted(request.tags[TAKEOVER_TAG] for request in requests) == sorted(concerned)


def test_a_quiet_tick_reads_a_bounded_number_of_registers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With nothing new, what a tick asks does not grow with the number of workloads."""
    from mcml_assets.register.quorum import QuorumRegister
    from mcml_assets.sensors.failover import REFRESHED

    stage = Stage(tmp_path, example_workloads(copies=25))
    tower = tower_over(stage)
    tower.tick()
    asked_for: list[str] = []
    read: Callable[..., Entry] = QuorumRegister.entry

    def counted(self: QuorumRegister, workload: object, jurisdiction: str) -> Entry:
        asked_for.append(jurisdiction)
        return read(self, workload, jurisdiction)

    monkeypatch.setattr(QuorumRegister, "entry", counted)
    tower.tick()
    assert 0 < len(asked_for) <= REFRESHED
