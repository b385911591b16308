"""Runbooks: what a person does when a scenario is no drill. Composed from the scenario and the placement, so that none can rot.

Pure. Who acts now is the caller's to say. Each command is one that the platform has; a test executes all of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mcml_assets.domain.faults import MEANINGS, FaultKind
from mcml_assets.domain.register import STORES
from mcml_assets.domain.scenario import PROCESS_MEANINGS, Injection, ProcessFault, Scenario
from mcml_assets.domain.workload import Failback, Workload

MAJORITY = STORES // 2 + 1
"""How many of its three clouds the register needs, and cannot lose."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do or to know, and the command that does it, if one does."""

    text: str
    command: str | None = None


@dataclass(frozen=True, slots=True)
class Runbook:
    """A page: its title, whom it is about, and its sections in the order in which they are read."""

    scenario: str
    title: str
    about: str
    sections: tuple[tuple[str, tuple[Step, ...]], ...]

    @property
    def commands(self) -> tuple[str, ...]:
        """Every command on the page, in order."""
        return tuple(step.command for _, steps in self.sections for step in steps if step.command is not None)

    def markdown(self) -> str:
        """The page as Markdown."""
        lines = [f"# {self.title}", "", self.about]
        for heading, steps in self.sections:
            lines += ["", f"## {heading}", ""]
            for number, step in enumerate(steps, start=1):
                lines.append(f"{number}. {step.text}")
                if step.command is not None:
                    lines += ["", f"   ```\n   {step.command}\n   ```", ""]
        return "\n".join(lines).rstrip() + "\n"


def runbook(
    scenario: Scenario, workload: Workload, jurisdiction: str, acting: str, struck: Sequence[tuple[Injection, str]]
) -> Runbook:
    """The runbook of a scenario for a workload in a jurisdiction where `acting` acts; `struck` is what each fault strikes."""
    moves = scenario.objectives.moves
    targets = tuple(dict.fromkeys(target for _, target in struck))
    dark = _dark_clouds(struck)
    if moves:
        decision = _moving_decision(workload, jurisdiction, acting, targets)
    else:
        decision = _staying_decision(acting) if len(dark) < MAJORITY else _undecidable(workload, acting, dark)
    sections = (
        ("Signs", tuple(_signs(scenario, workload, struck))),
        ("Decision", tuple(decision)),
        ("What to do", tuple(_moving(workload, jurisdiction) if moves else _staying(scenario, targets))),
        ("How to check", tuple(_check(workload, jurisdiction))),
        ("How to go back", tuple(_back(workload, jurisdiction) if moves else _no_way_back(dark))),
        ("Who is told", tuple(_told(workload))),
    )
    about = (
        f"{workload.name} in {jurisdiction}, where {acting} acts; RTO {workload.rto_seconds} s, RPO {workload.rpo_seconds} s. "
        f"Rehearse it with `mcml drill run {scenario.name} --workload {workload.name} --jurisdiction {jurisdiction}`."
    )
    return Runbook(scenario.name, scenario.title, about, sections)


def _signs(scenario: Scenario, workload: Workload, struck: Sequence[tuple[Injection, str]]) -> Iterator[Step]:
    for injection, target in struck:
        yield Step(f"{target}: {_meaning(injection)}.")
    yield Step("A location that is not healthy says why:", "mcml status")
    yield Step(f"In the UI: asset `{workload.name}/traffic_route`, tab Events. Each decision is there, with its reasons.")
    yield Step("A drill is not an incident: see that nobody set this on purpose.", "mcml fault list")


def _meaning(injection: Injection) -> str:
    return MEANINGS[injection.kind] if isinstance(injection.kind, FaultKind) else PROCESS_MEANINGS[injection.kind]


def _moving_decision(workload: Workload, jurisdiction: str, acting: str, targets: tuple[str, ...]) -> Iterator[Step]:
    yield Step(
        "The failover sensor decides by itself, within one tick of some seconds, when the acting location is down, and "
        "another one is lawful, up, fresh enough and ready. See who acts now:",
        "mcml register show",
    )
    down = " ".join(f"--down {target}" for target in targets)
    yield Step("What would move, where to, and what would be left behind:", f"mcml whatif {down}")
    yield Step("Which standbys could take over, and what speaks against the others:", f"mcml readiness {workload.name}")
    yield Step(
        f"If {acting} still acts after a minute, the reasons of the last decision say why nobody may take over. A location "
        "that is stale may only be chosen by a person, who accepts the loss."
    )
    yield Step(f"Work never leaves {jurisdiction}: no option allows it.")


def _staying_decision(acting: str) -> Iterator[Step]:
    yield Step(
        f"Nothing is to move: another cloud would not mend this. {acting} keeps the work; see that it does:",
        "mcml register show",
    )


def _dark_clouds(struck: Sequence[tuple[Injection, str]]) -> tuple[str, ...]:
    whole = (target for injection, target in struck if injection.kind is FaultKind.OUTAGE and "/" not in target)
    return tuple(dict.fromkeys(whole))


def _undecidable(workload: Workload, acting: str, dark: tuple[str, ...]) -> Iterator[Step]:
    yield Step(
        f"Nothing can move, neither by itself nor by hand: without {' and '.join(dark)} the register has lost its majority, "
        f"and two sides could each think they act. {acting} stays the acting location; see which stores answer:",
        "mcml register show",
    )
    yield Step(
        "Callers are answered by the locations of the other cloud that run a server, and by nobody where there is none:",
        f"mcml readiness {workload.name}",
    )
    yield Step("Get one of the clouds back first, whichever is sooner: with two of three the platform decides again by itself.")


def _moving(workload: Workload, jurisdiction: str) -> Iterator[Step]:
    yield Step(
        "Nothing, while the sensor does it. By hand, first in thought:",
        f"mcml failover {workload.name} {jurisdiction} --dry-run",
    )
    yield Step(
        "Then for good. It is kept there until somebody gives it back:",
        f"mcml failover {workload.name} {jurisdiction} --why incident",
    )


def _staying(scenario: Scenario, targets: tuple[str, ...]) -> Iterator[Step]:
    kinds = {injection.kind for injection in scenario.injections}
    if kinds & {ProcessFault.SERVER_KILLED, ProcessFault.SERVER_FROZEN}:
        yield Step("The controller starts a server again, and the edge asks a standby meanwhile. If it does not:", "mcml start")
        yield Step("Its log is under `.mcml/data_plane/logs/`.")
    elif ProcessFault.ORCHESTRATOR_FROZEN in kinds:
        yield Step(
            "Serving goes on by the last route. Start Dagster again; an instance that is lost is filled from the buckets."
        )
    else:
        locations = [target for target in targets if "/" in target]
        asked = f" --location {locations[0]}" if locations else ""
        yield Step("Find out what the store says, and how to mend it:", f"mcml doctor{asked}")


def _check(workload: Workload, jurisdiction: str) -> Iterator[Step]:
    yield Step("Every location healthy, one of each jurisdiction acting:", "mcml status")
    entity = workload.features.entity.name
    yield Step(f"The edge answers: `mcml predict {workload.name} --{entity} <id> --jurisdiction {jurisdiction}`.")
    yield Step("All stores of the register agree:", "mcml register show")
    yield Step("What was served from older data or an older model meanwhile: `mcml stale` with the outage's times.")


def _back(workload: Workload, jurisdiction: str) -> Iterator[Step]:
    if workload.failback is Failback.AUTO:
        yield Step(
            "The primary gets its work back by itself, caught up and watched for a while; not where a person took it away."
        )
    yield Step(
        "By hand, first in thought; it is refused while the primary lacks anything:",
        f"mcml failback {workload.name} {jurisdiction} --dry-run",
    )
    yield Step("Then for good:", f"mcml failback {workload.name} {jurisdiction}")


def _no_way_back(dark: Sequence[str]) -> Iterator[Step]:
    yield Step("Nothing moved, so there is nothing to take back.")
    if len(dark) >= MAJORITY:
        yield Step("What moves once the register has its majority again is told by the runbook `mcml runbook provider_outage`.")


def _told(workload: Workload) -> Iterator[Step]:
    yield Step(f"The owner: {workload.owner}.")
    yield Step(
        "Whoever the platform's alerts reach (`MCML_ALERT_WEBHOOK`, `MCML_ALERT_SLACK`, `MCML_ALERT_PAGERDUTY` name where): "
        "one alert for each cause, and its end. Say there who has taken it."
    )
    if workload.regulations:
        yield Step(
            f"Whoever answers for {', '.join(workload.regulations)}: what moved, when, and that it stayed in its jurisdiction "
            "is in the register and on the route's events."
        )
