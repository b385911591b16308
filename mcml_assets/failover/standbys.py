"""The readiness of every location of some workloads, as the next failover would find it; no Dagster.

What readiness is, `domain/readiness.py` says.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mcml_assets.domain.errors import McmlError
from mcml_assets.domain.readiness import Health, Readiness, points_by_question
from mcml_assets.domain.workload import Placement, Workload
from mcml_assets.failover.control import Control
from mcml_assets.failover.probing import Probe


@dataclass(frozen=True, slots=True)
class Standby:
    """One location of a placement: whether it acts, and its readiness; `problem` where it does not answer, or nobody can tell.

    A location with a problem is not ready, whatever its points say.
    """

    workload: str
    jurisdiction: str
    location: str
    role: str
    acting: bool
    readiness: Readiness | None
    problem: str | None = None

    @property
    def ready(self) -> bool:
        """Whether the next failover may choose it, or it acts and could go on."""
        return self.problem is None and self.readiness is not None and self.readiness.ready

    @property
    def sentence(self) -> str:
        """For people."""
        if self.problem is not None or self.readiness is None:
            return f"not ready: {self.problem or 'nobody can tell'}"
        return self.readiness.sentence

    def to_json(self) -> dict[str, Any]:
        """The document that `mcml readiness --json` prints a list of."""
        points = points_by_question(self.readiness) if self.readiness is not None else ()
        return {
            "workload": self.workload,
            "jurisdiction": self.jurisdiction,
            "location": self.location,
            "role": self.role,
            "acting": self.acting,
            "ready": self.ready,
            "problem": self.problem,
            "points": [{"question": question, "standing": standing, "text": text} for question, standing, text in points],
        }


def standbys(control: Control, workloads: Sequence[Workload]) -> Iterator[Standby]:
    """Every location of every placement, in its order."""
    probes = control.probes(workloads)
    for workload in workloads:
        for placement in workload.placements:
            yield from standbys_of(control, workload, placement, probes)


def standbys_of(control: Control, workload: Workload, placement: Placement, probes: Mapping[str, Probe]) -> tuple[Standby, ...]:
    """The locations of one placement; where nobody can say who acts, none is ready."""
    jurisdiction = placement.jurisdiction
    try:
        entry = control.register.entry(workload, jurisdiction)
        now = datetime.now(UTC)
        situation = control.situation(workload, jurisdiction, entry.acting, probes, now, evacuated=entry.evacuated)
    except McmlError as error:
        return tuple(
            Standby(workload.name, jurisdiction, placed.key, placed.role.value, False, None, str(error))
            for placed in placement.locations
        )
    found: list[Standby] = []
    for placed, facts in zip(placement.locations, situation.locations, strict=True):
        problem = None
        if facts.health is not Health.UP:
            problem = f"{facts.health}: {facts.problem or 'no reason given'}"
        elif facts.location in situation.evacuated:
            problem = "evacuated: a person took the work from it"
        acts = facts.location == entry.acting.location
        role = placed.role.value
        found.append(
            Standby(workload.name, jurisdiction, facts.location, role, acts, situation.readiness(facts.location), problem)
        )
    return tuple(found)
