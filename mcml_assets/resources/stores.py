"""The resource that opens a location's snapshots. How bytes are stored is `clouds/`'s and `snapshots/`'s business."""

from collections.abc import Mapping
from functools import cache, cached_property, partial
from pathlib import Path

import dagster as dg
from pydantic import Field

from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.domain.acting import Acting
from mcml_assets.domain.egress import EgressPrice
from mcml_assets.domain.errors import StaleEpoch
from mcml_assets.domain.topology import Topology
from mcml_assets.domain.workload import Workload
from mcml_assets.register.quorum import QuorumRegister
from mcml_assets.register.rounds import Lane
from mcml_assets.snapshots.fencing import fence_locations
from mcml_assets.snapshots.store import SnapshotStore
from mcml_assets.snapshots.workers import MIB, ReplicationLimits


@cache
def _lanes(home: str, topology_file: str) -> dict[str, Lane]:
    """The register's connections of this process: a tick finds those of the one before, and what still hangs in them."""
    return {}


class CloudStores(dg.ConfigurableResource):
    """Every location's object store, by the topology of the profile."""

    home: str = Field(description="Folder of everything the local platform writes.")
    topology_file: str = Field(description="The topology: clouds, regions, buckets.")

    @classmethod
    def from_settings(cls, settings: Settings) -> "CloudStores":
        return cls(home=str(settings.home), topology_file=str(settings.topology_file))

    @cached_property
    def settings(self) -> Settings:
        """This machine's settings, with the folders this resource was configured for."""
        return Settings(home=Path(self.home), topology=Path(self.topology_file))

    @cached_property
    def topology(self) -> Topology:
        return load_topology(Path(self.topology_file))

    @cached_property
    def register(self) -> QuorumRegister:
        """Who is acting in each jurisdiction of each workload, and how that changes.

        A change through it leaves fences at every location that answers.
        """
        return QuorumRegister(self.topology, self.bucket, changed=self.fence, lanes=_lanes(self.home, self.topology_file))

    def acting(self, workload: Workload, jurisdiction: str) -> Acting:
        """Who does the jurisdiction's work now, and the epoch under which it writes.

        Asked of the register once for the life of this resource, which is one run or one tick: what a run does, it does
        under one epoch, unless it is retried under the next one (`renew`). Raises `RegisterUnavailable`.
        """
        key = (workload.name, jurisdiction)
        if key not in self._acting:
            self._acting[key] = self.register.read(workload, jurisdiction)
        return self._acting[key]

    def renew(self, workload: Workload, jurisdiction: str) -> tuple[Acting | None, Acting]:
        """Ask the register anew, and go on under what it says: who acted when it was asked before, and who acts now.

        Raises `RegisterUnavailable`.
        """
        former = self._acting.pop((workload.name, jurisdiction), None)
        return former, self.acting(workload, jurisdiction)

    def confirm(self, workload: Workload, jurisdiction: str, epoch: int) -> None:
        """Ask the register, now, whether work may still be committed under this epoch.

        Raises `StaleEpoch` when the jurisdiction moved on, and `RegisterUnavailable` when nobody can tell.
        """
        now = self.register.entry(workload, jurisdiction)
        if now.acting.epoch > epoch:
            raise StaleEpoch(
                f"{workload.name} in {jurisdiction}: epoch {epoch} is over, and nothing of it may be committed; "
                f"{now.acting.location} acts in epoch {now.acting.epoch}, since {now.since}: {now.why}"
            )

    def fence(self, workload: Workload, jurisdiction: str, acting: Acting) -> Mapping[str, str]:
        """Refuse writers of older epochs at every location that answers; why a location has no fence, by its key.

        A change of the register does this by itself; where it could not, the recovery sensor does when the location is back.
        """
        self._acting[workload.name, jurisdiction] = acting
        keys = [placed.key for placed in workload.placement(jurisdiction).locations]
        return fence_locations(workload, keys, self.snapshots, acting.epoch)

    def work_for(self, location: str) -> None:
        """Ask every bucket from here on as this location does: a planned partition parts it from another one."""
        self._asker["location"] = location

    @cached_property
    def _asker(self) -> dict[str, str]:
        return {}

    @cached_property
    def _acting(self) -> dict[tuple[str, str], Acting]:
        return {}

    def snapshots(self, workload: Workload, location: str, noun: str) -> SnapshotStore:
        """The snapshots of one asset of a workload in one location; what is committed asks the register first.

        Raises `ConfigurationError` for an unknown location, `LocationUnavailable` once the bucket does not answer.
        """
        where = self.topology.location(location)
        price = EgressPrice(where.egress_price, where.currency)
        confirm = partial(self.confirm, workload, workload.placement_of(location).jurisdiction)
        return SnapshotStore(self.bucket(location), workload.name, noun, price, confirm, self.topology.digest)

    def bucket(self, location: str) -> ObjectStore:
        """The bucket of a location. Raises `ConfigurationError` for an unknown one."""
        # Only runs that touch a store pay for its client.
        from mcml_assets.clouds.registry import open_store, provision  # noqa: PLC0415

        provision(self.topology, self.settings)
        return open_store(self.topology.location(location), self.settings, self._asker.get("location"))

    @property
    def limits(self) -> ReplicationLimits:
        """What one copy may use on this machine."""
        settings = self.settings
        return ReplicationLimits(settings.replication_memory_mib * MIB, settings.replication_concurrency)
