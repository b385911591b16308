"""Steady state: what has to be so before anything is made to fail on purpose, and is to be so again afterwards.

Pure; the facts are those of a failover decision. Rules after FIS stop conditions and ARC safety rules: a rehearsal must
not be the second thing that goes wrong.
"""

from mcml_assets.domain.failover import Health, LocationFacts, Serving, Situation
from mcml_assets.domain.workload import Placement, Role


def unsteady(situation: Situation, placement: Placement) -> tuple[str, ...]:
    """Why a jurisdiction is not as it should be, a sentence each; empty when it is.

    Steady is: the primary acts, every location answers, holds the newest snapshot and the model of the others, and serves
    as its role asks (a cold standby by a verified package). What is unknown is not steady.
    """
    found: list[str] = []
    primary = placement.primary.key
    if situation.register_problem is not None:
        found.append(situation.register_problem)
    if situation.acting.location != primary:
        found.append(f"{situation.acting.location} acts, and not the primary {primary}: an incident is open")
    found += [f"{location} is evacuated" for location in sorted(situation.evacuated)]
    models = {facts.model for facts in situation.locations}
    for placed, facts in zip(placement.locations, situation.locations, strict=True):
        if (reason := _unsteady(facts, placed.role)) is not None:
            found.append(f"{facts.location}: {reason}")
    if len(models) > 1:
        found.append("its locations hold different models: " + ", ".join(sorted(str(model) for model in models)))
    return tuple(found)


def _unsteady(facts: LocationFacts, role: Role) -> str | None:
    if facts.health is not Health.UP:
        return f"it is {facts.health}" + (f" ({facts.problem})" if facts.problem else "")
    if facts.snapshot is None or facts.model is None:
        return "it holds no data" if facts.snapshot is None else "it holds no model"
    if facts.lag_seconds is None:
        return "its replication lag is unknown"
    if facts.lag_seconds > 0:
        return f"it lacks the newest snapshot, {facts.lag_seconds:.0f} s old"
    if not facts.features_current:
        return "its features are not those of its data"
    wanted = (Serving.READY, Serving.COLD) if role is Role.COLD else (Serving.READY,)
    if facts.serving not in wanted:
        return "no server answers there"
    return None
