"""A scenario at a location that somebody chose: the location takes the place of a role, or it does not fit.

Pure. What roles mean by themselves is `scenario.py`'s business. The primary is taken for the acting location, because a drill
begins in no other state.
"""

from dataclasses import replace

from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.faults import SIDE, FaultKind
from mcml_assets.domain.scenario import JURISDICTION, Due, Injection, ProcessFault, Scenario, Target
from mcml_assets.domain.workload import Placement, Role

ACTS = (Target.ACTING, Target.ACTING_CLOUD)
STANDS_BY = (Target.STANDBY, Target.LAST, Target.STANDBY_CLOUD)
NEEDS_A_SERVER = frozenset(
    {ProcessFault.SERVER_KILLED, ProcessFault.SERVER_FROZEN, FaultKind.WRONG_ANSWERS, FaultKind.FEATURE_STORE_DOWN}
)


def at_location(scenario: Scenario, location: str, placement: Placement) -> Scenario:
    """The scenario with this location in the place of the role that fits it.

    Raises `ConfigurationError` where none does, saying why: what is to make the acting location fail cannot be rehearsed at
    a standby, nor the other way round, and a cold standby runs no server that could be killed.
    """
    placed = next((one for one in placement.locations if one.key == location), None)
    if placed is None:
        where = ", ".join(one.key for one in placement.locations)
        raise ConfigurationError(f"{location} is not in the placement in {placement.jurisdiction}: {where}")
    targets = _targets(scenario)
    if Target.PLATFORM in targets:
        raise ConfigurationError(f"{scenario.name} strikes the platform itself, and no location: leave --location out")
    if not targets & {*ACTS, *STANDS_BY}:
        raise ConfigurationError(
            f"{scenario.name} names its targets itself ({', '.join(sorted(targets))}): leave --location out"
        )
    primary = placement.primary.key
    if location == primary:
        if targets & {*ACTS}:
            return scenario
        raise ConfigurationError(f"{scenario.name} strikes a standby, and {location} acts")
    role = next((role for role in STANDS_BY if role in targets), Target.ACTING)
    if role is Target.ACTING and (problem := _only_acting(scenario, targets)) is not None:
        raise ConfigurationError(f"{scenario.name} {problem}, and {primary} acts: {location} does not fit")
    struck = [one for one in scenario.injections if one.target == role]
    if placed.role is Role.COLD and any(one.kind in NEEDS_A_SERVER for one in struck):
        raise ConfigurationError(f"{scenario.name} strikes a server, and {location} is cold: none runs there")
    name = location.partition("/")[0] if role is Target.STANDBY_CLOUD else location
    return replace(
        scenario,
        injections=tuple(_with(injection, role, name) for injection in scenario.injections),
        runs=tuple(_of(run, role, location) for run in scenario.runs),
        cleanup=tuple(_of(run, role, location) for run in scenario.cleanup),
    )


def fitting(scenario: Scenario, placement: Placement) -> tuple[str, ...]:
    """The locations of a placement at which a scenario can be rehearsed; the primary for what strikes the platform."""

    def fits(location: str) -> bool:
        try:
            at_location(scenario, location, placement)
        except ConfigurationError:
            return False
        return True

    found = tuple(placed.key for placed in placement.locations if fits(placed.key))
    return found or (usual(scenario, placement),)


def usual(scenario: Scenario, placement: Placement) -> str:
    """The location that a scenario is about where nobody chose one: the acting one, or the standby that it strikes."""
    targets = _targets(scenario)
    standbys = [placed.key for placed in placement.standbys]
    if targets & {*ACTS} or not standbys or not targets & {*STANDS_BY}:
        return placement.primary.key
    if Target.LAST in targets:
        return standbys[-1]
    return next((placed.key for placed in placement.standbys if placed.role is not Role.COLD), standbys[0])


def _only_acting(scenario: Scenario, targets: set[str]) -> str | None:
    """Why only the acting location can be struck; None where any could."""
    if Target.ACTING_CLOUD in targets:
        return "strikes the acting location's whole cloud"
    if scenario.objectives.moves:
        return "makes the acting location fail"
    if any(run.of == JURISDICTION for run in scenario.runs):
        return "asks for a run of the acting location"
    return None


def _targets(scenario: Scenario) -> set[str]:
    sides = {str(one.parameters[SIDE]) for one in scenario.injections if one.kind is FaultKind.PARTITION}
    return {injection.target for injection in scenario.injections} | sides


def _with(injection: Injection, role: Target, name: str) -> Injection:
    parameters = dict(injection.parameters)
    if parameters.get(SIDE) == role:
        parameters[SIDE] = name
    return replace(injection, target=name if injection.target == role else injection.target, parameters=parameters)


def _of(run: Due, role: Target, location: str) -> Due:
    return replace(run, of=location) if run.of == role else run
