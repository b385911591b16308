"""One drill from beginning to end: steady state, load, faults, measuring, mending; the same for a terminal and for Dagster.

Nothing of the platform knows that it is a drill: the sensors that move work are those of production. Whatever happens
here, what was broken is mended: by this code, or by the faults' own expiry if this process is killed.
"""

import getpass
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import dagster as dg

from mcml_assets.clouds.fault_plan import list_faults
from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.domain.acting import Acting
from mcml_assets.domain.drill import Verdict, judge, verdict
from mcml_assets.domain.drill_location import at_location, usual
from mcml_assets.domain.drill_result import DrillResult, told
from mcml_assets.domain.errors import McmlError, RegisterUnavailable
from mcml_assets.domain.failover import Health, Situation
from mcml_assets.domain.rollout import Rollout
from mcml_assets.domain.scenario import JURISDICTION, Due, Injection, Moment, Scenario, resolved, struck
from mcml_assets.domain.steadiness import unsteady
from mcml_assets.domain.workload import Placement, Workload
from mcml_assets.drills.events import recorded, tag_runs
from mcml_assets.drills.footprint import footprint, reserved
from mcml_assets.drills.injection import Injected, Injector
from mcml_assets.drills.load import RunningLoad
from mcml_assets.drills.measuring import Seen, measured
from mcml_assets.drills.reliability import spent
from mcml_assets.drills.requests import Asked, ask_for, endings
from mcml_assets.drills.results import kept_results
from mcml_assets.drills.rollouts import Rollouts
from mcml_assets.drills.surprises import surprises
from mcml_assets.failover.control import Control, platform_control

WARM_UP_SECONDS = 5.0
TICK_SECONDS = 0.5
LOOK_SECONDS = 2.0
"""Between two looks at the whole platform: each asks every bucket."""
AFTERWARDS_SECONDS = 3.0
"""The load goes on for this long after all is well, so that callers see the return too."""
ANSWERED_SECONDS = 5.0
"""All is not well while a request of the last seconds failed: longer than the edge takes to give one up."""


@dataclass(slots=True)
class Progress:
    """What a drill has done and seen so far; times are seconds since the epoch. `taken_away` is when a fault first struck the
    acting location.
    """

    acting: Acting
    targets: list[tuple[Injection, str]]
    struck: frozenset[str]
    injected: list[Injected] = field(default_factory=list[Injected])
    taken_away: float | None = None
    asked: list[Asked] = field(default_factory=list[Asked])
    cleaned: list[Asked] = field(default_factory=list[Asked])
    after: Acting | None = None
    decided: float | None = None
    went_back: float | None = None
    ran: float | None = None
    shifting: float | None = None
    rollout: Rollout | None = None
    mended: float | None = None
    returned: float | None = None
    at_risk_seconds: float | None = None
    problem: str | None = None
    aborted: str | None = None

    def since(self, moment: Moment, steady: float) -> float | None:
        """When this moment was; None while it has not come."""
        moments = {
            Moment.STEADY: steady, Moment.RAN: self.ran, Moment.SHIFTING: self.shifting, Moment.MOVED: self.decided,
            Moment.RETURNED: self.went_back,
        }  # fmt: skip
        return moments[moment]


@dataclass(frozen=True, slots=True)
class Drill:
    """A scenario for one workload in one jurisdiction of a running platform, rehearsed at `location`; `tell` hears each step
    as it happens.
    """

    scenario: Scenario
    workload: Workload
    jurisdiction: str
    location: str
    control: Control
    instance: dg.DagsterInstance
    tell: Callable[[str], object]
    id: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}")

    def run(self) -> DrillResult:
        """Rehearse it, and mend everything.

        A drill that may not begin is a result as well, with its reasons. Raises `ConfigurationError` for a target that
        does not exist.
        """
        began = time.time()
        try:
            progress = self._progress()
        except RegisterUnavailable as error:
            return self._result(began, Verdict.REFUSED, (f"the platform cannot be judged: {error}",))
        disturbed = footprint((target for _, target in progress.targets), self._placement, self.control.topology)
        with reserved(disturbed, self.control.settings) as taken:
            if taken is not None:
                why = f"another drill runs in {taken}: each would measure the other too"
                return self._result(began, Verdict.REFUSED, (why,))
            if reasons := self._refusals(disturbed):
                return self._result(began, Verdict.REFUSED, reasons)
            per_second = self.scenario.load.requests_per_second
            self.tell(f"steady; {per_second:g} requests a second begin")
            with RunningLoad(self.control.settings, self.workload, self.jurisdiction, per_second) as load:
                time.sleep(WARM_UP_SECONDS)
                if share := load.failed_share():
                    return self._result(began, Verdict.REFUSED, (f"{share:.0%} of the requests fail before any fault",))
                try:
                    self._strike(progress, load)
                finally:
                    self._mend(progress)
                self._settle(progress, load)
            return self._judged(began, progress, load)

    @property
    def _placement(self) -> Placement:
        return self.workload.placement(self.jurisdiction)

    def _progress(self) -> Progress:
        """Who acts, and what each fault strikes."""
        acting = self.control.register.read(self.workload, self.jurisdiction)

        targets = [
            resolved(injection, acting.location, self._placement, self.control.topology)
            for injection in self.scenario.injections
        ]
        hit = {target for _, target in targets}
        keys = (placed.key for placed in self._placement.locations)
        return Progress(acting, targets, frozenset(key for key in keys if hit & {key, key.partition("/")[0]}))

    def _refusals(self, disturbed: Sequence[str]) -> tuple[str, ...]:
        """Why no drill may begin now. What cannot be told is a reason."""
        settings, now, window = self.control.settings, datetime.now(UTC), self.scenario.window
        found: list[str] = []
        if window is not None and not window.open_at(now):
            found.append(f"it is {now:%A %H:%M} UTC, outside the scenario's window")
        try:
            for fault in list_faults(settings):
                if any(map(fault.concerns, disturbed)):
                    found.append(f"a fault is set already: {fault.describe()}")
            found += self._unsteady()
            if (short := spent(self.instance, self.workload, self.jurisdiction, kept_results(settings), now)) is not None:
                found.append(short)
        except McmlError as error:
            return (*found, f"the platform cannot be judged: {error}")
        return tuple(found)

    def _situation(self) -> Situation:
        acting = self.control.register.read(self.workload, self.jurisdiction)
        probes = self.control.probes([self.workload])
        return self.control.situation(self.workload, self.jurisdiction, acting, probes, datetime.now(UTC))

    def _unsteady(self) -> tuple[str, ...]:
        return unsteady(self._situation(), self._placement)

    def _strike(self, progress: Progress, load: RunningLoad) -> None:
        """Bring every fault about in its time, and wait until the last is over, or the drill has to be given up."""
        begun = looked = time.time()
        waiting, due = list(progress.targets), list(self.scenario.runs)
        while not self._is_over(progress, begun, waiting, due):
            for injection, target in [one for one in waiting if self._is_time(one[0], progress, begun)]:
                waiting.remove((injection, target))
                self._inject(injection, target, progress)
            for run in [run for run in due if time.time() - begun >= run.at_seconds]:
                due.remove(run)
                progress.asked.append(self._ask_for(run, progress))
            if progress.ran is None and progress.asked and not due and not _going_on(progress.asked, self.instance):
                progress.ran = time.time()
            self._note_rollout(progress)
            if time.time() - looked >= LOOK_SECONDS:
                looked = time.time()
                self._tag_runs(progress)
                progress.aborted = self._incident(progress)
            progress.aborted = progress.aborted or self._reason_to_abort(load, time.time() - begun)
            if progress.aborted:
                self.tell(f"given up: {progress.aborted}")
                return
            self._watch(progress)
            time.sleep(TICK_SECONDS)
        progress.at_risk_seconds = self._at_risk(progress)

    def _note_rollout(self, progress: Progress) -> None:
        """Note when the rollout of a newer version first stands between two steps, for a scenario that waits for it."""
        if progress.shifting is not None or all(one.after is not Moment.SHIFTING for one, _ in progress.targets):
            return
        progress.rollout = self._rollouts(progress).between_steps()
        if progress.rollout is not None:
            progress.shifting = time.time()
            self.tell(f"{progress.acting.location}: {progress.rollout.sentence()}")

    def _rollouts(self, progress: Progress) -> Rollouts:
        return Rollouts(self.control.settings, self.workload.name, progress.acting.location)

    def _is_time(self, injection: Injection, progress: Progress, begun: float) -> bool:
        since = progress.since(injection.after, begun)
        return since is not None and time.time() - since >= injection.at_seconds

    def _is_over(self, progress: Progress, begun: float, waiting: Sequence[object], due: Sequence[object]) -> bool:
        """Whether everything was brought about, and is over: the faults, or all runs that were asked for meanwhile."""
        if waiting or due:
            return False
        if progress.ran is not None and not self.scenario.objectives.moves:
            return True
        now = time.time()
        return all(
            now >= (progress.since(injection.after, begun) or now) + injection.ends_seconds for injection, _ in progress.targets
        )

    def _inject(self, injection: Injection, target: str, progress: Progress) -> None:
        injector = Injector(self.control.settings, self.control.topology, self.workload, self.control.platform)
        injected = injector.inject(injection, target, f"drill {self.scenario.name} {self.id}", self.id)
        progress.injected.append(injected)
        acting = progress.acting.location
        if progress.taken_away is None and target in (acting, acting.partition("/")[0]):
            progress.taken_away = injected.began
        self.tell(injected.what)

    def _ask_for(self, run: Due, progress: Progress) -> Asked:
        of = run.of
        if of == JURISDICTION:
            of = self.jurisdiction
        else:
            of = struck(of, progress.acting.location, self._placement, self.control.topology)
        asked = ask_for(run.assets, of, self.workload, self.id, self.control.settings, fails=run.fails)
        self.tell(f"a run of {asked.what} is asked for")
        return asked

    def _reason_to_abort(self, load: RunningLoad, seconds: float) -> str | None:
        abort, share = self.scenario.abort, load.failed_share()
        if share > abort.failed_share:
            return f"{share:.0%} of the last requests failed, {abort.failed_share:.0%} were allowed"
        return f"it took longer than {abort.after_seconds:g} s" if seconds > abort.after_seconds else None

    def _incident(self, progress: Progress) -> str | None:
        """Something that fails and was not made to: then nothing more is to be broken."""
        for location, probe in self.control.probes([self.workload]).items():
            own = any(placed.key == location for placed in self._placement.locations)
            if own and location not in progress.struck and probe.health is Health.DOWN:
                return f"{location} is down, and no fault of the drill strikes it: {probe.problem}"
        return None

    def _at_risk(self, progress: Progress) -> float | None:
        """How old the newest data is that no other location of the jurisdiction holds; None when nobody can tell."""
        try:
            situation = self._situation()
        except McmlError:
            return None
        acting = situation.acting.location
        lags = [facts.lag_seconds for facts in situation.locations if facts.location != acting]
        return min((lag for lag in lags if lag is not None), default=None)

    def _mend(self, progress: Progress) -> None:
        for injected in progress.injected:
            injected.undo()
        progress.mended = time.time()
        self.tell("everything is mended")

    def _settle(self, progress: Progress, load: RunningLoad) -> None:
        """Wait until all is well again, as long as the scenario says."""
        for run in self.scenario.cleanup:
            progress.cleaned.append(self._ask_for(run, progress))
        deadline = time.time() + self.scenario.settles_seconds
        while time.time() < deadline:
            self._watch(progress)
            self._tag_runs(progress)
            reasons = self._unwell(progress, load)
            if not reasons:
                progress.returned, progress.problem = time.time(), None
                self.tell("all is well again")
                time.sleep(AFTERWARDS_SECONDS)
                return
            progress.problem = "; ".join(reasons)
            time.sleep(LOOK_SECONDS)
        self.tell(f"not well after {self.scenario.settles_seconds:g} s: {progress.problem}")

    def _unwell(self, progress: Progress, load: RunningLoad) -> tuple[str, ...]:
        """What is not as it was: runs that go on or failed to clean up, callers without an answer, and what is not steady."""
        asked = endings([*progress.asked, *progress.cleaned], self.instance)
        going_on = tuple(f"the run of {run.what} goes on" for run in asked if run.failed is None)
        failed = tuple(f"the run of {run.what} failed" for run in asked[len(progress.asked) :] if run.failed)
        told = [*going_on, *failed]
        if share := load.failed_share(ANSWERED_SECONDS):
            told.append(f"{share:.0%} of the last requests failed")
        if progress.rollout is not None and not (came := self._rollouts(progress).since(progress.rollout)).done:
            told.append(f"{came.location}: {came.ended}")
        try:
            return (*told, *self._unsteady())
        except McmlError as error:
            return (*told, str(error))

    def _tag_runs(self, progress: Progress) -> None:
        """Mark what was requested meanwhile, at every look: a drill that is killed leaves little unmarked."""
        if progress.injected:
            tag_runs(self.instance, self.workload, self.jurisdiction, progress.injected[0].began, self.id)

    def _watch(self, progress: Progress) -> None:
        """Note the first change of acting location since the drill began, and the first return to the primary."""
        if progress.went_back is not None:
            return
        try:
            acting = self.control.register.read(self.workload, self.jurisdiction)
        except McmlError:
            return  # nobody can tell just now; the next look may
        if progress.decided is None and acting.epoch > progress.acting.epoch:
            progress.decided, progress.after = time.time(), acting
            self.tell(f"{acting.location} acts, epoch {acting.epoch}")
        if progress.decided is not None and acting.location == progress.acting.location:
            progress.went_back = time.time()
            self.tell(f"{acting.location} acts again, epoch {acting.epoch}")

    def _judged(self, began: float, progress: Progress, load: RunningLoad) -> DrillResult:
        if not progress.injected:
            return self._result(began, Verdict.ABORTED, (progress.aborted or "no fault was brought about",))
        first = min(injected.began for injected in progress.injected)
        # What went before, as a copy that was held up, made nothing unavailable: a recovery is from what did.
        fault = progress.taken_away if self.scenario.objectives.moves and progress.taken_away is not None else first
        since = recorded(self.instance, self.workload, self.jurisdiction, first)
        seen = Seen(
            fault, progress.acting, progress.after, progress.decided, progress.mended, progress.returned,
            progress.at_risk_seconds, endings(progress.asked, self.instance),
            self._rollouts(progress).since(progress.rollout) if progress.rollout is not None else None, first,
        )  # fmt: skip
        figures = measured(seen, since, load.asked)
        judged = judge(self.scenario.objectives, figures, self.workload.rto_seconds, self.workload.rpo_seconds)
        reasons = [f"{one.objective}: {one.measured}" for one in judged if not one.met]
        if progress.problem:
            reasons.append(f"not well in the end: {progress.problem}")
        outcome = verdict(judged)
        if progress.aborted:
            outcome, reasons = Verdict.ABORTED, [progress.aborted, *reasons]
        result = self._result(began, outcome, tuple(reasons))
        return replace(
            result,
            injected=told([(injected.began, injected.what) for injected in progress.injected]),
            detections=told([(event.at, event.text) for event in since.detections]),
            decisions=told([(event.at, event.text) for event in since.decisions]),
            publications=told([(event.at, event.text) for event in since.publications]),
            surprises=surprises(since.detections, figures.runs, progress.struck),
            measured=figures,
            judged=judged,
        )

    def _result(self, began: float, outcome: Verdict, reasons: tuple[str, ...]) -> DrillResult:
        return DrillResult(
            id=self.id,
            scenario=self.scenario.name,
            title=self.scenario.title,
            hypothesis=self.scenario.hypothesis,
            workload=self.workload.name,
            jurisdiction=self.jurisdiction,
            location=self.location,
            profile=self.control.topology.profile,
            who=getpass.getuser(),
            began=began,
            ended=time.time(),
            verdict=outcome,
            reasons=reasons,
        )


def _going_on(asked: Sequence[Asked], instance: dg.DagsterInstance) -> bool:
    return any(run.failed is None for run in endings(asked, instance))


def rehearse(
    scenario: Scenario,
    workload: Workload,
    jurisdiction: str,
    settings: Settings,
    instance: dg.DagsterInstance,
    tell: Callable[[str], object],
    location: str | None = None,
) -> DrillResult:
    """Run a drill on the platform of these settings, at `location` in the place of a role of the scenario.

    Raises as `Drill.run` and `at_location` do.
    """
    placement = workload.placement(jurisdiction)
    if location is not None:
        scenario = at_location(scenario, location, placement)
    where = location or usual(scenario, placement)
    control = platform_control(settings, load_topology(settings.topology_file))
    return Drill(scenario, workload, jurisdiction, where, control, instance, tell).run()
