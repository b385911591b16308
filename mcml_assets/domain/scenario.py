"""Scenarios: what a drill makes fail, under which load, when it is given up, and what must hold afterwards.

What a scenario means is here; reading one from YAML is `configuration/scenario_files.py`'s business, carrying it out
`drills/`'s, and judging what was measured `domain/drill.py`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum

from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.faults import APPLIES, SIDE, FaultKind, parameters_of
from mcml_assets.domain.topology import Topology, did_you_mean
from mcml_assets.domain.workload import Placement, Role

LONGEST_SECONDS = 3600.0
BY_JURISDICTION = ("landing", "training_run", "traffic_route")
BY_LOCATION = ("raw_data", "feature_snapshot", "model", "endpoint")


class ProcessFault(StrEnum):
    """What can be done to processes of this machine, beside the faults of stores and locations."""

    SERVER_KILLED = "server_killed"
    SERVER_FROZEN = "server_frozen"
    ORCHESTRATOR_FROZEN = "orchestrator_frozen"


PROCESS_MEANINGS: Mapping[ProcessFault, str] = {
    ProcessFault.SERVER_KILLED: "the location's model server is killed (SIGKILL); its controller may start it again",
    ProcessFault.SERVER_FROZEN: "the location's model server stands still (SIGSTOP) and holds its connections",
    ProcessFault.ORCHESTRATOR_FROZEN: "Dagster's daemon stands still: no sensor ticks, nothing is requested",
}
Kind = FaultKind | ProcessFault


class Target(StrEnum):
    """Roles that a fault may strike, found out when the drill begins; a fault may also name a cloud or a location.

    `standby` is the first that runs a server, `last` the last of the placement that does not act.
    """

    ACTING = "acting"
    ACTING_CLOUD = "acting_cloud"
    STANDBY = "standby"
    STANDBY_CLOUD = "standby_cloud"
    LAST = "last"
    PLATFORM = "platform"


class Moment(StrEnum):
    """From when on a fault is counted: the load is steady, the scenario's runs have ended, a new model version answers a part
    of the acting location's requests, the work has moved, it has gone back to the primary.
    """

    STEADY = "steady"
    RAN = "ran"
    SHIFTING = "shifting"
    MOVED = "moved"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class Injection:
    """One fault of a scenario: `at_seconds` after a moment, for `lasts_seconds`, against one target."""

    kind: Kind
    target: str
    at_seconds: float
    lasts_seconds: float
    parameters: Mapping[str, "float | str"] = field(default_factory=dict[str, "float | str"])
    probability: float = 1.0
    after: Moment = Moment.STEADY

    @property
    def ends_seconds(self) -> float:
        """When it is over, in seconds after its moment."""
        return self.at_seconds + self.lasts_seconds


@dataclass(frozen=True, slots=True)
class Due:
    """An ordinary run that is asked for while something is broken: of these assets, `at_seconds` after the load is steady.

    `of` is the jurisdiction, or who has a role in it. `fails` says how the run must end; what nobody asks for while a fault
    lasts cannot show that the fault does no harm.
    """

    assets: tuple[str, ...]
    of: str
    at_seconds: float = 0.0
    fails: bool = False


JURISDICTION = "jurisdiction"


@dataclass(frozen=True, slots=True)
class Load:
    """Requests while the drill runs: how many begin each second, whether earlier ones were answered or not."""

    requests_per_second: float


@dataclass(frozen=True, slots=True)
class Abort:
    """When a drill is given up and everything mended at once: too many requests failed, or it takes too long."""

    failed_share: float
    after_seconds: float


@dataclass(frozen=True, slots=True)
class Objectives:
    """What must hold; None where a scenario does not ask for it.

    `moves` says whether the acting location must change, or must not; `returns` that the primary acts again, caught up,
    before the drill ends. `recovery_seconds` and `loss_seconds` bound the measured recovery time and the measured recovery
    point; None takes the workload's own RTO and RPO. `failed_requests`, `wrong_answers` and `slowest_milliseconds` are about
    callers; `failed_requests` of None is for a scenario in which nobody is left who could answer.
    """

    moves: bool
    failed_requests: int | None
    returns: bool = False
    slowest_milliseconds: float | None = None
    recovery_seconds: float | None = None
    loss_seconds: float | None = None
    wrong_answers: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """When a drill may begin: on these weekdays (0 is Monday), between two times of day (minutes after midnight, UTC)."""

    days: frozenset[int]
    opens_minutes: int
    closes_minutes: int

    def open_at(self, moment: datetime) -> bool:
        """Whether a drill may begin at this moment."""
        utc = moment.astimezone(UTC)
        return utc.weekday() in self.days and self.opens_minutes <= utc.hour * 60 + utc.minute < self.closes_minutes


@dataclass(frozen=True, slots=True)
class Scenario:
    """One rehearsed failure, as its file says it.

    Where nothing is to move, `runs` end the faults when they have ended, at the latest when they would be over anyway.
    `cleanup` are the runs that set right what failed runs left behind; all is well when they succeeded. `window` is when it
    may begin.
    """

    name: str
    title: str
    hypothesis: str
    injections: tuple[Injection, ...]
    load: Load
    abort: Abort
    objectives: Objectives
    settles_seconds: float
    runs: tuple[Due, ...] = ()
    cleanup: tuple[Due, ...] = ()
    window: Window | None = None

    @property
    def ends_seconds(self) -> float:
        """When the last fault is over, each counted from its own moment, in seconds."""
        return max(injection.ends_seconds for injection in self.injections)


def injection_problem(injection: Injection) -> tuple[str, str] | None:
    """What is wrong with an injection, as the key and the sentence; None for nothing."""
    if injection.at_seconds < 0 or injection.lasts_seconds <= 0 or injection.ends_seconds > LONGEST_SECONDS:
        return "for", f"a fault begins at 0 s or later, lasts some time, and is over within {LONGEST_SECONDS:g} s"
    if not 0 < injection.probability <= 1:
        return "probability", f"it is {injection.probability:g}; it is more than 0 and at most 1"
    if (injection.target == Target.PLATFORM) is not (injection.kind is ProcessFault.ORCHESTRATOR_FROZEN):
        return (
            "target",
            f"{Target.PLATFORM.value!r} is struck by {ProcessFault.ORCHESTRATOR_FROZEN.value!r}, and by nothing else",
        )
    if isinstance(injection.kind, ProcessFault):
        if injection.parameters:
            return "parameters", f"{injection.kind} takes none"
        if injection.target in (Target.ACTING_CLOUD, Target.STANDBY_CLOUD):
            return "target", f"{injection.kind} strikes one location, not a cloud"
        return None
    known = parameters_of(injection.kind)
    if injection.kind is FaultKind.PARTITION and SIDE not in injection.parameters:
        return "parameters", f"a partition has another side: name it as {SIDE!r}"
    for name, value in injection.parameters.items():
        if name not in known:
            return "parameters", f"{injection.kind} has no parameter {name!r}{did_you_mean(name, known)}"
        if name == "operation" and value not in APPLIES[injection.kind]:
            return (
                "parameters",
                f"{injection.kind} does not concern {value!r}{did_you_mean(str(value), APPLIES[injection.kind])}",
            )
    return None


def due_problem(due: Due) -> tuple[str, str] | None:
    """What is wrong with a run that is asked for, as the key and the sentence; None for nothing."""
    nouns = BY_JURISDICTION if due.of == JURISDICTION else BY_LOCATION
    for asset in due.assets:
        if asset not in nouns:
            return "assets", f"no asset {asset!r} of {due.of!r}{did_you_mean(asset, nouns)}"
    return None


def kind_named(name: str) -> Kind:
    """The fault of this name. Raises `ConfigurationError` with the nearest one."""
    kinds: dict[str, Kind] = {kind.value: kind for kind in (*FaultKind, *ProcessFault)}
    if name not in kinds:
        raise ConfigurationError(f"unknown kind of fault {name!r}{did_you_mean(name, kinds)}")
    return kinds[name]


def resolved(injection: Injection, acting: str, placement: Placement, topology: Topology) -> tuple[Injection, str]:
    """The injection and what it strikes now, a partition with both its sides. Raises as `struck` does."""
    target = struck(injection.target, acting, placement, topology)
    if injection.kind is not FaultKind.PARTITION:
        return injection, target
    other = struck(str(injection.parameters[SIDE]), acting, placement, topology)
    return replace(injection, parameters={**injection.parameters, SIDE: other}), target


def struck(target: str, acting: str, placement: Placement, topology: Topology) -> str:
    """The cloud or location that a target names now, `platform` for itself.

    Raises `ConfigurationError` for a standby that no placement has, and for an unknown cloud or location.
    """
    if target == Target.PLATFORM:
        return target
    if target in (Target.ACTING, Target.ACTING_CLOUD):
        return acting if target == Target.ACTING else acting.partition("/")[0]
    if target in (Target.STANDBY, Target.STANDBY_CLOUD, Target.LAST):
        others = [placed for placed in placement.locations if placed.key != acting]
        if not others:
            raise ConfigurationError(f"the placement in {placement.jurisdiction} has no standby")
        if target == Target.LAST:
            return others[-1].key
        chosen = next((placed for placed in others if placed.role is not Role.COLD), others[0]).key
        return chosen if target == Target.STANDBY else chosen.partition("/")[0]
    known = (*topology.clouds, *topology.locations)
    if target not in known:
        raise ConfigurationError(f"unknown target {target!r}{did_you_mean(target, [*Target, *known])}")
    return target
