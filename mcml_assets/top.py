"""What `mcml top` shows: how each location serves right now. Dagster is neither needed nor asked.

Three sources, each with its own troubles: Envoy for traffic, the published routes for who is asked, and `status.py` for
what the buckets and the register say, which may take long while a cloud is dark, and so is read beside the rest. What
cannot be had is None, and its row is not healthy. Printing is `commands/top.py`'s.
"""

import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.error_budget import Counted, Objective, Objectives, burn_rate
from mcml_assets.domain.errors import TransientError
from mcml_assets.domain.readiness import SyntheticFacts
from mcml_assets.domain.route import Route
from mcml_assets.domain.topology import Topology
from mcml_assets.domain.workload import PlacedLocation, Placement, Workload
from mcml_assets.serving.edge.asked import Asked, asked_locations
from mcml_assets.serving.edge.traffic_counts import LocationTraffic, traffic_between, traffic_counts
from mcml_assets.serving.folder import DataPlaneFolder
from mcml_assets.serving.manifest import endpoint_name
from mcml_assets.serving.routes import read_routes
from mcml_assets.serving.synthetic_results import last_synthetic
from mcml_assets.status import LocationStatus, collect_status

Key = tuple[str, str, str]
"""Workload, jurisdiction, location."""
STATUS_SECONDS = 5.0  # how often buckets are read, at most


@dataclass(frozen=True, slots=True)
class LocationTop:
    """One workload in one location, over the last `seconds`.

    `edge` is how the edge stands to it. Rates are per second, over attempts: of the location, not of callers, for whom
    another location may have answered. `budget_left` is the smaller one of the error budgets of availability and latency, as
    a share, since the edge started; negative when it is overdrawn, and then `budget_spent` says by what. `synthetic_passed` is
    how the last synthetic transaction with the endpoint went, None for none. `route_acting` is the location that the route
    asks first, `acting` the one that the register names. `lag_seconds` is the replication lag.
    """

    workload: str
    jurisdiction: str
    location: str
    role: str
    edge: Asked | None
    endpoint: str | None
    model_version: int | None
    requests_per_second: float | None
    failed_per_second: float | None
    given_up_per_second: float | None
    p50_milliseconds: float | None
    p99_milliseconds: float | None
    budget_left: float | None
    budget_spent: str | None
    synthetic_passed: bool | None
    synthetic_age_seconds: float | None
    acting: str | None
    route_acting: str | None
    route_epoch: int | None
    route_age_seconds: float | None
    lag_seconds: float | None
    healthy: bool
    problem: str | None


@dataclass(frozen=True, slots=True)
class Top:
    """All locations at a moment (ISO 8601, UTC). `edge_problem` says why the edge could not be asked, None if it was;
    `status_age_seconds` how old is what the buckets said, None while nobody knows.
    """

    at: str
    seconds: float
    edge_problem: str | None
    status_age_seconds: float | None
    locations: tuple[LocationTop, ...]

    @property
    def healthy(self) -> bool:
        """Whether everything is as it should be, and known."""
        return self.edge_problem is None and all(row.healthy for row in self.locations)


class Watching:
    """Looks again and again; rates are those between two looks."""

    def __init__(self, workloads: Sequence[Workload], topology: Topology, settings: Settings) -> None:
        self.workloads, self.topology, self.settings = workloads, topology, settings
        self.folder = DataPlaneFolder.of(settings)
        # One that hangs at a dark cloud is left behind when the watching ends.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="status")
        self._reading: Future[list[LocationStatus]] | None = None
        self._statuses: dict[tuple[str, str], LocationStatus] | None = None
        self._read_at = float("-inf")
        self._counts: tuple[LocationTraffic, ...] | None = None
        self._looked_at = time.monotonic()

    def look(self, wait_for_status: bool = False) -> Top:
        """How everything stands now. With `wait_for_status` the buckets are read first, however long it takes."""
        self._read_status(wait_for_status)
        now, routes = time.monotonic(), {route.name: route for route in read_routes(self.folder)}
        asked: dict[Key, Asked] | None = None
        counts: tuple[LocationTraffic, ...] | None = None
        problem = None
        try:
            counts, asked = traffic_counts(self.settings), asked_locations(self.settings)
        except TransientError as error:
            problem = str(error)
        lately = traffic_between(self._counts, counts) if self._counts is not None and counts is not None else None
        synthetic = {name: last_synthetic(self.folder, name) for name in self.folder.wanted_names()}
        seen = _Seen(
            synthetic=synthetic,
            seconds=now - self._looked_at,
            routes=routes,
            statuses=self._statuses or {},
            asked=asked,
            lately=_by_location(lately) if lately is not None else None,
            ever=_by_location(counts) if counts is not None else None,
        )
        self._counts, self._looked_at = counts, now
        rows = [
            _row(workload, placement, placed, seen)
            for workload in self.workloads
            for placement in workload.placements
            for placed in placement.locations
        ]
        age = now - self._read_at if self._statuses is not None else None
        return Top(datetime.now(UTC).isoformat(timespec="seconds"), seen.seconds, problem, age, tuple(rows))

    def close(self) -> None:
        """Wait for nothing that still reads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _read_status(self, wait: bool) -> None:
        if self._reading is None and time.monotonic() - self._read_at >= STATUS_SECONDS:
            self._reading = self._pool.submit(lambda: list(collect_status(self.workloads, self.topology, self.settings)))
        if self._reading is not None and (wait or self._reading.done()):
            self._statuses = {(row.workload, row.location): row for row in self._reading.result()}
            self._reading, self._read_at = None, time.monotonic()


@dataclass(frozen=True, slots=True)
class _Seen:
    """One look at all sources; None where one was silent."""

    synthetic: dict[str, SyntheticFacts | None]
    seconds: float
    routes: dict[str, Route]
    statuses: dict[tuple[str, str], LocationStatus]
    asked: dict[Key, Asked] | None
    lately: dict[Key, LocationTraffic] | None
    ever: dict[Key, LocationTraffic] | None

    def acting(self, workload: str, jurisdiction: str) -> str | None:
        """The location that the register names."""
        rows = [row for row in self.statuses.values() if (row.workload, row.jurisdiction) == (workload, jurisdiction)]
        return next((row.location for row in rows if row.acting), None)


def _row(workload: Workload, placement: Placement, placed: PlacedLocation, seen: _Seen) -> LocationTop:
    key = (workload.name, placement.jurisdiction, placed.key)
    route = seen.routes.get(f"{workload.name}.{placement.jurisdiction}")
    status = seen.statuses.get((workload.name, placed.key))
    counted = seen.lately.get(key, LocationTraffic(*key, port=0)) if seen.lately is not None else None
    edge = seen.asked.get(key, Asked.ABSENT) if seen.asked is not None else None
    ever = seen.ever.get(key) if seen.ever is not None else None
    worst = _worst(ever, workload.serving.objectives) if ever is not None else None
    synthetic = seen.synthetic.get(endpoint_name(workload.name, placed.key))
    problem = _problem(route, placed.key, edge, status)
    return LocationTop(
        workload=workload.name,
        jurisdiction=placement.jurisdiction,
        location=placed.key,
        role=placed.role.value,
        edge=edge,
        endpoint=status.endpoint if status is not None else None,
        model_version=status.endpoint_version if status is not None else None,
        requests_per_second=counted.requests / seen.seconds if counted is not None else None,
        failed_per_second=counted.failed / seen.seconds if counted is not None else None,
        given_up_per_second=counted.given_up / seen.seconds if counted is not None else None,
        p50_milliseconds=counted.quantile(0.5) if counted is not None else None,
        p99_milliseconds=counted.quantile(0.99) if counted is not None else None,
        budget_left=worst.left if worst is not None else None,
        budget_spent=worst.sentence() if worst is not None and worst.left <= 0 else None,
        synthetic_passed=synthetic.passed if synthetic is not None else None,
        synthetic_age_seconds=synthetic.age_seconds if synthetic is not None else None,
        acting=seen.acting(workload.name, placement.jurisdiction),
        route_acting=route.locations[0] if route is not None else None,
        route_epoch=route.epoch if route is not None else None,
        route_age_seconds=_age(route) if route is not None else None,
        lag_seconds=status.lag_seconds if status is not None else None,
        healthy=problem is None,
        problem=problem,
    )


def _problem(route: Route | None, location: str, edge: Asked | None, status: LocationStatus | None) -> str | None:
    if status is None:
        return "its buckets were not read yet"
    if status.problem is not None:
        return status.problem
    if route is None:
        return "the edge has no route"
    if edge is None:
        return "the edge does not answer"
    if location in route.locations and edge is not Asked.ASKED:
        return f"the edge leaves it out: {edge}"
    return None


@dataclass(frozen=True, slots=True)
class _Budget:
    """The budget of one objective: what is left of it as a share, negative when overdrawn, and the attempts that say so."""

    objective: Objective
    left: float
    bad: int
    total: int
    allowed: float

    def sentence(self) -> str:
        """How much was spent, beside what may be. Of few attempts a single bad one is all of it."""
        bad = "failed or were given up" if self.objective is Objective.AVAILABILITY else "took longer than promised"
        return (
            f"the budget of {self.objective} is spent: {self.bad:,} of {self.total:,} attempts since the edge started {bad}, "
            f"{self.bad / self.total:.1%}; {self.allowed * 100:g}% may"
        )


def _worst(counts: LocationTraffic, objectives: Objectives) -> _Budget | None:
    """The budget of which least is left; None when nothing was asked.

    An attempt that was given up for another location's answer is one that this location did not answer.
    """
    if counts.requests == 0:
        return None
    errors, slow = counts.failed + counts.given_up, counts.slower_than(objectives.latency_milliseconds)
    found = Counted(counts.requests, errors, max(0, min(slow, counts.requests - errors)))
    budgets = [
        _Budget(
            objective,
            1.0 - burn_rate(found, objective, objectives),
            found.bad(objective),
            found.total(objective),
            objectives.allowed(objective),
        )
        for objective in Objective
    ]
    return min(budgets, key=lambda budget: budget.left)


def _by_location(counts: Sequence[LocationTraffic]) -> dict[Key, LocationTraffic]:
    """A location's servers together."""
    found: dict[Key, LocationTraffic] = {}
    for one in counts:
        key = (one.workload, one.jurisdiction, one.location)
        found[key] = _together(found[key], one) if key in found else one
    return found


def _together(one: LocationTraffic, other: LocationTraffic) -> LocationTraffic:
    at_most: dict[float, int] = defaultdict(int, one.at_most)
    for bound, count in other.at_most.items():
        at_most[bound] += count
    return replace(
        one,
        requests=one.requests + other.requests,
        failed=one.failed + other.failed,
        given_up=one.given_up + other.given_up,
        at_most=dict(at_most),
    )


def _age(route: Route) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(route.updated_at)).total_seconds()
