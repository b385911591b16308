"""Which cloud or location a scenario's words name, and when a jurisdiction is steady enough to break something in it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from mcml_assets.configuration.settings import DEFS, Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.configuration.workload import load_workload
from mcml_assets.domain.acting import Acting
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.failover import Health, LocationFacts, Serving, Situation
from mcml_assets.domain.scenario import Window, struck
from mcml_assets.domain.steadiness import unsteady
from mcml_assets.domain.workload import Role

TOPOLOGY = load_topology(Settings().topology_file)
WORKLOAD = load_workload(DEFS / "online_retail" / "defs.yaml", TOPOLOGY)
UK = WORKLOAD.placement("UK")
PRIMARY, STANDBY = UK.locations[0].key, UK.locations[1].key


@pytest.mark.parametrize(
    ("target", "acting", "found"),
    [
        ("acting", PRIMARY, PRIMARY),
        ("acting", STANDBY, STANDBY),
        ("acting_cloud", PRIMARY, "aws"),
        ("standby", PRIMARY, STANDBY),
        ("standby", STANDBY, PRIMARY),
        ("standby_cloud", PRIMARY, "gcp"),
        ("last", PRIMARY, "azure/uksouth"),
        ("azure/uksouth", PRIMARY, "azure/uksouth"),
        ("azure", PRIMARY, "azure"),
        ("platform", PRIMARY, "platform"),
    ],
)
def test_a_role_names_who_has_it_now(target: str, acting: str, found: str) -> None:
    """`acting` is whoever acts when the drill begins, `standby` the first other that runs a server."""
    assert struck(target, acting, UK, TOPOLOGY) == found


def test_an_unknown_target_is_told_with_the_nearest() -> None:
    """Nothing is broken for a slip of the pen."""
    with pytest.raises(ConfigurationError, match="did you mean 'aws/eu-west-2'"):
        struck("aws/eu-west2", PRIMARY, UK, TOPOLOGY)


def test_a_drill_begins_within_its_window_only() -> None:
    """Office hours are those of UTC, on the days that are named, whatever zone the caller's clock has."""
    window = Window(frozenset({0, 1}), 9 * 60, 16 * 60)
    monday = datetime(2026, 9, 21, tzinfo=UTC)
    assert window.open_at(monday.replace(hour=9))
    assert window.open_at(datetime(2026, 9, 21, 17, 59, tzinfo=timezone(timedelta(hours=2))))
    assert not window.open_at(monday.replace(hour=16))
    assert not window.open_at(monday.replace(hour=12) + timedelta(days=2))


def steady() -> Situation:
    """The UK as it stands when all is well."""
    facts = tuple(
        LocationFacts(
            placed.key, "UK", Health.UP, None, "a" * 64, 0.0, 1,
            Serving.COLD if placed.role is Role.COLD else Serving.READY, 0, features_current=True,
        )
        for placed in UK.locations
    )  # fmt: skip
    return Situation(WORKLOAD.name, "UK", Acting(PRIMARY, 1), 3600, facts, "a" * 64)


def test_a_jurisdiction_in_order_is_steady() -> None:
    """Primary acting, all up, all with the newest snapshot and one model, servers as their roles ask."""
    assert unsteady(steady(), UK) == ()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"health": Health.DOWN, "problem": "no answer"}, "it is down (no answer)"),
        ({"health": Health.UNKNOWN}, "it is unknown"),
        ({"snapshot": None}, "it holds no data"),
        ({"model": None}, "it holds no model"),
        ({"lag_seconds": None}, "its replication lag is unknown"),
        ({"lag_seconds": 5.0}, "it lacks the newest snapshot, 5 s old"),
        ({"features_current": False}, "its features are not those of its data"),
        ({"serving": Serving.NOTHING}, "no server answers there"),
        ({"model": 2}, "its locations hold different models: 1, 2"),
    ],
)
def test_each_thing_out_of_order_is_a_reason_not_to_begin(changes: dict[str, object], told: str) -> None:
    """A drill is never the second thing that goes wrong: the reason names the location."""
    now = steady()
    second = replace(now.locations[1], **changes)  # pyright: ignore[reportArgumentType] - one field at a time, by name
    reasons = unsteady(replace(now, locations=(now.locations[0], second, *now.locations[2:])), UK)
    assert any(reason.endswith(told) for reason in reasons), reasons


def test_an_open_incident_is_a_reason_not_to_begin() -> None:
    """A standby that acts, an evacuation or a silent register: somebody is busy already."""
    now = steady()
    assert "an incident is open" in unsteady(replace(now, acting=Acting(STANDBY, 2)), UK)[0]
    assert unsteady(replace(now, evacuated=frozenset([STANDBY])), UK) == (f"{STANDBY} is evacuated",)
    assert unsteady(replace(now, register_problem="nobody can tell"), UK) == ("nobody can tell",)
