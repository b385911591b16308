"""What a move would take: the decision, with the bytes, the cost, the time and the residency that a person asks about first.

Commands and what-if make plans; the decision in them is `domain/failover.py`'s, the same that the sensors take.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

from mcml_assets.domain.acting import Acting, initial_acting
from mcml_assets.domain.egress import EgressPrice, egress_cost
from mcml_assets.domain.errors import ConfigurationError, McmlError
from mcml_assets.domain.failover import Cause, Decision, Health, Situation, decide
from mcml_assets.domain.register import majority, register_stores
from mcml_assets.domain.topology import did_you_mean
from mcml_assets.domain.workload import Workload
from mcml_assets.failover.control import Control
from mcml_assets.failover.facts import Landed
from mcml_assets.failover.probing import Probe
from mcml_assets.failover.takeover import originals
from mcml_assets.serving.folder import DataPlaneFolder
from mcml_assets.serving.routes import read_route


@dataclass(frozen=True, slots=True)
class Plan:
    """A decision and what it would take.

    `copied_bytes` have to come from the former acting location first, and leave it for `cost` in `currency`; None where
    that cannot be told. A takeover from a location's own copy copies nothing. `answered_by` are the locations that the edge
    gets answers from, whoever acts, in the placement's order. `way_out` tells what has to happen before work can move, or
    anything be committed, where too few stores of the register answer; None where enough do. `uncertain` is why nobody can
    tell who acts at this moment: the decision then rests on the published route, the last that is known.
    """

    decision: Decision
    copied_bytes: int | None
    cost: Decimal | None
    currency: str | None
    answered_by: tuple[str, ...] = ()
    way_out: str | None = None
    uncertain: str | None = None


def plan(
    control: Control,
    workload: Workload,
    jurisdiction: str,
    cause: Cause,
    probes: Mapping[str, Probe],
    *,
    wanted: str | None = None,
    accept_loss: bool = False,
    also_evacuated: Collection[str] = (),
) -> Plan:
    """Decide as the sensors do, on what is so now, and change nothing.

    Raises `RegisterUnavailable` when nobody can tell who is acting.
    """
    entry = control.register.entry(workload, jurisdiction)
    evacuated = entry.evacuated | set(also_evacuated)
    return _plan(
        control, workload, jurisdiction, entry.acting, cause, probes, evacuated, wanted=wanted, accept_loss=accept_loss
    )


def _plan(
    control: Control,
    workload: Workload,
    jurisdiction: str,
    acting: Acting,
    cause: Cause,
    probes: Mapping[str, Probe],
    evacuated: frozenset[str] = frozenset(),
    *,
    wanted: str | None = None,
    accept_loss: bool = False,
) -> Plan:
    landed = _landed(control, workload, jurisdiction, acting)
    situation = control.situation(workload, jurisdiction, acting, probes, datetime.now(UTC), landed, evacuated)
    made = _priced(control, situation, decide(situation, cause, wanted=wanted, accept_loss=accept_loss))
    return replace(
        made,
        answered_by=tuple(facts.location for facts in situation.locations if facts.serves),
        way_out=_way_out(control, workload, situation, probes),
    )


def what_if(control: Control, workloads: Sequence[Workload], down: Collection[str]) -> list[Plan]:
    """What the sensors would do if these clouds and locations were down now; touches nothing.

    Where the register cannot be read at all, the plan says so (`uncertain`), and all other jurisdictions have theirs. Raises
    `ConfigurationError` for an unknown cloud or location, with the nearest one.
    """
    targets = (*control.topology.clouds, *control.topology.locations)
    for target in down:
        if target not in targets:
            raise ConfigurationError(f"unknown cloud or location {target!r}{did_you_mean(target, targets)}")
    dark = Probe(Health.DOWN, "what if")
    found = control.probes(workloads)
    supposed = {
        location: dark if {location, location.partition("/")[0]} & set(down) else probe for location, probe in found.items()
    }
    return [
        _supposed(control, workload, jurisdiction, found, supposed)
        for workload in workloads
        for jurisdiction in workload.jurisdictions
    ]


def _supposed(
    control: Control, workload: Workload, jurisdiction: str, found: Mapping[str, Probe], supposed: Mapping[str, Probe]
) -> Plan:
    problem = control.register_problem(workload, jurisdiction, found)
    if problem is None:
        return plan(control, workload, jurisdiction, Cause.PROBE, supposed)
    # Asking it would wait for stores that were found silent, to hear the same.
    acting = _last_known(control, workload, jurisdiction)
    return replace(_plan(control, workload, jurisdiction, acting, Cause.PROBE, supposed), uncertain=problem)


def _last_known(control: Control, workload: Workload, jurisdiction: str) -> Acting:
    """Who acted when the route was published, or would at first: what the edge still obeys, and no word on who acts now."""
    route = read_route(DataPlaneFolder.of(control.settings), workload.name, jurisdiction)
    if route is None:
        return initial_acting(workload.placement(jurisdiction))
    return Acting(route.locations[0], route.epoch)


def _landed(control: Control, workload: Workload, jurisdiction: str, acting: Acting) -> Landed | None:
    """The acting location's newest snapshot, asked of itself: also where it is only supposed to be down."""
    try:
        pointer = originals(workload, acting.location, "landing", control.open_snapshots).current_pointer()
    except McmlError:
        return None
    return Landed(pointer.snapshot_id, datetime.fromisoformat(pointer.committed_at)) if pointer is not None else None


def _way_out(control: Control, workload: Workload, situation: Situation, probes: Mapping[str, Probe]) -> str | None:
    """What has to happen first, where a majority of the register's stores is gone.

    Also where the acting location itself answers: every commit asks the register first.

    There is no order that a person could give instead: the stores that do not answer may have agreed on a move that nobody
    here has heard of, and a second acting location beside that one is what the register is there to exclude.
    """
    if situation.register_problem is None:
        return None
    stores = register_stores(workload.placement(situation.jurisdiction), control.topology)
    silent = [store for store in stores if probes[store].health is not Health.UP]
    needed = majority(stores) - (len(stores) - len(silent))
    return (
        f"{needed} of {', '.join(silent)} must answer again; before, nothing is committed and no move is safe, also not by hand"
    )


def _priced(control: Control, situation: Situation, decision: Decision) -> Plan:
    if decision.after is None:
        return Plan(decision, 0, Decimal(0), None)
    target, former = situation.facts(decision.after.location), situation.facts(decision.before.location)
    if target is None or former is None or former.health is not Health.UP:
        return Plan(decision, 0, Decimal(0), None)
    if target.missing_bytes is None:
        return Plan(decision, None, None, None)
    location = control.topology.location(decision.before.location)
    cost = egress_cost({EgressPrice(location.egress_price, location.currency): target.missing_bytes})
    return Plan(decision, target.missing_bytes, cost.amount if cost else None, cost.currency if cost else None)
