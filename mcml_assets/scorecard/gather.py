"""From Dagster's events to the evidence of a scorecard: which questions it asks, with which weights, and who answers.

What evidence is worth is `domain/scorecard.py`'s business. Nothing is counted here that is not an event of the instance.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from mcml_assets.configuration.scenario_files import load_scenario, scenario_files
from mcml_assets.declaration import asset_key
from mcml_assets.domain.drill import Verdict
from mcml_assets.domain.drill_location import fitting
from mcml_assets.domain.error_budget import Objective
from mcml_assets.domain.scenario import Scenario
from mcml_assets.domain.scorecard import Component, Evidence, Scorecard, newest
from mcml_assets.domain.workload import Workload
from mcml_assets.scorecard.failovers import Failover, failovers
from mcml_assets.scorecard.observed import error_budgets, restores

CHECKED: Mapping[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "replication_lag": (("replication_lag", ("raw_data", "feature_snapshot", "model")),),
    "parity": (("parity", ("raw_data", "feature_snapshot", "model", "endpoint")),),
    "integrity": (("integrity", ("raw_data", "feature_snapshot", "model")),),
    "readiness": (("readiness", ("endpoint",)),),
    "canary_training": (("agreement", ("canary_training",)),),
    "compliance": (("contract", ("raw_data", "feature_snapshot")), ("evidence", ("endpoint",))),
}
"""The components that checks answer: the check, and the assets it is about, in every location."""
OF_STANDBYS = ("readiness", "canary_training")
"""Those of them that ask about standbys only."""
QUESTIONS = {
    "failover": "Does the work move as it should, when the acting location is taken away?",
    "recovery_time": "Was it served again within the RTO?",
    "requests": "Was every request answered meanwhile?",
    "coverage": "Was every scenario rehearsed in every location that it fits?",
    "parity": "Do all locations agree?",
    "integrity": "Are the stored bytes what they should be?",
    "replication_lag": "Is every location's copy within the RPO?",
    "error_budget": "Are the error budgets of every jurisdiction kept, of availability and of latency?",
    "restore": "Could every location go back to an earlier snapshot?",
    "readiness": "Could every standby take over now?",
    "canary_training": "Did the standbys train a model that agrees?",
    "compliance": "Did the contract hold, and did every check run about what is served?",
}
PROVED_BY = {
    "failover": "failovers, and drills whose scenario moves work: `mcml drill run region_outage`",
    "recovery_time": "the same, which measure it",
    "requests": "any drill, whose load counts what callers met",
    "coverage": "one drill of each scenario in each location: `mcml drill run server_killed --location ...`",
    "parity": "the check `parity`, which runs with each publication",
    "integrity": "the check `integrity`, daily by `integrity_scrub`",
    "replication_lag": "the check `replication_lag`, every quarter of an hour",
    "error_budget": "synthetic transactions through the edge, every minute",
    "restore": "`restore_rehearsal`, weekly, or a restore",
    "readiness": "the check `readiness`, every quarter of an hour",
    "canary_training": "`canary_training`, by the workload's cron",
    "compliance": "the checks `contract` and `evidence`, with each publication",
}
"""What gives each component its points."""
WEIGHTS = {
    "failover": 18.0,
    "recovery_time": 18.0,
    "requests": 12.0,
    "coverage": 12.0,
    "parity": 7.0,
    "integrity": 7.0,
    "replication_lag": 5.0,
    "error_budget": 5.0,
    "restore": 5.0,
    "readiness": 4.0,
    "canary_training": 4.0,
    "compliance": 3.0,
}
"""Points of each component, 100 in all. What a drill proves weighs most: a recovery time that was never measured is a guess."""
RESULTS = 500
MOVES = 10
"""How many moves of a jurisdiction its success rate is of."""
PER_PARTITION = 5


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """A drill as its event tells it; `span` is from its beginning to its end, in seconds since the epoch."""

    event: str
    at: float
    span: tuple[float, float]
    scenario: str
    jurisdiction: str
    location: str
    verdict: str
    recovery_seconds: float | None
    failed_requests: int | None

    def evidence(self, value: float, text: str) -> Evidence:
        """It, as evidence for something."""
        return Evidence(self.event, self.at, value, text)


def gather(workload: Workload, instance: dg.DagsterInstance, now: float) -> Scorecard:
    """The scorecard of a workload from what the instance recorded; `now` is in seconds since the epoch (UTC)."""
    scenarios = [load_scenario(path) for path in scenario_files().values()]
    rehearsed = list(_rehearsed(workload, instance))
    spans = [one.span for one in rehearsed]
    moves = _moves(scenarios, rehearsed, failovers(workload, instance, spans))
    components = [
        *(_checked(workload, instance, name) for name in CHECKED),
        *_proved_by_moves(workload, moves),
        *_proved_by_drills(workload, scenarios, rehearsed),
        _component(
            "error_budget", tuple(f"{objective} in {where}" for where in workload.jurisdictions for objective in Objective),
            list(error_budgets(workload, instance, now, spans)),
        ),
        _component("restore", tuple(placed.key for placed in workload.locations), list(restores(workload, instance))),
    ]  # fmt: skip
    ordered = sorted(components, key=lambda component: list(WEIGHTS).index(component.name))
    return Scorecard(workload.name, now, tuple(ordered))


def _checked(workload: Workload, instance: dg.DagsterInstance, name: str) -> Component:
    """One component from the latest result of each check in each location."""
    standbys = [placed.key for placement in workload.placements for placed in placement.standbys]
    locations = standbys if name in OF_STANDBYS else [placed.key for placed in workload.locations]
    found: list[tuple[str, Evidence]] = []
    subjects: list[str] = []
    for check, nouns in CHECKED[name]:
        for noun in nouns:
            subjects += [f"{check} of {noun} in {location}" for location in locations]
            key = dg.AssetCheckKey(asset_key(workload, noun), check)
            limit = PER_PARTITION * len(workload.locations)
            history = instance.event_log_storage.get_asset_check_execution_history(key, limit=limit)
            for record in reversed(history):  # oldest first, because times are whole seconds and the later of two decides
                evaluation = record.event.asset_check_evaluation if record.event is not None else None
                if evaluation is None or evaluation.partition not in locations:
                    continue
                said = "passed" if evaluation.passed else "failed"
                subject = f"{check} of {noun} in {evaluation.partition}"
                event = f"check result {record.id} of run {record.run_id[:8] or 'none'}"
                found.append((subject, Evidence(event, record.create_timestamp, float(evaluation.passed), said)))
    return _component(name, tuple(subjects), found)


@dataclass(frozen=True, slots=True)
class Move:
    """A move of work that was not planned, rehearsed or in earnest, and how long callers waited; None: it was not served."""

    event: str
    at: float
    jurisdiction: str
    text: str
    recovery_seconds: float | None

    def evidence(self, value: float, text: str) -> Evidence:
        """It, as evidence for something."""
        return Evidence(self.event, self.at, value, text)


def _moves(scenarios: Sequence[Scenario], rehearsed: Sequence[Rehearsed], real: Iterable[Failover]) -> list[Move]:
    moving = {scenario.name for scenario in scenarios if scenario.objectives.moves}
    drills = [
        Move(one.event, one.at, one.jurisdiction, _told(one), one.recovery_seconds)
        for one in rehearsed
        if one.scenario in moving
    ]
    return [*drills, *(Move(one.event, one.at, one.jurisdiction, one.text, one.recovery_seconds) for one in real)]


def _proved_by_moves(workload: Workload, moves: Sequence[Move]) -> Iterator[Component]:
    where, rto = workload.jurisdictions, workload.rto_seconds
    by_place = {place: [move for move in moves if move.jurisdiction == place] for place in where}
    yield _component("failover", where, [(place, _rate(ones)) for place, ones in by_place.items() if ones])
    yield _component(
        "recovery_time", where,
        [(move.jurisdiction, move.evidence(_within(move.recovery_seconds, rto), _recovery(move, rto))) for move in moves],
    )  # fmt: skip


def _proved_by_drills(workload: Workload, scenarios: Sequence[Scenario], rehearsed: Sequence[Rehearsed]) -> Iterator[Component]:
    yield _component(
        "requests", workload.jurisdictions,
        [
            (one.jurisdiction, one.evidence(float(one.failed_requests == 0), f"{one.failed_requests} failed in {one.scenario}"))
            for one in rehearsed
            if one.failed_requests is not None
        ],
    )  # fmt: skip
    cells = tuple(
        f"{scenario.name} in {place}"
        for scenario in scenarios
        for placement in workload.placements
        for place in fitting(scenario, placement)
    )
    yield _component(
        "coverage", cells,
        [
            (f"{one.scenario} in {one.location}", one.evidence(float(one.verdict == Verdict.MET), _told(one)))
            for one in rehearsed
        ],
    )  # fmt: skip


def _rate(moves: Sequence[Move]) -> Evidence:
    """How many of the last moves came to their end; as old as the newest of them, whose event it names."""
    last = sorted(moves, key=lambda one: one.at)[-MOVES:]
    well = sum(one.recovery_seconds is not None for one in last)
    return last[-1].evidence(well / len(last), f"{well} of the last {len(last)} moves were served again; {last[-1].text}")


def _component(name: str, subjects: tuple[str, ...], found: Sequence[tuple[str, Evidence]]) -> Component:
    return Component(name, QUESTIONS[name], WEIGHTS[name], subjects, newest(found))


def _rehearsed(workload: Workload, instance: dg.DagsterInstance) -> Iterator[Rehearsed]:
    records = instance.fetch_materializations(asset_key(workload, "drill_result"), limit=RESULTS).records
    for record in records:
        materialization = record.asset_materialization
        if materialization is None or record.partition_key is None:
            continue
        said = {name: value.value for name, value in materialization.metadata.items()}
        recovery, failed = said.get("recovery_seconds"), said.get("failed_requests")
        yield Rehearsed(
            event=f"materialization {record.storage_id}, drill {said.get('drill')}",
            at=record.timestamp,
            span=(_number(said.get("began"), record.timestamp), _number(said.get("ended"), record.timestamp)),
            scenario=record.partition_key,
            jurisdiction=str(said.get("jurisdiction")),
            location=str(said.get("location")),
            verdict=str(said.get("verdict")),
            recovery_seconds=float(recovery) if isinstance(recovery, int | float) else None,
            failed_requests=failed if isinstance(failed, int) else None,
        )


def _within(seconds: float | None, bound: float) -> float:
    return float(seconds is not None and seconds <= bound)


def _told(one: Rehearsed) -> str:
    return f"{one.scenario}: objectives {one.verdict}"


def _number(value: object, otherwise: float) -> float:
    return float(value) if isinstance(value, int | float) else otherwise


def _recovery(move: Move, rto_seconds: float) -> str:
    measured = "not served again" if move.recovery_seconds is None else f"{move.recovery_seconds:.1f} s"
    return f"{move.text}: {measured}, RTO {rto_seconds:g} s"
