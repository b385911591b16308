"""`failover`: from failed runs and probes to decisions, a changed register, and the runs of the new acting location.

One sensor over all workloads, and not a run failure sensor of Dagster's: that one is called for each failed run by itself,
and a cloud that goes dark fails hundreds. Here a tick reads all new failures with one query, probes every location
once, and decides once for each workload and jurisdiction concerned. What is decided is `domain/failover.py`'s business.
Dagster starts a tick every 5 s at most; one that found nothing to do looks at the locations again after half of that.

The register decides who acts, and what is requested follows from it: a tick that dies after the change leaves nothing
undone, because the next one finds an epoch that took over nothing yet. Runs of the former epoch that would hold up the
takeover are ended first.

Bound: a change of acting location requests one run, two where a cold standby has to start; a location that is down is
never chosen, so that a cause moves a jurisdiction at most once for each location it strikes.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg

from mcml_assets.declaration import asset_key
from mcml_assets.domain.acting import FIRST_EPOCH, Acting, initial_acting
from mcml_assets.domain.errors import McmlError, StaleEpoch
from mcml_assets.domain.failover import Cause, Decision, Health, RequestedRun, decide, needed_runs
from mcml_assets.domain.register import Entry
from mcml_assets.domain.workload import Workload
from mcml_assets.resources.control import control_of
from mcml_assets.resources.endpoints import Endpoints
from mcml_assets.resources.stores import CloudStores
from mcml_assets.sensors.cursor import Cursor, Known, Stranded
from mcml_assets.sensors.decisions import takeover_runs, told, told_change
from mcml_assets.sensors.failures import RunFailure, new_failures
from mcml_assets.sensors.overtaken import end_overtaken
from mcml_assets.sensors.pace import LOOP_SECONDS, every

if TYPE_CHECKING:
    from mcml_assets.failover.control import Control
    from mcml_assets.failover.facts import Landed
    from mcml_assets.failover.probing import Probe

INTERVAL_SECONDS = LOOP_SECONDS
LOOK_AGAIN_SECONDS = LOOP_SECONDS / 2
"""From a tick's beginning; it must have ended when Dagster looks for the next one, or that one is passed over."""
FRESH_SECONDS = 120.0
"""How long a run's own word counts; after a longer pause of the daemon, probes say what is so now."""
REFRESHED = 20
"""Jurisdictions whose register is read in a tick without any cause: so changes by hand are noticed, at a bounded cost."""
CONCURRENCY = 8
DATA_VERSION_TAG = "dagster/data_version"
WHO = "failover sensor"


def build_failover(
    workloads: Callable[[], Sequence[Workload]], look_again_seconds: float = LOOK_AGAIN_SECONDS
) -> dg.SensorDefinition:
    """The sensor over the workloads that `workloads` gives; it is asked at every tick, and answers from memory."""

    @dg.sensor(
        name="failover",
        asset_selection=dg.AssetSelection.all(),
        minimum_interval_seconds=every(INTERVAL_SECONDS),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Moves a jurisdiction's work to the next lawful, healthy, fresh and ready location when the acting one "
        "is down, and requests there what it takes. Each decision is an observation on the route, with its reasons.",
    )
    def failover(context: dg.SensorEvaluationContext, stores: CloudStores, endpoints: Endpoints) -> dg.SensorResult:
        """One tick; see the module."""
        again = time.monotonic() + look_again_seconds
        control = control_of(stores, endpoints)
        cursor = Cursor.from_json(context.cursor)
        tick = Tick(control, workloads(), context.instance, cursor, datetime.now(UTC))
        result = tick.run()
        if not result.requests:
            time.sleep(max(0.0, again - time.monotonic()))
            tick.look_again(datetime.now(UTC), result)
        for line in result.lines:
            context.log.info("%s", line)
        skipped = None if result.requests else dg.SkipReason("\n".join(result.lines) or "Every acting location answers.")
        return dg.SensorResult(
            run_requests=result.requests or None,
            skip_reason=skipped,
            cursor=cursor.to_json(),
            asset_events=result.events,
        )

    return failover


@dataclass
class Outcome:
    """What a tick did: the runs it requests, the events it tells, and a line for people about each jurisdiction."""

    requests: list[dg.RunRequest] = field(default_factory=list[dg.RunRequest])
    events: list[dg.AssetObservation] = field(default_factory=list[dg.AssetObservation])
    lines: list[str] = field(default_factory=list[str])


@dataclass
class Concern:
    """One workload in one jurisdiction, which a tick has to look at, and why."""

    workload: Workload
    jurisdiction: str
    failures: Sequence[RunFailure]

    @property
    def key(self) -> str:
        return f"{self.workload.name}/{self.jurisdiction}"


class Tick:
    """One evaluation; changes `cursor` in place."""

    def __init__(
        self,
        control: "Control",
        workloads: Sequence[Workload],
        instance: dg.DagsterInstance,
        cursor: Cursor,
        now: datetime,
    ) -> None:
        self.control = control
        self.workloads = {workload.name: workload for workload in workloads}
        self.instance = instance
        self.cursor = cursor
        self.now = now
        self.probes: Mapping[str, Probe] = {}
        self._entries: dict[str, Entry] = {}
        self._stays: dict[str, str] = {}

    def run(self) -> Outcome:
        """Read failures, probe, and settle every jurisdiction that gives cause, several at once."""
        failures, self.cursor.failures = new_failures(self.instance, self.cursor.failures, self.workloads, self.now.timestamp())
        self.probes = self.control.probes(list(self.workloads.values()))
        outcome = Outcome()
        self._settle_all(failures, outcome)
        return outcome

    def look_again(self, now: datetime, outcome: Outcome) -> None:
        """Probe once more, and settle what became of it; where all is as before, nothing else is asked for."""
        former, self.now = self.probes, now
        self.probes = self.control.probes(list(self.workloads.values()))
        if any(probe.health is not former[location].health for location, probe in self.probes.items()):
            self._settle_all((), outcome)

    def _settle_all(self, failures: Iterable[RunFailure], outcome: Outcome) -> None:
        self._note_outages()
        concerns = self._concerns(failures)
        with ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="failover") as pool:
            for settled in pool.map(self._settle, concerns):
                outcome.requests += settled.requests
                outcome.events += settled.events
                outcome.lines += settled.lines
        outcome.lines += self._note_stranded()

    def _note_stranded(self) -> list[str]:
        """Remember where work can neither go on nor move, and since when; a line for each that no decision has told of."""
        former, self.cursor.stranded = self.cursor.stranded, {}
        lines: list[str] = []
        for concern in self._everything():
            problem = self.control.register_problem(concern.workload, concern.jurisdiction, self.probes)
            known = self.cursor.acting.get(concern.key)
            down = known is not None and not self._is_up(known.location)
            if problem is None and not down:
                continue
            told = self._stays.get(concern.key, "")
            why = told or f"{concern.key}: nothing is committed, and nothing moves"
            reason = problem or "its acting location is silent"
            if not told or (problem is not None and problem not in told):
                why = f"{why}: {reason}"
                lines.append(why)
            since = former[concern.key].since if concern.key in former else self.now.timestamp()
            self.cursor.stranded[concern.key] = Stranded(since, why)
        return lines

    def _note_outages(self) -> None:
        """Since when each location has been down: until then its acting location can have worked."""
        for location, probe in self.probes.items():
            if probe.health is Health.DOWN:
                self.cursor.down.setdefault(location, self.now.timestamp())
            elif probe.health is Health.UP:
                self.cursor.down.pop(location, None)

    def _concerns(self, failures: Iterable[RunFailure]) -> list[Concern]:
        by_key: dict[str, list[RunFailure]] = {}
        for failure in failures:
            by_key.setdefault(f"{failure.workload}/{failure.jurisdiction}", []).append(failure)
        everything = self._everything(by_key)
        turn = {concern.key for concern in self.cursor.next_turn(everything, REFRESHED)}
        return [concern for concern in everything if concern.key in turn or self._gives_cause(concern)]

    def _everything(self, failures: Mapping[str, Sequence[RunFailure]] | None = None) -> list[Concern]:
        return [
            Concern(workload, jurisdiction, (failures or {}).get(f"{workload.name}/{jurisdiction}", ()))
            for workload in self.workloads.values()
            for jurisdiction in workload.jurisdictions
        ]

    def _gives_cause(self, concern: Concern) -> bool:
        known = self.cursor.acting.get(concern.key)
        return bool(known is None or concern.failures or known.took_over != known.epoch or not self._is_up(known.location))

    def _is_up(self, location: str) -> bool:
        probe = self.probes.get(location)
        return probe is not None and probe.health is Health.UP

    def _settle(self, concern: Concern) -> Outcome:
        """Decide about one jurisdiction, and request what its acting location has yet to take over."""
        outcome = Outcome()
        try:
            known = self._known(concern)
            cause = self._cause(concern, known.acting)
            if cause is not None:
                known = self._decide(concern, known, cause, outcome)
            if known.took_over != known.epoch and self._is_up(known.location):
                known = self._request(concern, known, outcome)
            self.cursor.acting[concern.key] = known
        except McmlError as error:
            # Nobody can say who acts, or what is so: nothing moves, and the other jurisdictions go on.
            outcome.lines.append(f"{concern.key} is left as it is: {type(error).__name__}: {error}")
        return outcome

    def _known(self, concern: Concern) -> Known:
        """Who acts by the register; where too few of its stores answer, what was known last: then nothing moves."""
        former = self.cursor.acting.get(concern.key)
        if self.control.register_problem(concern.workload, concern.jurisdiction, self.probes) is not None:
            return former or Known.of(initial_acting(concern.workload.placement(concern.jurisdiction)), None)
        entry = self._entries[concern.key] = self.control.register.entry(concern.workload, concern.jurisdiction)
        acting = entry.acting
        if former is not None:
            return Known.of(acting, former.took_over)
        return Known.of(acting, self._took_over(concern, acting))

    def _took_over(self, concern: Concern, acting: Acting) -> int | None:
        """The last epoch that took over, where this sensor remembers nothing: by the acting location's own landing."""
        if acting.epoch == FIRST_EPOCH:
            return FIRST_EPOCH
        if not self._is_up(acting.location):
            return None
        pointer = self.control.open_snapshots(concern.workload, acting.location, "landing").current_pointer()
        return pointer.epoch if pointer is not None else None

    def _cause(self, concern: Concern, acting: Acting) -> Cause | None:
        fresh = [failure for failure in concern.failures if self.now.timestamp() - failure.ended <= FRESH_SECONDS]
        blaming = [failure for failure in fresh if failure.blames(acting.location)]
        if any(failure.knows(acting.location) for failure in blaming):
            return Cause.UNAVAILABLE
        probe = self.probes.get(acting.location)
        if (
            blaming
            or probe is None
            or probe.health is not Health.UP
            or any(failure.error is None for failure in concern.failures)
        ):
            return Cause.PROBE
        return None

    def _decide(self, concern: Concern, known: Known, cause: Cause, outcome: Outcome) -> Known:
        since = self.cursor.down.get(known.location)
        as_of = datetime.fromtimestamp(since, UTC) if since is not None else self.now
        situation = self.control.situation(
            concern.workload, concern.jurisdiction, known.acting, self.probes, as_of, self._landed(concern, known),
            self._evacuated(concern),
        )  # fmt: skip
        decision = decide(situation, cause)
        acting = known.acting
        if decision.moves:
            try:
                acting = self.control.carry_out(concern.workload, decision, WHO)
            except StaleEpoch as error:
                outcome.lines.append(f"{concern.key}: somebody else was faster: {error}")
                return known
        self._tell(concern, decision, outcome)
        if not decision.moves:
            return known
        self._end_overtaken(concern, acting, decision.runs, datetime.now(UTC), outcome, known.location)
        outcome.requests += takeover_runs(concern.workload, concern.jurisdiction, acting, decision.runs)
        return Known.of(acting, acting.epoch)

    def _landed(self, concern: Concern, known: Known) -> "Landed | None":
        """The newest snapshot that Dagster saw land; asked only when the acting location cannot be."""
        from mcml_assets.failover.facts import Landed  # noqa: PLC0415 - only in an outage

        if self._is_up(known.location):
            return None
        key, storage = asset_key(concern.workload, "landing"), self.instance.event_log_storage
        materialized = dg.DagsterEventType.ASSET_MATERIALIZATION
        ids = storage.get_latest_storage_id_by_partition(key, materialized, partitions={concern.jurisdiction})
        if not ids:
            return None
        newest = list(ids.values())
        records = self.instance.fetch_materializations(dg.AssetRecordsFilter(key, storage_ids=newest), limit=len(newest))
        for record in records.records:
            materialization = record.asset_materialization
            version = (materialization.tags or {}).get(DATA_VERSION_TAG) if materialization is not None else None
            if version is not None:
                return Landed(version, datetime.fromtimestamp(record.timestamp, UTC))
        return None

    def _request(self, concern: Concern, known: Known, outcome: Outcome) -> Known:
        """What an epoch has yet to take over that this sensor did not begin: by hand, or before it lost its memory."""
        situation = self.control.situation(
            concern.workload, concern.jurisdiction, known.acting, self.probes, self.now, evacuated=self._evacuated(concern)
        )
        facts = situation.facts(known.location)
        runs: tuple[RequestedRun, ...] = needed_runs(concern.jurisdiction, facts) if facts is not None else ()
        entry = self._entries.get(concern.key)
        if entry is not None:
            self._end_overtaken(concern, known.acting, runs, datetime.fromisoformat(entry.since), outcome)
        outcome.requests += takeover_runs(concern.workload, concern.jurisdiction, known.acting, runs)
        outcome.events.append(told_change(concern.workload.name, concern.jurisdiction, known.acting, runs))
        outcome.lines.append(f"{concern.key}: {known.location} of epoch {known.epoch} takes over")
        return Known.of(known.acting, known.epoch)

    def _evacuated(self, concern: Concern) -> frozenset[str]:
        """By the register; where it cannot be read nothing moves anyway."""
        entry = self._entries.get(concern.key)
        return entry.evacuated if entry is not None else frozenset()

    def _end_overtaken(
        self,
        concern: Concern,
        acting: Acting,
        runs: Sequence[RequestedRun],
        changed_at: datetime,
        outcome: Outcome,
        *left: str,
    ) -> None:
        """End what would hold up these runs, or still goes on in a location that was `left`."""
        partitions = {concern.jurisdiction, *(run.partition for run in runs), *left}
        why = f"{acting.location} acts in {concern.jurisdiction} since epoch {acting.epoch}"
        outcome.lines += end_overtaken(self.instance, concern.workload, partitions, changed_at.timestamp(), why)

    def _tell(self, concern: Concern, decision: Decision, outcome: Outcome) -> None:
        """An event, if it says something that the last one did not: an outage of hours is not a thousand events."""
        outcome.lines.append(decision.summary)
        if not decision.moves:
            self._stays[concern.key] = decision.summary
        gist = _gist(decision)
        if decision.moves or self.cursor.told.get(concern.key) != gist:
            outcome.events.append(told(decision, down_since=self.cursor.down.get(decision.before.location)))
        self.cursor.told[concern.key] = gist


def _gist(decision: Decision) -> str:
    """A decision without its figures, which change from tick to tick."""
    rejected = (f"{one.location} {one.reason.partition(':')[0]}" for one in decision.rejected)
    acting = decision.after or decision.before
    return "; ".join([f"{acting.location} {acting.epoch}", decision.cause.value, *rejected])
