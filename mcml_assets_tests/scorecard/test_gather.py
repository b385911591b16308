"""What the scorecard of an instance promises: every point names its event, and nothing else raises it."""

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import dagster as dg
import jsonschema
import pytest

from mcml_assets.configuration.scenario_files import scenario_files
from mcml_assets.configuration.settings import DEFS, Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.configuration.workload import load_workload
from mcml_assets.declaration import asset_key
from mcml_assets.domain.scorecard import DAY
from mcml_assets.scorecard.gather import CHECKED, WEIGHTS, gather
from mcml_assets.scorecard.page import TEMPLATE
from mcml_assets.scorecard.publish import publish

WORKLOAD = load_workload(DEFS / "online_retail" / "defs.yaml", load_topology(Settings().topology_file))
LOCATION, STANDBY = "aws/eu-west-2", "gcp/europe-west2"
SCHEMA = json.loads(TEMPLATE.with_name("scorecard.schema.json").read_text())


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def drilled(
    instance: dg.DagsterInstance, verdict: str, jurisdiction: str = "UK", scenario: str = "region_outage", **said: float
) -> None:
    where = {"jurisdiction": jurisdiction, "location": LOCATION}
    span = {"began": dg.MetadataValue.timestamp(time.time() - 60), "ended": dg.MetadataValue.timestamp(time.time())}
    metadata = {"verdict": verdict, **where, "drill": "20260921T120000-ab12", **span, **said}
    instance.report_runless_asset_event(
        dg.AssetMaterialization(asset_key(WORKLOAD, "drill_result"), partition=scenario, metadata=metadata)
    )


def checked(instance: dg.DagsterInstance, check: str, noun: str, location: str, *, passed: bool) -> None:
    """Report a result from a run of its own, as jobs do."""

    @dg.op
    def report() -> Iterator[dg.AssetCheckEvaluation | dg.Output[None]]:
        yield dg.AssetCheckEvaluation(
            asset_key=asset_key(WORKLOAD, noun), check_name=check, passed=passed, metadata={}, partition=location
        )
        yield dg.Output(None)

    @dg.job
    def reporting() -> None:
        report()

    assert reporting.execute_in_process(instance=instance).success


def points(instance: dg.DagsterInstance, component: str, now: float | None = None) -> float:
    card = gather(WORKLOAD, instance, now or time.time())
    return next(card.points(part) for part in card.components if part.name == component)


def test_an_instance_without_events_proves_nothing(instance: dg.DagsterInstance) -> None:
    """A platform that never rehearsed and never checked anything has no point."""
    card = gather(WORKLOAD, instance, time.time())
    assert card.score == 0
    assert sum(part.weight for part in card.components) == sum(WEIGHTS.values()) == 100
    assert all(part.missing() == part.subjects for part in card.components)


def test_a_check_counts_in_its_location_by_its_latest_result(instance: dg.DagsterInstance) -> None:
    """One of eighteen copies proved sound is an eighteenth, and a later failure takes it back."""
    copies = 3 * len(WORKLOAD.locations)
    checked(instance, "integrity", "model", "aws/eu-west-2", passed=True)
    assert points(instance, "integrity") == pytest.approx(WEIGHTS["integrity"] / copies)
    checked(instance, "integrity", "model", "aws/eu-west-2", passed=False)
    assert points(instance, "integrity") == 0


def test_a_measured_recovery_counts_against_the_declared_one(instance: dg.DagsterInstance) -> None:
    """Within the RTO is half of the points with one of two jurisdictions rehearsed; past it, or not served, it is less."""
    half = WEIGHTS["recovery_time"] / len(WORKLOAD.jurisdictions)
    drilled(instance, "met", recovery_seconds=WORKLOAD.rto_seconds - 1.0, failed_requests=0)
    assert points(instance, "recovery_time") == pytest.approx(half)
    drilled(instance, "missed", recovery_seconds=WORKLOAD.rto_seconds + 1.0, failed_requests=0)
    assert points(instance, "recovery_time") == 0
    full = points(instance, "failover")
    assert full == pytest.approx(WEIGHTS["failover"] / len(WORKLOAD.jurisdictions))
    drilled(instance, "missed", failed_requests=0)
    assert points(instance, "failover") == pytest.approx(full * 2 / 3)


def test_a_drill_of_another_kind_proves_no_failover(instance: dg.DagsterInstance) -> None:
    """A server that was killed and came back says nothing about moving to another cloud."""
    drilled(instance, "met", scenario="server_killed", failed_requests=0)
    assert points(instance, "failover") == 0
    assert points(instance, "requests") == pytest.approx(WEIGHTS["requests"] / len(WORKLOAD.jurisdictions))
    cells = next(len(part.subjects) for part in gather(WORKLOAD, instance, time.time()).components if part.name == "coverage")
    assert len(scenario_files()) < cells < len(scenario_files()) * len(WORKLOAD.locations)
    assert points(instance, "coverage") == pytest.approx(WEIGHTS["coverage"] / cells)


def observed(instance: dg.DagsterInstance, noun: str, partition: str, **said: str | int | float) -> None:
    instance.report_runless_asset_event(dg.AssetObservation(asset_key(WORKLOAD, noun), partition=partition, metadata=said))


def test_an_error_budget_counts_by_what_is_left_of_it(instance: dg.DagsterInstance) -> None:
    """Nothing asked is nothing proved; all answered is one of four budgets kept; overdrawn is none."""
    assert points(instance, "error_budget") == 0
    quarter = WEIGHTS["error_budget"] / len(WORKLOAD.jurisdictions) / 2
    observed(instance, "traffic_route", "UK", synthetic_asked=10_000, synthetic_failed=0)
    assert points(instance, "error_budget") == pytest.approx(quarter)
    allowed = 1 - WORKLOAD.serving.objectives.availability
    observed(instance, "traffic_route", "UK", synthetic_asked=10_000, synthetic_failed=round(10_000 * allowed))
    assert points(instance, "error_budget") == pytest.approx(quarter / 2)
    observed(instance, "traffic_route", "UK", synthetic_asked=10, synthetic_failed=1000)
    assert points(instance, "error_budget") == 0


def test_slow_answers_spend_a_budget_of_their_own(instance: dg.DagsterInstance) -> None:
    """Answers in time keep it, slow ones spend it; an event that does not tell how many were slow says nothing about it."""
    quarter = WEIGHTS["error_budget"] / len(WORKLOAD.jurisdictions) / 2
    observed(instance, "traffic_route", "UK", synthetic_asked=1_000, synthetic_failed=0, synthetic_slow=0)
    assert points(instance, "error_budget") == pytest.approx(2 * quarter)
    observed(instance, "traffic_route", "UK", synthetic_asked=1_000, synthetic_failed=0, synthetic_slow=1_000)
    assert points(instance, "error_budget") == pytest.approx(quarter)


def test_what_failed_in_a_drill_spends_no_budget(instance: dg.DagsterInstance) -> None:
    """A rehearsal breaks things on purpose, and is in no figure of production."""
    observed(instance, "traffic_route", "UK", synthetic_asked=10, synthetic_failed=10, synthetic_slow=0)
    observed(instance, "traffic_route", "UK", decision="moves", cause="probe", epoch=2, acting_location="gcp/europe-west2")
    assert points(instance, "failover") == 0
    card = gather(WORKLOAD, instance, time.time())
    assert any(
        "failover to gcp/europe-west2, epoch 2" in one.text for part in card.components for one in part.evidence.values()
    )
    drilled(instance, "met", scenario="server_killed", failed_requests=0)
    card = gather(WORKLOAD, instance, time.time())
    told = {part.name: part.evidence for part in card.components}
    assert told["error_budget"] == told["failover"] == {}


def test_a_failover_in_earnest_is_a_proof_like_a_rehearsed_one(instance: dg.DagsterInstance) -> None:
    """Its time is from when the location was found down to the published route of its epoch; a planned return is none."""
    found = dg.MetadataValue.timestamp(time.time() - 20)
    moved = {"decision": "moves", "cause": "probe", "epoch": 2, "acting_location": "gcp/europe-west2", "down_since": found}
    instance.report_runless_asset_event(
        dg.AssetObservation(asset_key(WORKLOAD, "traffic_route"), partition="UK", metadata=moved)
    )
    assert points(instance, "failover") == points(instance, "recovery_time") == 0
    route = dg.AssetMaterialization(asset_key(WORKLOAD, "traffic_route"), partition="UK", metadata={"epoch": 2})
    instance.report_runless_asset_event(route)
    for component in ("failover", "recovery_time"):
        assert points(instance, component) == pytest.approx(WEIGHTS[component] / len(WORKLOAD.jurisdictions))
    observed(instance, "traffic_route", "EU", decision="moves", cause="failback", epoch=3, acting_location="azure/westeurope")
    assert points(instance, "failover") == pytest.approx(WEIGHTS["failover"] / len(WORKLOAD.jurisdictions))


def test_a_restore_counts_where_it_was_rehearsed_or_done(instance: dg.DagsterInstance) -> None:
    """A rehearsal that found damage proves nothing; a real restore is the best rehearsal."""
    each = WEIGHTS["restore"] / len(WORKLOAD.locations)
    observed(instance, "raw_data", "gcp/europe-west2", restore_rehearsal="failed")
    assert points(instance, "restore") == 0
    observed(instance, "raw_data", LOCATION, restore_rehearsal="passed", restore_seconds=1.5)
    assert points(instance, "restore") == pytest.approx(each)
    restored = dg.AssetMaterialization(
        asset_key(WORKLOAD, "raw_data"), partition="azure/uksouth", metadata={"restored_by": "ann"}
    )
    instance.report_runless_asset_event(restored)
    assert points(instance, "restore") == pytest.approx(2 * each)


def test_standbys_prove_their_canaries_and_their_readiness(instance: dg.DagsterInstance) -> None:
    """The primary's do not count: it is no standby."""
    for check, noun, component in (("agreement", "canary_training", "canary_training"), ("readiness", "endpoint", "readiness")):
        checked(instance, check, noun, LOCATION, passed=True)
        assert points(instance, component) == 0
        checked(instance, check, noun, "gcp/europe-west2", passed=True)
        standbys = sum(len(placement.standbys) for placement in WORKLOAD.placements)
        assert points(instance, component) == pytest.approx(WEIGHTS[component] / standbys)


def test_what_is_not_an_expected_event_raises_nothing(instance: dg.DagsterInstance) -> None:
    """Unknown scenarios and jurisdictions, checks of other places, and observations that claim a success: no point."""
    drilled(instance, "met", scenario="invented", recovery_seconds=1.0, failed_requests=0, jurisdiction="Mars")
    checked(instance, "integrity", "model", "moon/base", passed=True)
    checked(instance, "made_up", "model", "aws/eu-west-2", passed=True)
    claim = {"verdict": "met", "jurisdiction": "UK", "recovery_seconds": 1.0, "failed_requests": 0}
    instance.report_runless_asset_event(
        dg.AssetObservation(asset_key(WORKLOAD, "drill_result"), partition="region_outage", metadata=claim)
    )
    assert gather(WORKLOAD, instance, time.time()).score == 0


def _moved(instance: dg.DagsterInstance) -> None:
    drilled(instance, "met", recovery_seconds=1.0)


def _answered(instance: dg.DagsterInstance) -> None:
    observed(instance, "traffic_route", "UK", synthetic_asked=100, synthetic_failed=0, synthetic_slow=0)


def _passed(check: str, noun: str, location: str = STANDBY, *, passed: bool = True) -> Callable[[dg.DagsterInstance], None]:
    return lambda instance: checked(instance, check, noun, location, passed=passed)


# What proves each component, and what says the same and is no proof: of another place, another kind, or with no success.
PROOFS: dict[str, tuple[Callable[[dg.DagsterInstance], None], Sequence[Callable[[dg.DagsterInstance], None]]]] = {
    "failover": (_moved, [lambda i: drilled(i, "met", "Mars", recovery_seconds=1.0), lambda i: drilled(i, "missed")]),
    "recovery_time": (
        _moved,
        [lambda i: drilled(i, "met"), lambda i: drilled(i, "met", recovery_seconds=WORKLOAD.rto_seconds + 0.1)],
    ),
    "requests": (
        lambda i: drilled(i, "met", failed_requests=0),
        [lambda i: drilled(i, "met"), lambda i: drilled(i, "met", failed_requests=1)],
    ),
    "coverage": (
        lambda i: drilled(i, "met", scenario="server_killed"),
        [lambda i: drilled(i, "met", scenario="invented"), lambda i: drilled(i, "aborted", scenario="server_killed")],
    ),
    "parity": (_passed("parity", "model"), [_passed("parity", "landing"), _passed("parity", "model", passed=False)]),
    "integrity": (_passed("integrity", "model"), [_passed("integrity", "model", "moon/base"), _passed("parity", "raw")]),
    "replication_lag": (
        _passed("replication_lag", "raw_data"),
        [_passed("lag", "raw_data"), _passed("replication_lag", "raw_data", passed=False)],
    ),
    "error_budget": (
        _answered,
        [
            lambda i: observed(i, "endpoint", "UK", synthetic_asked=100, synthetic_failed=0, synthetic_slow=0),
            lambda i: observed(i, "traffic_route", "UK", synthetic_asked=0, synthetic_failed=0, synthetic_slow=0),
            lambda i: observed(i, "traffic_route", "Mars", synthetic_asked=100, synthetic_failed=0, synthetic_slow=0),
        ],
    ),
    "restore": (
        lambda i: observed(i, "raw_data", LOCATION, restore_rehearsal="passed"),
        [
            lambda i: observed(i, "model", LOCATION, restore_rehearsal="passed"),
            lambda i: observed(i, "raw_data", LOCATION, restore_rehearsal="failed"),
        ],
    ),
    "readiness": (
        _passed("readiness", "endpoint"),
        [_passed("readiness", "endpoint", LOCATION), _passed("readiness", "model")],
    ),
    "canary_training": (
        _passed("agreement", "canary_training"),
        [
            _passed("agreement", "canary_training", LOCATION),
            _passed("agreement", "canary_training", passed=False),
            # That one was trained does not say that it agrees.
            lambda i: i.report_runless_asset_event(
                dg.AssetMaterialization(asset_key(WORKLOAD, "canary_training"), partition=STANDBY)
            ),
        ],
    ),
    "compliance": (
        _passed("evidence", "endpoint"),
        [_passed("contract", "model"), _passed("evidence", "endpoint", passed=False)],
    ),
}


def test_each_question_has_its_proof_here() -> None:
    """A component that is added without a proof, and without claims that are none, is found out."""
    assert PROOFS.keys() == WEIGHTS.keys()
    assert all(claims for _, claims in PROOFS.values())


@pytest.mark.parametrize("component", PROOFS)
def test_a_claim_that_is_no_proof_raises_nothing(instance: dg.DagsterInstance, component: str) -> None:
    """Of every input: the same said of another place, by another event, or without success, leaves it at zero."""
    prove, claims = PROOFS[component]
    for claim in claims:
        claim(instance)
        assert points(instance, component) == 0
    with dg.DagsterInstance.ephemeral() as proved:
        prove(proved)
        assert points(proved, component) > 0


@pytest.mark.parametrize("component", PROOFS)
def test_every_point_names_an_event_that_exists(instance: dg.DagsterInstance, component: str) -> None:
    """Of every input: the event that the evidence names can be looked up in the instance, by its kind and number."""
    PROOFS[component][0](instance)
    card = gather(WORKLOAD, instance, time.time())
    (part,) = (one for one in card.components if one.name == component)
    assert part.evidence
    for one in part.evidence.values():
        assert looked_up(instance, one.event), one.event


def looked_up(instance: dg.DagsterInstance, event: str) -> bool:
    """Whether the instance has the event of this name about the workload."""
    found = re.match(r"(materialization|observation|check result) (\d+)", event)
    assert found is not None
    kind, number = found[1], int(found[2])
    if kind == "check result":
        checks = ((check, noun) for asked in CHECKED.values() for check, nouns in asked for noun in nouns)
        keys = (dg.AssetCheckKey(asset_key(WORKLOAD, noun), check) for check, noun in checks)
        histories = (instance.event_log_storage.get_asset_check_execution_history(key, limit=10) for key in keys)
        return any(record.id == number for history in histories for record in history)
    fetch = instance.fetch_materializations if kind == "materialization" else instance.fetch_observations
    nouns = ("drill_result", "traffic_route", "raw_data")
    filters = (dg.AssetRecordsFilter(asset_key(WORKLOAD, noun), storage_ids=[number]) for noun in nouns)
    return any(fetch(wanted, limit=1).records for wanted in filters)


def test_every_point_names_its_event_and_fades(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """Each piece of evidence can be looked up; after sixty days it is worth half, after ninety nothing."""
    drilled(instance, "met", recovery_seconds=2.0, failed_requests=0)
    checked(instance, "parity", "endpoint", "aws/eu-west-2", passed=True)
    now = time.time()
    card, file = publish(WORKLOAD, instance, Settings(home=tmp_path), now)
    document = [card.to_json()]
    jsonschema.validate(document, SCHEMA)
    proved = [one for part in card.components for one in part.evidence.values()]
    assert proved
    assert all(re.match(r"(materialization|check result|observation) \d+", one.event) for one in proved)
    assert points(instance, "recovery_time", now + 60 * DAY) == pytest.approx(points(instance, "recovery_time") / 2, rel=1e-3)
    assert gather(WORKLOAD, instance, now + 91 * DAY).score == 0
    text = file.read_text()
    assert "20260921T120000-ab12" in text
    assert re.findall(r"(?:src|href)=\"(?!data:)", text) == []
