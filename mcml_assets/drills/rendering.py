"""A scenario as an experiment of another tool: what both kinds have in common, and what cannot be said in them.

The forms are in `litmus.py` and `fis.py`. A scenario of which the tool can bring nothing about is refused, with the reason of
each fault; of one that it can bring about in part, the rest is told beside the experiment, so that nobody takes it for the
drill. An experiment only breaks: load, measuring and the verdict stay `mcml drill run`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.faults import FaultKind
from mcml_assets.domain.scenario import Injection, Kind, Moment, ProcessFault, Scenario, Target, struck
from mcml_assets.domain.topology import Topology
from mcml_assets.domain.workload import PlacedLocation, Workload


class Tool(StrEnum):
    """What a scenario can be rendered for."""

    LITMUS = "litmus"
    FIS = "fis"


class NotRenderable(ConfigurationError):
    """A scenario of which the tool can bring nothing about; the message says why of each fault."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """An experiment: its documents, and in words what of the scenario it does not bring about."""

    documents: tuple[dict[str, Any], ...]
    lacks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault against one location that a workload is placed in."""

    injection: Injection
    placed: PlacedLocation

    @property
    def seconds(self) -> int:
        """How long it lasts, in whole seconds."""
        return max(1, round(self.injection.lasts_seconds))


OWN = "is brought about by the platform's own fault plan, which alone knows its requests"
WHY_NOT: dict[Kind, str] = {
    FaultKind.CREDENTIALS_REVOKED: "is done by whoever holds the role: detach its policy, and attach it again",
    FaultKind.THROTTLING: "is an answer of the object store; FIS injects API errors of EC2 and Kinesis only, and no pod can",
    FaultKind.BANDWIDTH: f"{OWN}: each request has its own pace",
    FaultKind.CLOCK_SKEW: "is the bucket's clock, which no tool turns",
    FaultKind.PARTITION: f"{OWN}: its sides are runs and buckets by name, not pods",
    FaultKind.SOURCE_LATE: "is the source's, and no infrastructure fails",
    FaultKind.BAD_BATCH: "is the source's, and no infrastructure fails",
    FaultKind.WRONG_ANSWERS: "is a server that is well and wrong, and no infrastructure fails",
    FaultKind.FEATURE_STORE_DOWN: f"{OWN}: the online store is within the server's pod",
    FaultKind.REGISTRY_DOWN: f"{OWN}: runs of one location lose MLflow, and others keep it",
    ProcessFault.ORCHESTRATOR_FROZEN: "stops the process that holds the drill's clock: stop the daemon's pod by hand",
}
"""Kinds that neither tool brings about, and why. What damages bytes on their way is among them by `why_not`."""


def why_not(kind: Kind) -> str:
    """Why no tool brings a kind about."""
    return WHY_NOT.get(kind, f"{OWN}: bytes are damaged on their way, and stay sound where they are")


def strikes(
    scenario: Scenario, workload: Workload, jurisdiction: str, acting: str, topology: Topology
) -> tuple[tuple[Strike, ...], tuple[str, ...]]:
    """Every fault against every location of the placement that it strikes, and in words what strikes none of them."""
    placement = workload.placement(jurisdiction)
    found: list[Strike] = []
    lacks: list[str] = []
    for injection in scenario.injections:
        if injection.target == Target.PLATFORM:
            lacks.append(f"{injection.kind} {why_not(injection.kind)}")
            continue
        if injection.after is not Moment.STEADY:
            lacks.append(f"{injection.kind} begins at a moment of the drill that no tool knows ({injection.after})")
        target = struck(injection.target, acting, placement, topology)
        hit = [placed for placed in placement.locations if target in (placed.key, placed.location.cloud)]
        found += [Strike(injection, placed) for placed in hit]
        if not hit:
            lacks.append(f"{injection.kind} of {target}: {workload.name} has no location there in {jurisdiction}")
    return tuple(found), tuple(lacks)


def finished(tool: Tool, scenario: Scenario, documents: Sequence[dict[str, Any]], lacks: Sequence[str]) -> Rendered:
    """What came of it. Raises `NotRenderable` when no document did."""
    told = tuple(dict.fromkeys(lacks))
    if not documents:
        raise NotRenderable(f"{scenario.name} cannot be rendered for {tool}: {'; '.join(told)}")
    return Rendered(tuple(documents), told)
