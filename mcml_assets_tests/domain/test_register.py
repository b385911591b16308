"""The register's rules one by one: what an acceptor may promise and accept, what a change makes, and what it all costs."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcml_assets.domain.acting import Acting
from mcml_assets.domain.errors import CorruptSnapshot, RegisterUnavailable
from mcml_assets.domain.proposer import Get, Pause, Response, Round, Stored, propose
from mcml_assets.domain.register import (
    REMEMBERED,
    Acceptor,
    Ballot,
    Change,
    Entry,
    Evacuate,
    Evacuation,
    GiveBack,
    accept,
    changed,
    first_entry,
    made,
    majority,
    prepare,
    register_stores,
)
from mcml_assets.domain.topology import Location, Topology
from mcml_assets.domain.workload import PlacedLocation, Placement, Role

STORES = ("aws/eu-west-2", "azure/uksouth", "gcp/europe-west2")
FIRST = Entry(Acting(STORES[0], 1), "2026-01-01T00:00:00+00:00", "a test", "first use", ("first use",))
ballots = st.builds(Ballot, st.integers(1, 5), st.sampled_from("abc"))


def location(key: str, jurisdiction: str = "UK") -> Location:
    cloud, region = key.split("/")
    return Location(cloud, region, jurisdiction, f"mcml-{cloud}-{region}", Decimal(0), "USD", {})


def placement(*keys: str) -> Placement:
    return Placement("UK", tuple(PlacedLocation(location(key), Role.WARM) for key in keys))


def change(epoch: int, request_id: str, to: str = STORES[2]) -> Change:
    return Change(Acting(STORES[0], epoch), to, "2026-01-01T00:00:00+00:00", "a test", "because", request_id)


class Books:
    """Three stores that answer at once, asked by a driver that counts rounds and the requests that follow each other."""

    def __init__(self) -> None:
        self.held: dict[str, Acceptor | None] = dict.fromkeys(STORES)
        self.silent: set[str] = set()

    def ask(self, wish: Change | None, proposer: str) -> tuple[Entry, int, int]:
        proposal = propose(STORES, FIRST, wish, proposer, attempts=3)
        rounds = trips = 0
        step = next(proposal)
        try:
            while True:
                assert not isinstance(step, Pause)
                served = {store: self._serve(step, store) for store in STORES if store not in self.silent}
                rounds, trips = rounds + 1, trips + max(requests for _, requests in served.values())
                step = proposal.send({store: answer for store, (answer, _) in served.items()})
        except StopIteration as end:
            return end.value, rounds, trips

    def _serve(self, round_: Round, store: str):
        exchange, requests = round_.exchange(store), 0
        request = next(exchange)
        try:
            while True:
                requests += 1
                held = self.held[store]
                if isinstance(request, Get):
                    request = exchange.send(Response(Stored(held or Acceptor(STORES), held)))
                else:
                    assert request.version == held
                    self.held[store] = request.acceptor
                    request = exchange.send(Response(Stored(request.acceptor, request.acceptor)))
        except StopIteration as end:
            return end.value, requests


def test_a_read_costs_one_round_trip_and_a_change_three() -> None:
    """Two stores are enough for the same; a refused change costs what a read does."""
    for silent in (set[str](), {STORES[1]}):
        books = Books()
        books.silent = silent
        assert books.ask(None, "p1") == (FIRST, 3, 3)
        assert books.ask(None, "p2") == (FIRST, 1, 1)
        entry, rounds, trips = books.ask(change(1, "r1"), "p3")
        assert (entry.acting, rounds, trips) == (Acting(STORES[2], 2), 3, 3)
        refused, rounds, trips = books.ask(change(1, "r2"), "p4")
        assert (refused, rounds, trips) == (entry, 1, 1)


def test_a_store_that_missed_a_change_is_brought_in_step_by_the_read_that_meets_it() -> None:
    books = Books()
    books.ask(None, "p1")
    books.silent = {STORES[0]}
    moved, _, _ = books.ask(change(1, "r1"), "p2")
    books.silent = {STORES[1]}
    assert books.ask(None, "p3") == (moved, 3, 3)
    assert books.ask(None, "p4") == (moved, 1, 1)


def test_without_a_majority_the_error_says_that_nothing_was_changed() -> None:
    books = Books()
    books.silent = {STORES[0], STORES[2]}
    with pytest.raises(RegisterUnavailable, match="1 of its 3 stores answered, and 2 must") as raised:
        books.ask(change(1, "r1"), "p1")
    assert not raised.value.may_have_happened


@given(st.lists(st.tuples(st.booleans(), ballots)))
def test_an_acceptor_never_goes_below_what_it_promised(messages: list[tuple[bool, Ballot]]) -> None:
    acceptor = Acceptor(STORES)
    for is_accept, ballot in messages:
        after = accept(acceptor, ballot, FIRST) if is_accept else prepare(acceptor, ballot)
        if ballot < acceptor.promised:
            assert after is None
            continue
        assert after is not None
        assert after.promised == ballot
        assert after.accepted == (ballot if is_accept else acceptor.accepted)
        # What a conditional put compares never comes back.
        assert after == acceptor or (after.promised, after.accepted) > (acceptor.promised, acceptor.accepted)
        acceptor = after


@given(st.builds(Acceptor, st.just(STORES), ballots, ballots, st.none() | st.just(changed(FIRST, change(1, "r1")))))
def test_what_is_stored_is_read_back_and_damage_is_recognised(acceptor: Acceptor) -> None:
    stored = acceptor.to_json()
    assert Acceptor.from_json(stored) == acceptor
    for place in range(0, len(stored), 7):
        damaged = stored[:place] + bytes([stored[place] ^ 1]) + stored[place + 1 :]
        with pytest.raises(CorruptSnapshot):
            Acceptor.from_json(damaged)


def test_a_change_is_made_once_and_known_as_long_as_it_is_remembered() -> None:
    entry = FIRST
    for epoch in range(1, REMEMBERED + 1):
        wish = replace(change(epoch, f"r{epoch}", to=STORES[0]))
        assert not made(entry, wish)
        entry = changed(entry, wish)
        assert entry.acting.epoch == epoch + 1
        assert changed(entry, wish) == entry
        assert made(entry, change(1, "r1"))
        assert not made(entry, change(1, "another"))
    assert len(entry.request_ids) == REMEMBERED


def test_an_evacuation_lasts_through_changes_and_nothing_moves_there_until_it_is_given_back() -> None:
    """It grows no epoch, the same one twice is one, and one of all workloads is not ended by giving back one of them."""
    whole, single = (
        Evacuation(STORES[2], whole, "anna", "maintenance", "2026-01-01T00:00:00+00:00") for whole in (True, False)
    )
    entry = changed(changed(FIRST, Evacuate(whole)), Evacuate(single))
    assert (entry.acting, entry.evacuated) == (FIRST.acting, {STORES[2]})
    assert changed(entry, Evacuate(replace(whole, why="again"))) == entry
    assert changed(entry, change(1, "r1", to=STORES[2])) == entry
    moved = changed(entry, change(1, "r2", to=STORES[1]))
    assert (moved.acting, moved.evacuations) == (Acting(STORES[1], 2), (whole, single))
    assert changed(moved, GiveBack(STORES[2])).evacuations == (whole,)
    assert changed(moved, GiveBack(STORES[2], also_whole=True)).evacuations == ()
    assert changed(moved, GiveBack(STORES[0], also_whole=True)) == moved
    assert Acceptor.from_json(Acceptor(STORES, entry=moved).to_json()).entry == moved


def test_a_register_is_spread_over_three_clouds_whatever_the_order_of_the_placement() -> None:
    keys = ("aws/eu-west-2", "aws/eu-central-1", "gcp/europe-west2", "azure/westeurope", "azure/uksouth", "oci/uk-london-1")
    eu = {"aws/eu-central-1", "azure/westeurope"}
    topology = Topology("test", {key: location(key, "EU" if key in eu else "UK") for key in keys})
    assert register_stores(placement(*STORES), topology) == STORES
    assert register_stores(placement(*reversed(STORES)), topology) == STORES
    # A cloud that the placement does not use is the witness, where possible in the same jurisdiction.
    assert register_stores(placement("aws/eu-west-2", "gcp/europe-west2"), topology) == STORES
    two = Topology("test", {key: topology.locations[key] for key in keys[:3]})
    assert register_stores(placement("aws/eu-west-2"), two) == ("aws/eu-west-2", "gcp/europe-west2")
    assert [majority(STORES[:count]) for count in (1, 2, 3)] == [1, 2, 2]


def test_the_first_use_makes_the_primary_act_in_the_first_epoch() -> None:
    assert first_entry(placement("gcp/europe-west2", "aws/eu-west-2"), "now", "me").acting == Acting("gcp/europe-west2", 1)
