"""The rollout of one endpoint: its record, the new version's server beside the former one, and what is found out about it.

What follows from findings is decided in `domain/rollout.py`; which servers there are, in `endpoint.py`; whose turn it is, in
`turns.py`.
"""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from mcml_assets.domain.errors import McmlError
from mcml_assets.domain.rollout import Findings, Phase, Rollout, abort, advance, begin, reopen
from mcml_assets.serving.edge.copies import Copies
from mcml_assets.serving.edge.render import NewVersion
from mcml_assets.serving.folder import DataPlaneFolder
from mcml_assets.serving.manifest import WantedEndpoint
from mcml_assets.serving.outage import planned_outage
from mcml_assets.serving.package import read_package
from mcml_assets.serving.ports import HOST
from mcml_assets.serving.processes import is_alive
from mcml_assets.serving.rollout.record import Order, read_record, write_record
from mcml_assets.serving.rollout.watch import EdgeCounts, Watch
from mcml_assets.serving.watched_server import WatchedServer

log = logging.getLogger(__name__)


@dataclass(slots=True)
class LocationRollout:
    """A rollout, and the new version's server once it is ready. `dark` says whether an outage of the location is planned."""

    folder: DataPlaneFolder
    wanted: WantedEndpoint
    record: Rollout
    dark: Callable[[], bool]
    server: WatchedServer | None = None
    watch: Watch | None = None

    @property
    def holds_back(self) -> bool:
        """Whether the new version must not be started now."""
        return self.record.phase in (Phase.WAITING, Phase.ROLLED_BACK, Phase.ABORTED)

    def take_up(self, server: WatchedServer) -> None:
        """The new version's server is ready, its golden predictions passed: it is watched beside the former one."""
        self.server = server
        self.watch = Watch(
            address=f"http://{HOST}:{server.instance.port}",
            port=server.instance.port,
            workload=self.wanted.workload,
            digest=self.wanted.digest,
            golden=read_package(self.wanted.package_folder()).golden,
            objectives=self.record.plan.objectives,
            timeout_seconds=self.wanted.timeout_seconds,
        )

    def step(
        self, now: float, waits: str | None, refused: str | None, counts: EdgeCounts | None, pool: Executor
    ) -> WatchedServer | None:
        """One look; returns the server that has to go, when the rollout went back. `refused` is why no server can start."""
        if self.dark():
            # Whatever is asked there is refused, and no version is to blame: it stands still until that is over.
            if self.watch is not None:
                self.watch.forget()
            return None
        condemned = refused
        if self.server is not None and not is_alive(self.server.instance.process):
            condemned = f"availability: the server of version {self.record.version} died"
        elif self.watch is not None:
            self.watch.step(now, counts, pool)
            condemned = self.watch.condemned(self.record.plan.steps.dwell_seconds, now)
        clock = time.time()
        seen = self.watch.seen(clock - self.record.since, now) if self.watch is not None else 0
        return self._become(advance(self.record, Findings(waits, self.server is not None, condemned, seen), clock))

    def obey(self, order: Order) -> WatchedServer | None:
        """Do what somebody ordered; returns the server that has to go."""
        now = time.time()
        if order.verb == "abort":
            return self._become(abort(self.record, order.sentence(), now))
        return self._become(reopen(self.record, order.sentence(), now, from_first_step=order.verb == "start"))

    def new_version(self) -> NewVersion | None:
        """The share of the location's requests that the edge gives to the new version."""
        return NewVersion(self.server.instance.port, self.record.share) if self.server is not None else None

    def copies(self) -> Copies | None:
        """The copies of live requests that the new version gets."""
        if self.server is None or self.record.copied == 0:
            return None
        return Copies(self.server.instance.port, self.record.copied)

    def release(self) -> WatchedServer | None:
        """Let go of the new version's server: it serves from now on, or has to end."""
        server, self.server, self.watch = self.server, None, None
        return server

    def _become(self, after: Rollout) -> WatchedServer | None:
        before, self.record = self.record, after
        if after != before:
            write_record(self.folder, after)
        if after.phase is not before.phase or after.step != before.step:
            level = logging.WARNING if after.phase in (Phase.ROLLED_BACK, Phase.ABORTED) else logging.INFO
            log.log(level, "%s: %s", self.wanted.name, after.sentence())
        return self.release() if after.phase in (Phase.ROLLED_BACK, Phase.ABORTED) else None


def rollout_of(
    folder: DataPlaneFolder, wanted: WantedEndpoint, answering: WantedEndpoint | None, present: LocationRollout | None
) -> LocationRollout | None:
    """The rollout by which this manifest takes over, or did; None where it does so at once, or nothing answers to begin from.

    The same package given anew changes nothing about its rollout: what was rolled back stays so.
    """
    if present is not None and present.record.digest == wanted.digest:
        present.wanted = wanted
        return present
    if wanted.rollout is None or not wanted.runs:
        return None
    dark = planned_outage(folder.faults, wanted.location)
    try:
        record = read_record(folder, wanted.name)
    except McmlError as error:
        log.error("%s", error)
        record = None
    if record is not None and record.digest == wanted.digest:
        return LocationRollout(folder, wanted, record, dark)
    if answering is None or answering.digest == wanted.digest:
        return None
    versions = answering.version, wanted.version
    record = begin(wanted.workload, wanted.location, *versions, wanted.digest, wanted.rollout, time.time())
    write_record(folder, record)
    return LocationRollout(folder, wanted, record, dark)
