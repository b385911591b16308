"""What the recovery sensor promises: what was missed is caught up once, and work returns to whom it can be trusted to."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mcml_assets.clouds.fault_plan import set_fault
from mcml_assets.domain.acting import Acting
from mcml_assets.domain.errors import StaleEpoch
from mcml_assets.domain.faults import Fault, FaultKind
from mcml_assets.domain.recovery import CATCH_UP_CHECKS, FAILBACK_CHECKS
from mcml_assets.domain.register import Evacuation
from mcml_assets.domain.snapshot import SNAPSHOT_NOUNS
from mcml_assets.domain.workload import Failback, Workload
from mcml_assets.sensors import recovery
from mcml_assets.sensors.failover import build_failover
from mcml_assets.sensors.recovery import Returns, build_recovery
from mcml_assets.snapshots.store import SnapshotStore
from mcml_assets_tests.failover.stage import Stage, example_workloads
from mcml_assets_tests.sensors.tower import Tower, asked
from mcml_assets_tests.snapshots.committing import commit

A, B, C = "aws/eu-west-2", "gcp/europe-west2", "azure/uksouth"
SHOP = "online_retail"
CATCH_UP = (A, [f"{SHOP}/feature_snapshot", f"{SHOP}/raw_data"])


class Outage:
    """A shop whose primary went dark, was left, missed a batch, and is about to return."""

    def __init__(self, home: Path, workload: Workload) -> None:
        self.stage = Stage(home, [workload])
        self.stage.fill()
        self.workload = workload
        everything = lambda: list(self.stage.workloads.values())  # noqa: E731 - the sensors' one argument
        self.tower = Tower(self.stage, build_failover(everything, 0.0), build_recovery(everything))
        self.tower.tick("recovery")
        self.stage.darken("aws")
        self.tower.tick()
        self.tower.tick("recovery")
        self.tower.finish()
        self.acting = Acting(B, 2)
        self.stage.copy(workload, self.acting, "raw_data", "landing", [B])
        self.stage.land(workload, self.acting, b"batch 0", b"batch 1")
        self.stage.copy(workload, self.acting, "landing", "raw_data", [B, C])
        for location in (B, C):
            self.stage.compute(workload, location, 2)

    def catch_up(self) -> None:
        """What the catch-up run does."""
        self.stage.copy(self.workload, self.acting, "landing", "raw_data", [A])
        self.stage.compute(self.workload, A, 2)
        self.tower.finish()

    def ticks(self, count: int) -> list[tuple[str, list[str]]]:
        return asked([request for _ in range(count) for request in self.tower.tick("recovery")])

    def acts(self) -> tuple[str, int]:
        return self.tower.acting(SHOP, "UK")


@pytest.fixture
def outage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Outage:
    monkeypatch.setattr(recovery, "SETTLED_SECONDS", 0.0)
    return Outage(tmp_path, example_workloads([SHOP])[0])


def test_a_returned_location_is_asked_for_what_it_missed_once(outage: Outage):
    """After some clean probes one run brings all it lacks and nothing it has; further ticks ask for nothing."""
    assert outage.ticks(2) == []
    outage.stage.mend()
    assert outage.ticks(CATCH_UP_CHECKS - 1) == []
    assert outage.ticks(1) == [CATCH_UP]
    assert outage.ticks(3) == []
    assert f"{A} answers again" in outage.tower.told(SHOP, "UK")[-1]


def test_a_returned_location_refuses_the_old_epoch_before_it_is_caught_up(outage: Outage):
    """A writer of the former epoch, held up since before the outage, comes through nowhere there after one clean probe."""
    held_up = [SnapshotStore(outage.stage.stores.bucket(A), SHOP, noun) for noun in SNAPSHOT_NOUNS]
    outage.ticks(2)
    outage.stage.mend()
    # Nothing there has heard of the new epoch yet: right now it would still come through, as a canary does.
    commit(
        SnapshotStore(outage.stage.stores.bucket(A), SHOP, "canary_training"), {"canary": b"x"}, outage.stage.scratch, epoch=1
    )
    assert {pointer.refuses_below for store in held_up if (pointer := store.current_pointer()) is not None} == {1}
    assert outage.ticks(1) == []
    for late in held_up:
        with pytest.raises(StaleEpoch, match="is at epoch 2; a writer of epoch 1 may not move it"):
            commit(late, {"late": b"x"}, outage.stage.scratch, epoch=1)
    assert outage.ticks(CATCH_UP_CHECKS - 1) == [CATCH_UP]
    assert Returns.from_json(outage.tower.cursors["recovery"]).unfenced[A] == []


def test_a_location_that_cannot_be_fenced_is_not_caught_up(outage: Outage, monkeypatch: pytest.MonkeyPatch):
    """As long as an old writer could still come through, nothing is asked for there; then it is, once."""
    outage.stage.mend()
    now = datetime.now(UTC)
    refusal = Fault(A, FaultKind.CREDENTIALS_REVOKED, now, now + timedelta(hours=1), {"operation": "put_if_match"})
    set_fault(refusal, outage.stage.stores.topology, outage.stage.settings)
    assert outage.ticks(CATCH_UP_CHECKS + 1) == []
    assert f"{A} answers again, and could not be fenced" in outage.tower.last_skip["recovery"]
    outage.stage.mend()
    assert outage.ticks(1) == [CATCH_UP]
    assert outage.ticks(2) == []


def test_the_primary_gets_its_work_back_when_it_lacks_nothing(outage: Outage):
    """Watched for some clean probes and caught up, it acts again under the next epoch, and is asked to take over."""
    outage.stage.mend()
    outage.ticks(CATCH_UP_CHECKS)
    outage.catch_up()
    outage.ticks(FAILBACK_CHECKS - CATCH_UP_CHECKS - 1)
    assert outage.acts() == (B, 2)
    outage.ticks(1)
    assert outage.acts() == (A, 3)
    assert asked(outage.tower.tick()) == [("UK", [f"{SHOP}/landing", f"{SHOP}/traffic_route", f"{SHOP}/training_run"])]
    assert any(f"moves from {B} to {A}, epoch 3" in told for told in outage.tower.told(SHOP, "UK"))
    assert outage.ticks(3) == []
    assert outage.acts() == (A, 3)


def test_a_rehearsed_outage_is_no_relapse(outage: Outage):
    """A drill takes the primary away again: it is caught up and trusted as after its first outage, not after a second one."""
    outage.stage.mend()
    outage.ticks(FAILBACK_CHECKS)
    now = datetime.now(UTC)
    fault = Fault(A, FaultKind.OUTAGE, now, now + timedelta(hours=1), drill="20270105T100000-aaaa")
    set_fault(fault, outage.stage.stores.topology, outage.stage.settings)
    outage.ticks(1)
    outage.stage.mend()
    outage.tower.finish()
    assert CATCH_UP in outage.ticks(CATCH_UP_CHECKS * 2)
    watch = Returns.from_json(outage.tower.cursors["recovery"]).watches[A]
    assert (watch.relapses, watch.rehearsed, watch.drill) == (1, 1, fault.drill)


def test_a_primary_that_lacks_something_does_not_act(outage: Outage):
    """A planned handover loses nothing: before it has caught up, it waits, however long it answers."""
    outage.stage.mend()
    outage.ticks(FAILBACK_CHECKS + 2)
    assert outage.acts() == (B, 2)
    outage.tower.finish()
    outage.ticks(1)
    assert "a planned move loses nothing" in outage.tower.last_skip["recovery"]


def test_a_handover_waits_for_what_is_under_way(outage: Outage):
    """While a run of the jurisdiction goes on, the work is not taken from under it."""
    outage.stage.mend()
    outage.ticks(CATCH_UP_CHECKS)
    outage.stage.copy(outage.workload, outage.acting, "landing", "raw_data", [A])
    outage.stage.compute(outage.workload, A, 2)
    outage.ticks(FAILBACK_CHECKS)
    assert outage.acts() == (B, 2)
    assert "waits for its runs" in outage.tower.last_skip["recovery"]
    outage.tower.finish()
    outage.ticks(1)
    assert outage.acts() == (A, 3)


def test_manual_failback_waits_for_a_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With `failback: manual` the returned primary is caught up, and does not act by itself."""
    monkeypatch.setattr(recovery, "SETTLED_SECONDS", 0.0)
    outage = Outage(tmp_path, replace(example_workloads([SHOP])[0], failback=Failback.MANUAL))
    outage.stage.mend()
    assert outage.ticks(CATCH_UP_CHECKS) == [CATCH_UP]
    outage.catch_up()
    outage.ticks(FAILBACK_CHECKS)
    assert outage.acts() == (B, 2)


def test_an_evacuated_primary_is_left_alone(outage: Outage):
    """What a person took away, a person gives back."""
    taken = Evacuation(A, True, "anna", "maintenance", "2026-01-01T00:00:00+00:00")
    outage.stage.stores.register.evacuate(outage.workload, "UK", taken)
    outage.stage.mend()
    outage.ticks(CATCH_UP_CHECKS)
    outage.catch_up()
    outage.ticks(FAILBACK_CHECKS)
    assert outage.acts() == (B, 2)
    assert "evacuated" in outage.tower.last_skip["recovery"]


def test_a_platform_that_fills_itself_is_left_to_automation(tmp_path: Path):
    """Before anything landed, and right after, nobody has missed anything: no run is requested twice."""
    workload = example_workloads([SHOP])[0]
    stage = Stage(tmp_path, [workload])
    tower = Tower(stage, build_recovery(lambda: [workload]))
    assert [tower.tick("recovery") for _ in range(CATCH_UP_CHECKS + 2)] == [[]] * (CATCH_UP_CHECKS + 2)
    stage.land(workload, Acting(A, 1), b"batch 0")
    stage.copy(workload, Acting(A, 1), "landing", "raw_data", [A])
    assert [tower.tick("recovery") for _ in range(3)] == [[]] * 3


def test_flapping_every_few_seconds_causes_nothing(outage: Outage):
    """A location that answers and vanishes in turn is neither caught up with nor given work."""
    requests: list[tuple[str, list[str]]] = []
    for _ in range(8):
        outage.stage.mend()
        requests += outage.ticks(1)
        outage.stage.darken("aws")
        requests += outage.ticks(1)
        requests += asked(outage.tower.tick())
    assert requests == []
    assert outage.acts() == (B, 2)


def test_a_new_control_plane_trusts_nobody_at_once(outage: Outage):
    """Without its memory it watches every location anew, asks for what is missing, and fails back as before."""
    outage.stage.mend()
    outage.tower.cursors.clear()
    assert outage.ticks(CATCH_UP_CHECKS - 1) == []
    assert outage.ticks(1) == [CATCH_UP]
    outage.catch_up()
    outage.ticks(FAILBACK_CHECKS - CATCH_UP_CHECKS)
    assert outage.acts() == (A, 3)
