"""One drill from beginning to end: steady state, load, faults, measuring, mending; the same for a terminal and for Dagster.

Nothing of the platform knows that it is a drill: the sensors that move work are those of production. Whatever happens
here, what was broken is mended: by this code, or by the faults' own expiry if this process is killed.
"""

import fcntl
import getpass
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import dagster as dg

from mcml_assets.clouds.fault_plan import list_faults
from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.domain.acting import Acting
from mcml_assets.domain.drill import Measured, Requests, Timeline, Verdict, by_second, judge, verdict
from mcml_assets.domain.drill_result import DrillResult, told
from mcml_assets.domain.errors import McmlError
from mcml_assets.domain.scenario import Injection, Scenario, struck
from mcml_assets.domain.steadiness import unsteady
from mcml_assets.domain.workload import Workload
from mcml_assets.drills.events import Recorded, recorded
from mcml_assets.drills.injection import Injected, Injector
from mcml_assets.drills.load import RunningLoad
from mcml_assets.failover.control import Control, platform_control

WARM_UP_SECONDS = 5.0
TICK_SECONDS = 0.5
LOOK_SECONDS = 2.0
"""Between two looks at the whole platform: each asks every bucket."""
AFTERWARDS_SECONDS = 3.0
"""The load goes on for this long after all is well, so that callers see the return too."""


@dataclass(slots=True)
class Progress:
    """What a drill has done and seen so far; times are seconds since the epoch."""

    acting: Acting
    targets: list[tuple[Injection, str]]
    injected: list[Injected] = field(default_factory=list[Injected])
    after: Acting | None = None
    decided: float | None = None
    mended: float | None = None
    returned: float | None = None
    problem: str | None = None
    aborted: str | None = None


@dataclass(frozen=True, slots=True)
class Drill:
    """A scenario for one workload in one jurisdiction of a running platform; `tell` hears each step as it happens."""

    scenario: Scenario
    workload: Workload
    jurisdiction: str
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
        with _only_one(self.control.settings) as alone:
            if not alone:
                return self._result(began, Verdict.REFUSED, ("another drill runs: each would measure the other too",))
            if reasons := self._refusals():
                return self._result(began, Verdict.REFUSED, reasons)
            acting = self.control.register.read(self.workload, self.jurisdiction)
            placement = self.workload.placement(self.jurisdiction)
            targets = [
                (injection, struck(injection.target, acting.location, placement, self.control.topology))
                for injection in self.scenario.injections
            ]
            progress = Progress(acting, targets)
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
                self._settle(progress)
            return self._judged(began, progress, load)

    def _refusals(self) -> tuple[str, ...]:
        """Why no drill may begin now. What cannot be told is a reason."""
        try:
            faults = tuple(f"a fault is set already: {fault.describe()}" for fault in list_faults(self.control.settings))
            return faults + self._unsteady()
        except McmlError as error:
            return (f"the platform cannot be judged: {error}",)

    def _unsteady(self) -> tuple[str, ...]:
        acting = self.control.register.read(self.workload, self.jurisdiction)
        probes = self.control.probes([self.workload])
        situation = self.control.situation(self.workload, self.jurisdiction, acting, probes, datetime.now(UTC))
        return unsteady(situation, self.workload.placement(self.jurisdiction))

    def _strike(self, progress: Progress, load: RunningLoad) -> None:
        """Bring every fault about in its time, and wait until the last is over, or the drill has to be given up."""
        injector = Injector(self.control.settings, self.control.topology, self.workload, self.control.platform)
        begun = time.time()
        waiting = sorted(progress.targets, key=lambda struck: struck[0].at_seconds)
        while waiting or time.time() - begun < self.scenario.ends_seconds:
            while waiting and time.time() - begun >= waiting[0][0].at_seconds:
                injection, target = waiting.pop(0)
                why = f"drill {self.scenario.name} {self.id}"
                injected = injector.inject(injection, target, why)
                progress.injected.append(injected)
                self.tell(injected.what)
            progress.aborted = self._reason_to_abort(load, time.time() - begun)
            if progress.aborted:
                self.tell(f"given up: {progress.aborted}")
                return
            self._watch(progress)
            time.sleep(TICK_SECONDS)

    def _reason_to_abort(self, load: RunningLoad, seconds: float) -> str | None:
        abort, share = self.scenario.abort, load.failed_share()
        if share > abort.failed_share:
            return f"{share:.0%} of the last requests failed, {abort.failed_share:.0%} were allowed"
        return f"it took longer than {abort.after_seconds:g} s" if seconds > abort.after_seconds else None

    def _mend(self, progress: Progress) -> None:
        for injected in progress.injected:
            injected.undo()
        progress.mended = time.time()
        self.tell("everything is mended")

    def _settle(self, progress: Progress) -> None:
        """Wait until all is well again, as long as the scenario says."""
        deadline = time.time() + self.scenario.settles_seconds
        while time.time() < deadline:
            self._watch(progress)
            try:
                reasons = self._unsteady()
            except McmlError as error:
                reasons = (str(error),)
            if not reasons:
                progress.returned, progress.problem = time.time(), None
                self.tell("all is well again")
                time.sleep(AFTERWARDS_SECONDS)
                return
            progress.problem = "; ".join(reasons)
            time.sleep(LOOK_SECONDS)
        self.tell(f"not well after {self.scenario.settles_seconds:g} s: {progress.problem}")

    def _watch(self, progress: Progress) -> None:
        """Note the first change of acting location since the drill began."""
        if progress.decided is not None:
            return
        try:
            acting = self.control.register.read(self.workload, self.jurisdiction)
        except McmlError:
            return  # nobody can tell just now; the next look may
        if acting.epoch > progress.acting.epoch:
            progress.decided, progress.after = time.time(), acting
            self.tell(f"{acting.location} acts, epoch {acting.epoch}")

    def _judged(self, began: float, progress: Progress, load: RunningLoad) -> DrillResult:
        fault = min(injected.began for injected in progress.injected)
        since = recorded(self.instance, self.workload, self.jurisdiction, fault)
        measured = _measured(progress, fault, since, load)
        judged = judge(self.scenario.objectives, measured, self.workload.rto_seconds, self.workload.rpo_seconds)
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
            decisions=told([(event.at, event.text) for event in since.decisions]),
            publications=told([(event.at, event.text) for event in since.publications]),
            measured=measured,
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
            profile=self.control.topology.profile,
            who=getpass.getuser(),
            began=began,
            ended=time.time(),
            verdict=outcome,
            reasons=reasons,
        )


@contextmanager
def _only_one(settings: Settings) -> Iterator[bool]:
    """Whether no other drill runs on this platform; while the block lasts, none can begin."""
    settings.drills_folder.mkdir(parents=True, exist_ok=True)
    with (settings.drills_folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _measured(progress: Progress, fault: float, since: Recorded, load: RunningLoad) -> Measured:
    """Everything in one place: moments by their events, and requests from the first fault on."""
    asked = load.asked
    served = [one.due + one.seconds for one in asked if one.epoch is not None and one.epoch > progress.acting.epoch]
    landed = [event.at for event in since.publications if event.asset == "landing"]
    decided = progress.decided
    return Measured(
        acting_before=progress.acting.location,
        acting_after=(progress.after or progress.acting).location,
        timeline=Timeline(
            fault=fault,
            decided=decided,
            first_run=since.first_run,
            published=min((at for at in landed if decided is not None and at > decided), default=None),
            served=min(served, default=None),
            mended=progress.mended,
            returned=progress.returned,
        ),
        requests=Requests.of([one for one in asked if one.due >= fault]),
        loss_seconds=since.lag_seconds,
        load=by_second(asked, fault),
    )


def rehearse(
    scenario: Scenario,
    workload: Workload,
    jurisdiction: str,
    settings: Settings,
    instance: dg.DagsterInstance,
    tell: Callable[[str], object],
) -> DrillResult:
    """Run a drill on the platform of these settings. Raises as `Drill.run` does."""
    control = platform_control(settings, load_topology(settings.topology_file))
    return Drill(scenario, workload, jurisdiction, control, instance, tell).run()
