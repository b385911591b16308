"""What the commands promise: they decide as the sensors do, show it first, and refuse what is unsafe."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from mcml_assets.cli import app
from mcml_assets.domain.acting import Acting, initial_acting
from mcml_assets.failover.control import platform_control
from mcml_assets.failover.evacuations import read_evacuations
from mcml_assets.failover.plans import what_if
from mcml_assets.resources.stores import CloudStores
from mcml_assets.sensors.failover import build_failover
from mcml_assets_tests.failover.stage import Stage, example_workloads
from mcml_assets_tests.sensors.tower import Tower, asked

A, B, C = "aws/eu-west-2", "gcp/europe-west2", "azure/uksouth"
SHOP = "online_retail"


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Both example workloads when all is well, and a shell in which `mcml` finds them."""
    stage = Stage(tmp_path, example_workloads())
    stage.fill()
    monkeypatch.setenv("MCML_HOME", str(tmp_path))
    return stage


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


def test_what_if_names_the_nearest_location(stage: Stage):
    """A slip of the pen is told with what would be right."""
    result = mcml(stage, "whatif", "--down", "aws/eu-west-3")
    assert result.exit_code == 2
    assert "did you mean" in result.output


def test_failover_by_hand_is_shown_first_and_lasts(stage: Stage):
    """With --dry-run nothing changes; without it the register does, and the former location stays away until failback."""
    dry = planned(stage, "failover", SHOP, "UK", "--dry-run")[SHOP, "UK"]
    assert (dry["to"], acting(stage), read_evacuations(stage.settings)) == (B, (A, 1), ())
    result = mcml(stage, "failover", SHOP, "UK", "--to", C, "--why", "maintenance")
    assert result.exit_code == 0, result.output
    assert acting(stage) == (C, 2)
    assert [(one.location, one.workload, one.why) for one in read_evacuations(stage.settings)] == [(A, SHOP, "maintenance")]
    stage.copy(stage.workloads[SHOP], Acting(C, 2), "raw_data", "landing", [C])
    assert mcml(stage, "failback", SHOP, "UK").exit_code == 0
    assert (acting(stage), read_evacuations(stage.settings)) == ((A, 3), ())


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
    assert read_evacuations(stage.settings) == ()


def test_what_if_and_the_sensors_decide_the_same(tmp_path: Path):
    """For all 2^6 combinations of the shop's locations: the same location, epoch and runs, lawful, healthy and bounded."""
    workload = example_workloads([SHOP])[0]
    stage = Stage(tmp_path, [workload])
    stage.fill()
    tower = Tower(stage, build_failover(lambda: [workload]))
    control = platform_control(stage.settings, stage.stores.topology)
    keys = [placed.key for placed in workload.locations]
    assert len(keys) == 6
    for outage in product((False, True), repeat=len(keys)):
        dark = {key for key, is_dark in zip(keys, outage, strict=True) if is_dark}
        stage.beat()
        thought = {made.decision.jurisdiction: made.decision for made in what_if(control, [workload], dark)}
        stage.darken(*dark)
        requested = asked(tower.tick())
        runs = [run for decision in thought.values() for run in decision.runs]
        assert requested == sorted((run.partition, sorted(f"{SHOP}/{noun}" for noun in run.nouns)) for run in runs)
        for placement in workload.placements:
            decision = thought[placement.jurisdiction]
            expected = decision.after or decision.before
            assert tower.acting_known(SHOP, placement.jurisdiction) == (expected.location, expected.epoch)
            alive = [placed.key for placed in placement.locations if placed.key not in dark]
            assert expected.location in [placed.key for placed in placement.locations]
            can_change = control.register_problem(workload, placement.jurisdiction, control.probes([workload])) is None
            assert expected.location in alive or not alive or not can_change
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
