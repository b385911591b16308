"""What the register promises to whoever asks who is acting, over stores that fail."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import combinations

import pytest

from mcml_assets.domain.acting import Acting
from mcml_assets.domain.errors import (
    ConfigurationError,
    LocationUnavailable,
    RegisterUnavailable,
    ResidencyViolation,
    StaleEpoch,
)
from mcml_assets.domain.register import Acceptor, Ballot, Evacuation, register_stores
from mcml_assets.domain.workload import Workload
from mcml_assets.register.quorum import FOLDER, QuorumRegister, Replica
from mcml_assets.register.rounds import Lane
from mcml_assets_tests.register.stores import QUICK, TOPOLOGY, UK, Clouds, TroubledStore, settle

PRIMARY = Acting("aws/eu-west-2", 1)
MOVED = Acting("gcp/europe-west2", 2)


def move(register: QuorumRegister, workload: Workload, request_id: str = "move", expected: Acting = PRIMARY) -> Acting:
    new = Acting(MOVED.location if expected.location == PRIMARY.location else PRIMARY.location, expected.epoch + 1)
    return register.change(workload, "UK", expected, new, who="a test", why=f"because of {request_id}", request_id=request_id)


@pytest.mark.parametrize("down", list(combinations(UK, 2)))
def test_without_a_majority_nothing_is_read_or_changed_and_the_error_moves_nothing(
    down: tuple[str, str], clouds: Clouds, workload: Workload
) -> None:
    register = clouds.register()
    assert register.read(workload, "UK") == PRIMARY
    clouds.take_down(*down)
    with pytest.raises(RegisterUnavailable, match="1 of its 3 stores answered, and 2 must") as unreadable:
        register.read(workload, "UK")
    assert all(f"{store}: {store} is unavailable" in str(unreadable.value) for store in down)
    with pytest.raises(RegisterUnavailable) as unchanged:
        move(register, workload)
    # No kind of the one error that moves work, and nothing was written that could move it later.
    assert not isinstance(unchanged.value, LocationUnavailable)
    assert not unchanged.value.may_have_happened
    clouds.take_down()
    assert register.read(workload, "UK") == PRIMARY


@pytest.mark.parametrize("down", UK)
def test_any_one_store_may_be_down_from_the_first_use_on(down: str, clouds: Clouds, workload: Workload) -> None:
    clouds.take_down(down)
    assert clouds.register().read(workload, "UK") == PRIMARY
    assert move(clouds.register(), workload) == MOVED
    clouds.take_down(next(store for store in UK if store != down))
    # The store that missed it all is half of the majority now.
    assert clouds.register().read(workload, "UK") == MOVED


def test_a_change_is_refused_when_another_was_made_and_the_refusal_names_who_is_acting(
    clouds: Clouds, workload: Workload
) -> None:
    register = clouds.register()
    move(register, workload, "first")
    with pytest.raises(StaleEpoch, match=r"gcp/europe-west2 of epoch 2 is, since .*: because of first"):
        move(register, workload, "second")
    assert register.read(workload, "UK") == MOVED


def test_the_same_change_asked_for_again_happens_once_also_after_later_ones(clouds: Clouds, workload: Workload) -> None:
    register = clouds.register()
    assert move(register, workload, "once") == move(clouds.register(), workload, "once") == MOVED
    move(register, workload, "back", expected=MOVED)
    assert move(register, workload, "once") == MOVED
    assert register.read(workload, "UK") == Acting("aws/eu-west-2", 3)


@pytest.mark.parametrize("lost", UK)
def test_an_evacuation_outlives_any_one_store_and_every_process(lost: str, clouds: Clouds, workload: Workload) -> None:
    """Who reads it later finds it without the store that is lost, a change to that location is refused, and it ends once."""
    taken = Evacuation(MOVED.location, True, "anna", "maintenance", "2026-01-01T00:00:00+00:00")
    assert clouds.register().evacuate(workload, "UK", taken).acting == PRIMARY
    clouds.take_down(lost)
    assert clouds.register().entry(workload, "UK").evacuations == (taken,)
    with pytest.raises(StaleEpoch, match=r"a person took the work from gcp/europe-west2 meanwhile"):
        move(clouds.register(), workload)
    assert not clouds.register().give_back(workload, "UK", MOVED.location)
    assert clouds.register().give_back(workload, "UK", MOVED.location, also_whole=True)
    assert not clouds.register().give_back(workload, "UK", MOVED.location, also_whole=True)
    assert move(clouds.register(), workload) == MOVED
    with pytest.raises(ConfigurationError, match="'azure/westeurope' is not in the placement of churn in UK"):
        clouds.register().evacuate(workload, "UK", replace(taken, location="azure/westeurope"))


def test_exactly_one_of_many_writers_at_once_wins(clouds: Clouds, workload: Workload) -> None:
    def attempt(number: int) -> str:
        try:
            move(clouds.register(), workload, f"writer {number}")
        except StaleEpoch:
            return "refused"
        return "won"

    with ThreadPoolExecutor(6) as writers:
        outcomes = sorted(writers.map(attempt, range(6)))
    assert outcomes == ["refused"] * 5 + ["won"]
    assert clouds.register().read(workload, "UK") == MOVED


def test_a_proposer_that_others_always_overtake_gives_up_and_says_whether_its_change_may_have_happened(
    clouds: Clouds, workload: Workload
) -> None:
    register = clouds.register(replace(QUICK, attempts=3))
    register.read(workload, "UK")
    settle()
    for store in clouds.stores.values():
        store.before_put = overtake
    with pytest.raises(RegisterUnavailable, match="other proposers were faster in 3 attempts") as raised:
        move(register, workload)
    # It never came so far as to write its change anywhere.
    assert not raised.value.may_have_happened
    for store in clouds.stores.values():
        store.before_put = None
    assert move(clouds.register(), workload) == MOVED


def overtake(store: TroubledStore, key: str) -> None:
    """Another proposer, with a higher ballot, between a read and the put that follows it."""
    acceptor = Acceptor.from_json(store.get(key))
    rival = Ballot(acceptor.promised.counter + 1_000, "rival")
    store.put(key, replace(acceptor, promised=rival).to_json())


def test_requests_to_a_store_that_hangs_are_bounded_for_all_registers_of_a_process(clouds: Clouds, workload: Workload) -> None:
    clouds.register().read(workload, "UK")
    settle()
    clouds.stores["gcp/europe-west2"].released.clear()
    limits, lanes = replace(QUICK, outstanding=3), dict[str, Lane]()
    for _ in range(6):
        register = QuorumRegister(TOPOLOGY, lambda location: clouds.stores[location], limits, lanes=lanes)
        assert register.read(workload, "UK") == PRIMARY
    assert sum(thread.name == "register-gcp/europe-west2" for thread in threading.enumerate()) == 3
    clouds.stores["gcp/europe-west2"].released.set()


def test_a_store_that_hangs_holds_up_nobody_and_is_told_of(clouds: Clouds, workload: Workload) -> None:
    register = clouds.register()
    clouds.stores["gcp/europe-west2"].released.clear()
    assert move(register, workload) == MOVED
    states = {replica.location: (replica.state, replica.epoch) for replica in register.survey(workload, "UK").replicas}
    assert states == {
        "aws/eu-west-2": ("in step", 2), "azure/uksouth": ("in step", 2), "gcp/europe-west2": ("unreachable", None)
    }  # fmt: skip
    clouds.stores["azure/uksouth"].released.clear()
    with pytest.raises(RegisterUnavailable, match="gcp/europe-west2: no answer in time"):
        register.read(workload, "UK")
    for store in clouds.stores.values():
        store.released.set()


def test_a_read_of_what_is_agreed_asks_each_store_once_and_writes_nothing(clouds: Clouds, workload: Workload) -> None:
    register = clouds.register()
    move(register, workload)
    settle()
    assert register.survey(workload, "UK").replicas == tuple(Replica(store, "in step", 2) for store in UK)
    clouds.requests()
    register.read(workload, "UK")
    assert clouds.requests() == {"get_with_meta": 3}


def test_the_work_of_a_jurisdiction_never_leaves_it_and_an_epoch_never_jumps(clouds: Clouds, workload: Workload) -> None:
    register = clouds.register()
    with pytest.raises(ResidencyViolation, match="'azure/westeurope' is not in the placement of churn in UK"):
        register.change(workload, "UK", PRIMARY, Acting("azure/westeurope", 2), who="a test", why="", request_id="t")
    with pytest.raises(ConfigurationError, match="after epoch 1 comes 2, not 3"):
        register.change(workload, "UK", PRIMARY, Acting("gcp/europe-west2", 3), who="a test", why="", request_id="t")


def test_a_damaged_object_counts_as_a_store_that_does_not_answer(clouds: Clouds, workload: Workload) -> None:
    register = clouds.register()
    move(register, workload)
    key = f"{FOLDER}/churn/UK.json"
    damaged = clouds.stores["aws/eu-west-2"]
    damaged.put(key, damaged.get(key).replace(b'"epoch":2', b'"epoch":9'))
    assert register.read(workload, "UK") == MOVED
    [replica] = [replica for replica in register.survey(workload, "UK").replicas if replica.location == "aws/eu-west-2"]
    assert (replica.state, replica.problem) == ("unreachable", "register is damaged: its fields are not those that were stored")


def test_a_register_stays_with_its_stores_when_the_placement_would_choose_others(clouds: Clouds, workload: Workload) -> None:
    move(clouds.register(), workload)
    # The same platform after its topology lost azure/uksouth: another witness would be chosen now.
    locations = {key: location for key, location in TOPOLOGY.locations.items() if key != "azure/uksouth"}
    without = replace(TOPOLOGY, locations=locations)
    assert register_stores(workload.placement("UK"), without) == ("aws/eu-west-2", "azure/westeurope", "gcp/europe-west2")
    register = QuorumRegister(without, lambda location: clouds.stores[without.location(location).key], QUICK)
    assert register.read(workload, "UK") == MOVED
    clouds.take_down("aws/eu-west-2")
    with pytest.raises(RegisterUnavailable, match="unknown location 'azure/uksouth'"):
        register.read(workload, "UK")
