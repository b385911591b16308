"""The fault plan of a running platform: every process obeys it, it ends by itself, and it never reaches production unasked."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from mcml_assets.clouds.fault_plan import FaultPlan, clear_all_faults, clear_fault, faults_allowed, list_faults, set_fault
from mcml_assets.clouds.registry import open_store, provision
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError, LocationUnavailable
from mcml_assets.domain.faults import Fault, FaultKind
from mcml_assets.domain.topology import Location, Topology

KEYS = ("aws/eu-west-2", "gcp/europe-west2")


def location(key: str) -> Location:
    cloud, _, region = key.partition("/")
    return Location(cloud, region, "UK", f"mcml-{region}", Decimal("0.09"), "USD", {})


TOPOLOGY = Topology("local", {key: location(key) for key in KEYS})
AWS = TOPOLOGY.locations[KEYS[0]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(home=tmp_path / "home", profile="local")
    provision(TOPOLOGY, settings)
    return settings


def an_outage(target: str = "aws", lasts: float = 600, why: str = "") -> Fault:
    now = datetime.now(UTC)
    return Fault(target, FaultKind.OUTAGE, now, now + timedelta(seconds=lasts), why=why)


def test_an_opened_store_obeys_the_plan(settings: Settings):
    """A fault strikes stores that were open before it was set, at their next request, until it is cleared."""
    store = open_store(AWS, settings)
    store.put("a", b"1")
    fault = set_fault(an_outage(), TOPOLOGY, settings)
    with pytest.raises(LocationUnavailable, match="aws/eu-west-2"):
        store.get("a")
    open_store(TOPOLOGY.locations[KEYS[1]], settings).put("a", b"2")
    assert clear_fault(fault.id, settings) == fault
    assert store.get("a") == b"1"


def test_an_expired_fault_drops_out(settings: Settings):
    """After its time a fault strikes nothing and is not listed, and the next change removes it from the file."""
    store = open_store(AWS, settings)
    set_fault(an_outage(lasts=0.3), TOPOLOGY, settings)
    with pytest.raises(LocationUnavailable):
        list(store.list(""))
    time.sleep(0.3)
    assert list(store.list("")) == []
    assert list_faults(settings) == ()
    later = set_fault(an_outage("gcp"), TOPOLOGY, settings)
    assert FaultPlan(settings.faults_file).faults() == (later,)


def test_faults_are_listed_and_cleared_one_by_one_or_all(settings: Settings):
    """Faults are listed in the order in which they were set; one is cleared by its id, all of them at once."""
    assert list_faults(settings) == ()
    assert clear_all_faults(settings) == 0
    one, two, three = (set_fault(an_outage(target), TOPOLOGY, settings) for target in ("aws", KEYS[0], "gcp"))
    assert list_faults(settings) == (one, two, three)
    clear_fault(two.id, settings)
    assert list_faults(settings) == (one, three)
    with pytest.raises(ConfigurationError, match=f"no fault has the id '{two.id}'"):
        clear_fault(two.id, settings)
    assert clear_all_faults(settings) == 2
    assert list_faults(settings) == ()
    with pytest.raises(ConfigurationError, match="none is set"):
        clear_fault(one.id, settings)


def test_an_unknown_target_is_refused_with_the_nearest(settings: Settings):
    """A misspelt cloud or location is no fault at all, and the answer names the one that was meant."""
    for wrong, right in (("asw", "aws"), ("aws/eu-west2", "aws/eu-west-2")):
        with pytest.raises(ConfigurationError, match=f"unknown cloud or location '{wrong}'; did you mean '{right}'"):
            set_fault(an_outage(wrong), TOPOLOGY, settings)
    assert not settings.faults_file.exists()


def test_of_faults_that_are_set_at_once_none_is_lost(settings: Settings):
    """Many who set faults at the same time replace the plan one after the other."""
    planned = [an_outage(why=str(number)) for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda fault: set_fault(fault, TOPOLOGY, settings), planned))
    assert {fault.why for fault in list_faults(settings)} == {str(number) for number in range(40)}


@pytest.mark.parametrize("damage", [b"{", b"[]", b'{"format": 2, "faults": []}', b'{"format": 1, "faults": [{}]}', b"\xff"])
def test_an_unreadable_plan_is_told_and_can_be_replaced(settings: Settings, damage: bytes):
    """A damaged plan stops whoever would have to obey it, with the way out; and clearing all faults mends it."""
    store = open_store(AWS, settings)
    settings.faults_file.write_bytes(damage)
    for act in (lambda: store.get("a"), lambda: list_faults(settings), lambda: set_fault(an_outage(), TOPOLOGY, settings)):
        with pytest.raises(ConfigurationError, match=r"faults\.json is no readable fault plan.*mcml fault clear --all"):
            act()
    assert clear_all_faults(settings) == 0
    assert list(store.list("")) == []


def production(tmp_path: Path) -> Settings:
    topology = tmp_path / "production.yaml"
    return Settings(home=tmp_path / "home", profile="local", topology=topology)


def test_production_does_not_obey_a_plan_that_lies_about(settings: Settings, tmp_path: Path):
    """On another topology than local and emulated, whatever the profile is called, a plan is neither obeyed nor made."""
    set_fault(an_outage(), TOPOLOGY, settings)
    elsewhere = production(tmp_path)
    assert list(open_store(AWS, elsewhere).list("")) == []
    assert list_faults(elsewhere) == ()
    with pytest.raises(ConfigurationError, match=r"'production'.*MCML_FAULTS_ALLOWED=1"):
        set_fault(an_outage(), TOPOLOGY, elsewhere)


def test_production_obeys_with_leave(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A process that was started with MCML_FAULTS_ALLOWED=1 obeys the plan, whatever its topology: for drills."""
    monkeypatch.setenv("MCML_FAULTS_ALLOWED", "1")
    elsewhere = production(tmp_path)
    assert faults_allowed(elsewhere)
    set_fault(an_outage(), TOPOLOGY, elsewhere)
    with pytest.raises(LocationUnavailable):
        open_store(AWS, elsewhere).get("a")


def test_the_plan_is_parsed_only_when_it_changed(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """Asking the plan costs one look at its file; it is read again only after a change."""
    set_fault(an_outage("gcp"), TOPOLOGY, settings)
    plan = FaultPlan(settings.faults_file)
    read: list[Path] = []
    whole = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path) or whole(path))
    for _ in range(100):
        assert len(plan.faults()) == 1
    assert len(read) == 1
    set_fault(an_outage("aws"), TOPOLOGY, settings)
    read.clear()
    assert len(plan.faults()) == 2
    assert len(read) == 1
