"""`recovery`: a location that answers again is caught up with what it missed, watched, and given its work back.

Its pointers are fenced first, at the first clean probe: an epoch that began while it was dark could not be told to it, and a
writer that was held up since must not come through. Automation requests what is new; what failed while a location was dark
stays as it is until something new comes. So this sensor asks a returned location, once for each outage, for exactly what it
lacks, in one run. The primary gets its work back
by a planned handover when it answered long enough, lacks nothing, and no run of the jurisdiction is under way.

Bound: for each outage one catch-up run per workload and location, and one handover per jurisdiction. How often a flapping
location counts as returned is bounded in `domain/recovery.py`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING

import dagster as dg

from mcml_assets.clouds.fault_plan import list_faults
from mcml_assets.domain.acting import FIRST_EPOCH, Acting
from mcml_assets.domain.errors import ConfigurationError, McmlError
from mcml_assets.domain.failover import Cause, Decision, Health, LocationFacts, RequestedRun, Situation, decide
from mcml_assets.domain.recovery import Watch, observed
from mcml_assets.domain.workload import Failback, Placement, Workload
from mcml_assets.resources.control import control_of
from mcml_assets.resources.endpoints import Endpoints
from mcml_assets.resources.stores import CloudStores
from mcml_assets.sensors.cursor import remembered, stored
from mcml_assets.sensors.decisions import requested_run, told
from mcml_assets.sensors.failover import CONCURRENCY, Outcome
from mcml_assets.sensors.failures import PARTITION_TAG
from mcml_assets.sensors.pace import every

if TYPE_CHECKING:
    from mcml_assets.failover.control import Control
    from mcml_assets.failover.probing import Probe

INTERVAL_SECONDS = 5
SETTLED_SECONDS = 30.0
"""What is younger than this, automation may be about to request by itself."""
CATCH_UP_TAG = "mcml/catch_up"
CATCH_UP_PRIORITY = "5"
WHO = "recovery sensor"
FORMAT = 3
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dataclass
class Returns:
    """The recovery sensor's memory: a watch for each location, and the workloads each has yet to be caught up with.

    `owed` are workload names by location; one that this sensor never saw before owes everybody a look. `unfenced` are those
    whose pointers there may not refuse the epochs that ended while it was dark. `away` are the
    `<workload>/<jurisdiction>` in which another location than the primary was found acting.
    """

    watches: dict[str, Watch] = field(default_factory=dict[str, Watch])
    owed: dict[str, list[str]] = field(default_factory=dict[str, "list[str]"])
    unfenced: dict[str, list[str]] = field(default_factory=dict[str, "list[str]"])
    away: list[str] = field(default_factory=list[str])
    told: dict[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def from_json(cls, text: str | None) -> "Returns":
        """Read a stored cursor; one of another version is forgotten."""
        document = remembered(text, FORMAT)
        if document is None:
            return cls()
        watches = {location: Watch(**watch) for location, watch in document.pop("watches").items()}
        return cls(watches=watches, **document)

    def to_json(self) -> str:
        """The stored form."""
        return stored(self, FORMAT)


def build_recovery(workloads: Callable[[], Sequence[Workload]]) -> dg.SensorDefinition:
    """The sensor over the workloads that `workloads` gives; it is asked at every tick, and answers from memory."""

    @dg.sensor(
        name="recovery",
        asset_selection=dg.AssetSelection.all(),
        minimum_interval_seconds=every(INTERVAL_SECONDS),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Asks a location that answers again for what it missed, watches it, and hands a primary its work back "
        "where the workload says `failback: auto`.",
    )
    def recovery(context: dg.SensorEvaluationContext, stores: CloudStores, endpoints: Endpoints) -> dg.SensorResult:
        """One tick; see the module."""
        returns = Returns.from_json(context.cursor)
        tick = RecoveryTick(control_of(stores, endpoints), workloads(), context.instance, returns, datetime.now(UTC))
        result = tick.run()
        for line in result.lines:
            context.log.info("%s", line)
        skipped = None if result.requests else dg.SkipReason("\n".join(result.lines) or "Nothing has returned.")
        return dg.SensorResult(
            run_requests=result.requests or None,
            skip_reason=skipped,
            cursor=returns.to_json(),
            asset_events=result.events,
        )

    return recovery


class RecoveryTick:
    """One evaluation; changes `returns` in place."""

    def __init__(
        self,
        control: "Control",
        workloads: Sequence[Workload],
        instance: dg.DagsterInstance,
        returns: Returns,
        now: datetime,
    ) -> None:
        self.control = control
        self.workloads = workloads
        self.instance = instance
        self.returns = returns
        self.now = now
        self.probes: Mapping[str, Probe] = {}
        self._lock = Lock()  # several jurisdictions share a location's debts

    def run(self) -> Outcome:
        """Probe, and look at every jurisdiction in which a location returned or a primary may act again."""
        drills = self._drills()  # before the probes: what is down after a drill's fault ended is down in earnest
        self.probes = self.control.probes(self.workloads)
        self._watch(drills)
        concerns = [
            (workload, placement)
            for workload in self.workloads
            for placement in workload.placements
            if self._unfenced(workload, placement)
            or self._owing(workload, placement)
            or self._may_fail_back(workload, placement)
        ]
        outcome = Outcome()
        if not concerns:
            return outcome
        busy = self._busy()
        with ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="recovery") as pool:
            for settled in pool.map(lambda concern: self._settle(concern[0], concern[1], busy), concerns):
                outcome.requests += settled.requests
                outcome.events += settled.events
                outcome.lines += settled.lines
        return outcome

    def _drills(self) -> dict[str, str]:
        """The drill whose fault strikes a location now, by location; none where the plan cannot be read."""
        try:
            faults = [fault for fault in list_faults(self.control.settings) if fault.drill and fault.active(self.now)]
        except ConfigurationError:
            return {}
        return {key: fault.drill for fault in faults for key in self.control.topology.locations if fault.concerns(key)}

    def _watch(self, drills: Mapping[str, str]) -> None:
        everybody = [workload.name for workload in self.workloads]
        for location, probe in self.probes.items():
            known = location in self.returns.watches
            former = self.returns.watches.get(location, Watch())
            self.returns.watches[location] = watch = observed(
                former, probe.health, self.now.timestamp(), drills.get(location, "")
            )
            if not known or watch.down_since is not None:
                self.returns.owed[location] = everybody
                self.returns.unfenced[location] = everybody

    def _unfenced(self, workload: Workload, placement: Placement) -> list[str]:
        """Locations that answer, and have yet to be told of the present epoch."""
        return [
            placed.key
            for placed in placement.locations
            if self.probes[placed.key].health is Health.UP and workload.name in self.returns.unfenced.get(placed.key, ())
        ]

    def _owing(self, workload: Workload, placement: Placement) -> list[str]:
        """Locations that have answered long enough to be asked, and have yet to be looked at for this workload."""
        return [
            placed.key
            for placed in placement.locations
            if self.returns.watches[placed.key].returned and workload.name in self.returns.owed.get(placed.key, ())
        ]

    def _may_fail_back(self, workload: Workload, placement: Placement) -> bool:
        """Whether another location was found acting, and the primary has answered long enough."""
        return (
            workload.failback is Failback.AUTO
            and f"{workload.name}/{placement.jurisdiction}" in self.returns.away
            and self.returns.watches[placement.primary.key].steady
        )

    def _busy(self) -> set[tuple[str, str]]:
        """Workload and partition of every run that is under way or queued, with one query."""
        return {
            (key.path[0], run.tags.get(PARTITION_TAG, ""))
            for run in self.instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
            for key in run.asset_selection or ()
        }

    def _settle(self, workload: Workload, placement: Placement, busy: set[tuple[str, str]]) -> Outcome:
        outcome = Outcome()
        jurisdiction = placement.jurisdiction
        try:
            if self.control.register_problem(workload, jurisdiction, self.probes) is not None:
                return outcome
            entry = self.control.register.entry(workload, jurisdiction)
            acting = entry.acting
            for location in self._unfenced(workload, placement):
                self._fence(workload, location, acting, outcome)
            if not (self._owing(workload, placement) or self._may_fail_back(workload, placement)):
                return outcome
            self._note_away(f"{workload.name}/{jurisdiction}", away=acting.location != placement.primary.key)
            situation = self.control.situation(workload, jurisdiction, acting, self.probes, self.now, evacuated=entry.evacuated)
            for location in self._owing(workload, placement):
                self._catch_up(workload, situation, location, busy, outcome)
            if self._may_fail_back(workload, placement):
                self._fail_back(workload, placement, situation, busy, outcome)
        except McmlError as error:
            outcome.lines.append(f"{workload.name} in {jurisdiction} is left as it is: {type(error).__name__}: {error}")
        return outcome

    def _note_away(self, key: str, *, away: bool) -> None:
        with self._lock:
            self.returns.away = sorted({*self.returns.away, key} if away else {*self.returns.away} - {key})

    def _fence(self, workload: Workload, location: str, acting: Acting, outcome: Outcome) -> None:
        """Refuse there whoever still writes under an older epoch; before the first change there is none."""
        problem = self.control.fence(workload, location, acting.epoch) if acting.epoch > FIRST_EPOCH else None
        if problem is not None:
            outcome.lines.append(f"{workload.name}: {location} answers again, and could not be fenced: {problem}")
            return
        with self._lock:
            self.returns.unfenced[location] = [name for name in self.returns.unfenced[location] if name != workload.name]

    def _catch_up(
        self, workload: Workload, situation: Situation, location: str, busy: set[tuple[str, str]], outcome: Outcome
    ) -> None:
        """Ask a location for what it lacks; one that lacks nothing, or was asked, is owed nothing more."""
        facts, acting = situation.facts(location), situation.facts(situation.acting.location)
        if facts is None or acting is None or (workload.name, location) in busy:
            return
        if workload.name in self.returns.unfenced.get(location, ()):
            return  # what is caught up with must be final
        if acting.health is not Health.UP or facts.health is not Health.UP:
            return  # nobody to catch up with, or not back after all
        if situation.newest_age_seconds is None or situation.newest_age_seconds < SETTLED_SECONDS:
            return  # nothing has landed yet, or automation is about to bring it
        nouns = missed(facts, acting)
        with self._lock:
            self.returns.owed[location] = [name for name in self.returns.owed[location] if name != workload.name]
        if not nouns:
            return
        watch = self.returns.watches[location]
        run = RequestedRun(nouns, location)
        outage = f"{watch.went_down or 0:.3f}/{(situation.newest or 'nothing')[:12]}/{acting.model}"
        tags = {CATCH_UP_TAG: location, "dagster/priority": CATCH_UP_PRIORITY}
        outcome.requests.append(requested_run(workload, run, f"catch-up/{workload.name}/{location}/{outage}", tags))
        outcome.lines.append(f"{workload.name}: {location} answers again and is asked for {', '.join(nouns)}")
        outcome.events.append(_told_return(workload, situation, facts, nouns))

    def _fail_back(
        self,
        workload: Workload,
        placement: Placement,
        situation: Situation,
        busy: set[tuple[str, str]],
        outcome: Outcome,
    ) -> None:
        """The planned handover: nothing under way, nothing missing, then the next epoch; the failover sensor goes on."""
        jurisdiction, primary = placement.jurisdiction, placement.primary.key
        under_way = [partition for partition in (jurisdiction, primary) if (workload.name, partition) in busy]
        if under_way:
            runs = ", ".join(under_way)
            outcome.lines.append(f"{workload.name} in {jurisdiction} returns to {primary}, and waits for its runs in {runs}")
            return
        decision = decide(situation, Cause.FAILBACK, wanted=primary)
        if decision.moves:
            self.control.carry_out(workload, decision, WHO)
        outcome.lines.append(decision.summary)
        key, gist = f"{workload.name}/{jurisdiction}", f"{decision.moves} {situation.acting.epoch} {_kinds(decision)}"
        if decision.moves or self.returns.told.get(key) != gist:
            outcome.events.append(told(decision))
        self.returns.told[key] = gist


def missed(facts: LocationFacts, acting: LocationFacts) -> tuple[str, ...]:
    """The assets that a location lacks of what the acting one has, in the order in which they are made."""
    nouns: list[str] = []
    if facts.lag_seconds != 0:
        nouns += ["raw_data", "feature_snapshot"]
    elif not facts.features_current:
        nouns += ["feature_snapshot"]
    # By the package, where both are known: two that act one after the other may each train a version of the same number.
    other_package = facts.model_digest != acting.model_digest and None not in (facts.model_digest, acting.model_digest)
    if acting.model is not None and (facts.model != acting.model or other_package):
        nouns += ["model", "endpoint"]
    return tuple(nouns)


def _kinds(decision: Decision) -> str:
    return "; ".join(f"{one.location} {one.reason.partition(':')[0]}" for one in decision.rejected)


def _told_return(workload: Workload, situation: Situation, facts: LocationFacts, nouns: Iterable[str]) -> dg.AssetObservation:
    acting: Acting = situation.acting
    return dg.AssetObservation(
        dg.AssetKey([workload.name, "traffic_route"]),
        partition=situation.jurisdiction,
        description=f"{facts.location} answers again and is asked for {', '.join(nouns)}; {acting.location} acts",
        metadata={
            "decision": "catches up",
            "location": facts.location,
            "acting_location": acting.location,
            "epoch": acting.epoch,
            "requested": ", ".join(nouns),
            "missing_bytes": facts.missing_bytes if facts.missing_bytes is not None else "unknown",
        },
    )
