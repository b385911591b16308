"""What the commands promise: they decide as the sensors do, show it first, and refuse what is unsafe."""

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from mcml_assets.cli import app
from mcml_assets.clouds.local.store import LocalStore
from mcml_assets.domain.acting import Acting, initial_acting
from mcml_assets.domain.failover import Health
from mcml_assets.domain.register import majority, register_stores
from mcml_assets.domain.workload import Role
from mcml_assets.failover.control import platform_control
from mcml_assets.failover.plans import what_if
from mcml_assets.resources.stores import CloudStores
from mcml_assets.sensors.failover import build_failover
from mcml_assets_tests.failover.stage import Stage, example_workloads
from mcml_assets_tests.sensors.tower import Tower, asked

A, B, C = "aws/eu-west-2", "gcp/europe-west2", "azure/uksouth"
SHOP = "online_retail"


@pytest.fixture
def stage(stage_in_shell: Stage) -> Stage:
    return stage_in_shell


def mcml(stage: Stage, *arguments: str) -> Result:
    stage.beat()
    return CliRunner().invoke(app, list(arguments))


def planned(stage: Stage, *arguments: str) -> dict[tuple[str, str], dict[str, Any]]:
    """The JSON of a command, by workload and jurisdiction."""
    result = mcml(stage, *arguments, "--json")
    assert result.exit_code in (0, 1), result.output
    return {(plan["workload"], plan["jurisdiction"]): plan for plan in json.loads(result.stdout)}


def acting(stage: Stage, jurisdiction: str = "UK") -> tuple[str, int]:
    acting = CloudStores.from_settings(stage.settings).register.read(stage.workloads[SHOP], jurisdiction)
    return acting.location, acting.epoch


def counting(method: Callable[..., Any], calls: list[str]) -> Callable[..., Any]:
    """The method, which notes every call."""

    def counted(self: LocalStore, key: str) -> Any:
        calls.append(key)
        return method(self, key)

    return counted


def evacuations(stage: Stage) -> list[tuple[str, bool, str]]:
    """What is kept away from in the UK, as any other machine would read it: where, whether from all, and why."""
    entry = CloudStores.from_settings(stage.settings).register.entry(stage.workloads[SHOP], "UK")
    return [(one.location, one.whole, one.why) for one in entry.evacuations]


def test_what_if_says_what_would_move_and_touches_nothing(stage: Stage):
    """Each jurisdiction's decision with where it would go, what it would request, cost and lose; and all is as it was."""
    plans = planned(stage, "whatif", "--down", "aws")
    moved = plans[SHOP, "UK"]
    assert (moved["decision"], moved["from"], moved["to"], moved["epoch"]) == ("moves", A, B, 2)
    assert moved["requested"] == [{"partition": "UK", "assets": ["landing", "traffic_route"]}]
    assert (moved["copied_bytes"], moved["cost"], moved["left_behind_snapshot"]) == (0, 0.0, None)
    assert moved["residency"] == "stays in UK"
    assert plans[SHOP, "EU"]["decision"] == "stays"
    assert acting(stage) == (A, 1)
    assert "moves from aws/eu-west-2" in " ".join(mcml(stage, "whatif", "--down", "aws").output.split())


def test_what_if_says_what_would_be_lost(stage: Stage):
    """A batch that no standby has yet would be left behind, by name and age."""
    newer = stage.land(stage.workloads[SHOP], Acting(A, 1), b"batch 0", b"batch 1")
    moved = planned(stage, "whatif", "--down", A)[SHOP, "UK"]
    assert moved["left_behind_snapshot"] == newer.snapshot_id
    assert moved["lag_seconds"] >= 0


def test_what_if_says_who_answers_and_what_must_return_where_nothing_may_move(stage: Stage):
    """With two of three clouds dark the edge goes on with the third; its work waits for one of the two, and no order helps."""
    stuck = planned(stage, "whatif", "--down", "aws", "--down", "gcp")[SHOP, "UK"]
    assert (stuck["decision"], stuck["answered_by"]) == ("stays", [C])
    way_out = f"1 of {A}, {B} must answer again; before, nothing is committed and no move is safe, also not by hand"
    assert (stuck["way_out"], stuck["uncertain"]) == (way_out, None)
    said = " ".join(mcml(stage, "whatif", "--down", "aws", "--down", "gcp").output.split())
    assert f"callers are answered by {C}; 1 of {A}, {B} must answer again" in said
    stage.darken("aws", "gcp")
    refused = mcml(stage, "failover", SHOP, "UK", "--to", C, "--accept-loss")
    assert refused.exit_code == 1
    assert "1 of its 3 stores answered, and 2 must" in " ".join(refused.output.split())


def test_what_if_of_fifty_workloads_asks_each_location_a_bounded_number_of_questions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Every jurisdiction gets its plan, all that acted in the dark cloud move, and the cost grows with their number alone."""
    few, many = (Stage(tmp_path / str(copies), example_workloads(copies=copies)) for copies in (2, 25))
    costs = []
    for stage in (few, many):
        stage.fill()
        control = platform_control(stage.settings, stage.stores.topology)
        # The first probe opens the stores; a location whose answer is late is unknown, and less is asked about it.
        assert all(probe.health is Health.UP for probe in control.probes(list(stage.workloads.values())).values())
        asked_for: list[str] = []
        monkeypatch.setattr(LocalStore, "get_with_meta", counting(LocalStore.get_with_meta, asked_for))
        with stage.beating():
            plans = what_if(control, list(stage.workloads.values()), ["aws"])
        monkeypatch.undo()
        assert len(plans) == sum(len(workload.placements) for workload in stage.workloads.values())
        assert {made.decision.before.location for made in plans if made.decision.moves} == {"aws/eu-west-2", "aws/us-east-1"}
        assert sum(made.decision.moves for made in plans) == len(stage.workloads)
        # The register is satisfied by a majority: whether its last store was asked before that is a matter of chance.
        votes = [key for key in asked_for if key.startswith("_register/")]
        assert len(votes) <= 3 * len(plans)
        costs.append((len(asked_for) - len(votes)) / len(plans))
    assert costs[1] <= costs[0]


def test_what_if_names_the_nearest_location(stage: Stage):
    """A slip of the pen is told with what would be right."""
    result = mcml(stage, "whatif", "--down", "aws/eu-west-3")
    assert result.exit_code == 2
    assert "did you mean" in result.output


def test_failover_by_hand_is_shown_first_and_lasts(stage: Stage):
    """With --dry-run nothing changes; without it the register does, and the former location stays away until failback."""
    dry = planned(stage, "failover", SHOP, "UK", "--dry-run")[SHOP, "UK"]
    assert (dry["to"], acting(stage), evacuations(stage)) == (B, (A, 1), [])
    result = mcml(stage, "failover", SHOP, "UK", "--to", C, "--why", "maintenance")
    assert result.exit_code == 0, result.output
    assert acting(stage) == (C, 2)
    assert evacuations(stage) == [(A, False, "maintenance")]
    (shown,) = [row for row in json.loads(mcml(stage, "register", "show", "--json").stdout)
                if (row["workload"], row["jurisdiction"]) == (SHOP, "UK")]  # fmt: skip
    assert [(one["location"], one["why"]) for one in shown["evacuated"]] == [(A, "maintenance")]
    assert f"keeps away from {A}" in " ".join(mcml(stage, "register", "show").output.split())
    stage.copy(stage.workloads[SHOP], Acting(C, 2), "raw_data", "landing", [C])
    assert mcml(stage, "failback", SHOP, "UK").exit_code == 0
    assert (acting(stage), evacuations(stage)) == ((A, 3), [])


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["failover", SHOP, "UK", "--to", "azure/westeurope", "--accept-loss"], 1, "not in the placement"),
        (["failover", SHOP, "EU", "--to", "aws/eu-central-1", "--accept-loss"], 1, "its server is cold"),
        (["failover", SHOP, "US"], 2, "not placed in jurisdiction"),
        (["failover", "online_retial", "UK"], 2, "did you mean"),
        (["failback", SHOP, "UK"], 1, "the primary acts"),
        (["evacuate", "aws/eu-west-9"], 2, "did you mean"),
    ],
)
def test_what_is_unsafe_or_unknown_is_refused(stage: Stage, arguments: list[str], code: int, said: str):
    """Never across jurisdictions, never to a server that does not run, never on a name that is wrong; and nothing changes."""
    result = mcml(stage, *arguments)
    assert result.exit_code == code, result.output
    assert said in " ".join(result.output.split())
    assert acting(stage) == (A, 1)


def test_a_location_that_lacks_something_takes_over_only_on_a_persons_word(stage: Stage):
    """A planned move loses nothing, unless somebody accepts the loss."""
    stage.land(stage.workloads[SHOP], Acting(A, 1), b"batch 0", b"batch 1")
    assert mcml(stage, "failover", SHOP, "UK").exit_code == 1
    assert acting(stage) == (A, 1)
    lossy = planned(stage, "failover", SHOP, "UK", "--accept-loss", "--dry-run")[SHOP, "UK"]
    assert lossy["copied_bytes"] == len(b"batch 1")
    assert (lossy["cost"], lossy["currency"]) == (pytest.approx(0.09 * len(b"batch 1") / 2**30), "USD")
    assert mcml(stage, "failover", SHOP, "UK", "--accept-loss").exit_code == 0
    assert acting(stage) == (B, 2)


def test_an_evacuated_location_is_left_by_all_and_chosen_by_none(stage: Stage):
    """Every workload that acts there moves, and while it lasts the location takes nothing over."""
    plans = planned(stage, "evacuate", A, "--dry-run")
    assert list(plans) == [(SHOP, "UK")]
    assert acting(stage) == (A, 1)
    assert mcml(stage, "evacuate", A).exit_code == 0
    assert acting(stage) == (B, 2)
    rejected = planned(stage, "whatif", "--down", "gcp")[SHOP, "UK"]["rejected"]
    assert [one["reason"] for one in rejected if one["location"] == A] == ["evacuated: a person took the work from it"]
    assert mcml(stage, "evacuate", A, "--end").exit_code == 0
    assert evacuations(stage) == []


def test_an_order_by_hand_fences_as_a_sensor_does(stage: Stage):
    """A writer of the former epoch, held up since before `mcml failover`, is refused in every location that answers."""
    assert mcml(stage, "failover", SHOP, "UK").exit_code == 0
    for location in (A, B, C):
        pointer = stage.snapshots(stage.workloads[SHOP], location, "raw_data").current_pointer()
        assert pointer is not None
        assert pointer.refuses_below == 2


@pytest.mark.parametrize("name", ["credit_scoring", SHOP])
def test_what_if_and_the_sensors_decide_the_same(tmp_path: Path, name: str):
    """For all combinations of a workload's locations: the same location, epoch and runs, lawful, healthy and bounded.

    2^3 and 2^6 stand for the 2^9 of the topology: what is decided about a workload is read from its own locations, as the
    test asserts. The one case in which a jurisdiction stays without a healthy acting location although one is there: two of
    the three clouds that keep its register are dark. Nothing may move then, and what-if says so.
    """
    workload = example_workloads([name])[0]
    stage = Stage(tmp_path, [workload])
    stage.fill()
    tower = Tower(stage, build_failover(lambda: [workload], look_again_seconds=0.0))
    control = platform_control(stage.settings, stage.stores.topology)
    keys = [placed.key for placed in workload.locations]
    kept = {store for placement in workload.placements for store in register_stores(placement, control.topology)}
    assert set(control.probes([workload])) == set(keys) | kept == set(keys)
    for outage in product((False, True), repeat=len(keys)):
        dark = {key for key, is_dark in zip(keys, outage, strict=True) if is_dark}
        stage.beat()
        plans = {made.decision.jurisdiction: made for made in what_if(control, [workload], dark)}
        thought = {jurisdiction: made.decision for jurisdiction, made in plans.items()}
        stage.darken(*dark)
        requested = asked(tower.tick())
        runs = [run for decision in thought.values() for run in decision.runs]
        assert requested == sorted((run.partition, sorted(f"{name}/{noun}" for noun in run.nouns)) for run in runs)
        for placement in workload.placements:
            decision = thought[placement.jurisdiction]
            expected = decision.after or decision.before
            assert tower.acting_known(name, placement.jurisdiction) == (expected.location, expected.epoch)
            alive = [placed.key for placed in placement.locations if placed.key not in dark]
            lawful = {key for key in keys if control.topology.location(key).jurisdiction == placement.jurisdiction}
            assert expected.location in lawful
            assert {run.partition for run in decision.runs} <= lawful | {placement.jurisdiction}
            stores = register_stores(placement, control.topology)
            can_change = len([store for store in stores if store not in dark]) >= majority(stores)
            assert expected.location in alive or not alive or not can_change
            plan = plans[placement.jurisdiction]
            # Where nothing can be committed, what-if says who answers meanwhile, and what has to come back first.
            assert (plan.way_out is not None) == (not can_change)
            assert all(store in (plan.way_out or "") for store in stores if store in dark) or plan.way_out is None
            running = [placed.key for placed in placement.locations if placed.role is not Role.COLD]
            assert plan.answered_by == tuple(key for key in running if key in alive)
            assert len(decision.runs) <= len(placement.locations)
        stage.mend()
        _return_to_primaries(stage, tower)


def _return_to_primaries(stage: Stage, tower: Tower) -> None:
    """Let the primaries act again in the epoch that follows, as if nothing had been, and the sensor know of it."""
    for workload, placement in stage.jurisdictions:
        register = CloudStores.from_settings(stage.settings).register
        now = register.read(workload, placement.jurisdiction)
        primary = initial_acting(placement).location
        if now.location != primary:
            back = Acting(primary, now.epoch + 1)
            register.change(workload, placement.jurisdiction, now, back, who="test", why="test", request_id=str(back.epoch))
    tower.tick()
    tower.tick()
