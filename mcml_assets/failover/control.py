"""All that failing over needs of a platform, in one place, for sensors and commands alike; no Dagster.

`Control` gathers the facts of a decision and carries it out in the register. When a decision is asked for, and which runs
follow, is their callers' business.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol

from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.acting import Acting
from mcml_assets.domain.egress import EgressPrice
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.failover import Decision, Health, Situation
from mcml_assets.domain.register import Entry, Evacuation, majority, register_stores
from mcml_assets.domain.topology import Topology
from mcml_assets.domain.workload import Workload
from mcml_assets.failover.facts import Landed, survey
from mcml_assets.failover.probing import Probe, Prober
from mcml_assets.failover.takeover import OpenSnapshots
from mcml_assets.serving.folder import DataPlaneFolder
from mcml_assets.serving.interfaces import EndpointPlatform
from mcml_assets.serving.routes import read_route
from mcml_assets.serving.synthetic_results import last_synthetic
from mcml_assets.snapshots.fencing import fence_locations
from mcml_assets.snapshots.store import SnapshotStore


class ActingRegister(Protocol):
    """Who is acting in each jurisdiction of each workload, kept where no single cloud can lose it."""

    def read(self, workload: Workload, jurisdiction: str) -> Acting:
        """Who is acting now. Raises `RegisterUnavailable` when nobody can tell."""
        ...

    def entry(self, workload: Workload, jurisdiction: str) -> Entry:
        """Who is acting now, since when and why, and which locations are evacuated. Raises as `read` does."""
        ...

    def change(
        self, workload: Workload, jurisdiction: str, expected: Acting, new: Acting, *, who: str, why: str, request_id: str
    ) -> Acting:
        """Make `new` the acting location if `expected` still is. Raises `StaleEpoch` when it is not."""
        ...

    def evacuate(self, workload: Workload, jurisdiction: str, evacuation: Evacuation) -> Entry:
        """Let nothing choose a location until it is given back. Raises as `read` does."""
        ...

    def give_back(self, workload: Workload, jurisdiction: str, location: str, *, also_whole: bool = False) -> bool:
        """Let a location be chosen again; returns whether it could not be. Raises as `read` does."""
        ...


@dataclass(frozen=True, slots=True)
class Control:
    """A platform as failing over sees it."""

    settings: Settings
    topology: Topology
    register: ActingRegister
    open_snapshots: OpenSnapshots
    platform: EndpointPlatform
    prober: Prober

    def probes(self, workloads: Sequence[Workload]) -> Mapping[str, Probe]:
        """The health of every location that these workloads are placed in, or whose register is kept there."""
        placed = {placed.key for workload in workloads for placed in workload.locations}
        kept = {
            store
            for workload in workloads
            for placement in workload.placements
            for store in register_stores(placement, self.topology)
        }
        return self.prober.probe(sorted(placed | kept))

    def register_problem(self, workload: Workload, jurisdiction: str, probes: Mapping[str, Probe]) -> str | None:
        """Why the register cannot be read or changed, by what probes say of its stores; None when it can."""
        stores = register_stores(workload.placement(jurisdiction), self.topology)
        answering = [store for store in stores if probes[store].health is Health.UP]
        if len(answering) >= majority(stores):
            return None
        return f"{len(answering)} of the {len(stores)} stores of its register answer, and {majority(stores)} must"

    def situation(
        self,
        workload: Workload,
        jurisdiction: str,
        acting: Acting,
        probes: Mapping[str, Probe],
        as_of: datetime,
        landed: Landed | None = None,
        evacuated: frozenset[str] = frozenset(),
    ) -> Situation:
        """What is so about a workload in a jurisdiction; the arguments are those of `facts.survey`.

        Raises `ConfigurationError` when the published route is unreadable.
        """
        folder = DataPlaneFolder.of(self.settings)
        route = read_route(folder, workload.name, jurisdiction)
        return survey(
            workload,
            jurisdiction,
            acting,
            probes=probes,
            open_snapshots=self.open_snapshots,
            platform=self.platform,
            as_of=as_of,
            landed=landed,
            served=route.version if route is not None else None,
            evacuated=evacuated,
            register_problem=self.register_problem(workload, jurisdiction, probes),
            synthetic=partial(last_synthetic, folder),
        )

    def fence(self, workload: Workload, location: str, epoch: int) -> str | None:
        """Refuse writers of older epochs in a location that could not be told of the change; why it has no fence, or None."""
        return fence_locations(workload, [location], self.open_snapshots, epoch).get(location)

    def carry_out(self, workload: Workload, decision: Decision, who: str) -> Acting:
        """Change the register as decided, and return who acts now.

        The same decision of two callers is one change. Raises `StaleEpoch` when another decision was faster, and
        `RegisterUnavailable` when the register cannot tell.
        """
        if decision.after is None:
            raise ConfigurationError(f"nothing was decided for {workload.name} in {decision.jurisdiction}: it stays")
        return self.register.change(
            workload,
            decision.jurisdiction,
            decision.before,
            decision.after,
            who=who,
            why="; ".join(decision.reasons),
            request_id=f"{decision.before.epoch}/{decision.before.location}/{decision.after.location}",
        )


def platform_control(settings: Settings, topology: Topology) -> Control:
    """The control of the platform of these settings, for who has no Dagster resources at hand."""
    from mcml_assets.clouds.registry import open_store, provision  # noqa: PLC0415 - opens object stores
    from mcml_assets.failover.probing import shared_prober  # noqa: PLC0415 - the same
    from mcml_assets.register.quorum import QuorumRegister  # noqa: PLC0415 - the same
    from mcml_assets.serving.platforms import PlacedPlatforms  # noqa: PLC0415 - only who asks endpoints

    def open_bucket(location: str) -> ObjectStore:
        provision(topology, settings)
        return open_store(topology.location(location), settings)

    def open_snapshots(workload: Workload, location: str, noun: str) -> SnapshotStore:
        where = topology.location(location)
        return SnapshotStore(open_bucket(location), workload.name, noun, EgressPrice(where.egress_price, where.currency))

    def fence_all(workload: Workload, jurisdiction: str, acting: Acting) -> None:
        keys = [placed.key for placed in workload.placement(jurisdiction).locations]
        fence_locations(workload, keys, open_snapshots, acting.epoch)

    register = QuorumRegister(topology, open_bucket, changed=fence_all)
    return Control(settings, topology, register, open_snapshots, PlacedPlatforms(topology, settings), shared_prober(settings))
