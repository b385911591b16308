"""How far each location is behind the acting one, read from the buckets for the metrics. Dagster is not asked.

It runs in the shipper's process, which has the credentials of the buckets. Who is acting is what the edge obeys. What the
metrics expose of it is `promise_metrics.py`'s business.
"""

import json
import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from mcml_assets.clouds.registry import open_store
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import McmlError
from mcml_assets.domain.lag import replication_lag
from mcml_assets.domain.snapshot import Pointer
from mcml_assets.domain.topology import Topology
from mcml_assets.serving.folder import DataPlaneFolder, write_atomically
from mcml_assets.serving.local_platform import read_manifest_file
from mcml_assets.serving.manifest import read_manifest
from mcml_assets.serving.routes import read_route
from mcml_assets.snapshots.store import SnapshotStore

log = logging.getLogger(__name__)

LOOK_SECONDS = 15.0
# From here on nobody knows: whoever looks hangs at a dark cloud, or is gone.
FRESH_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class SeenLag:
    """What was seen of one location. It holds the newest snapshot, or lacks it since `newest_committed_at`; None where
    nobody could tell, and then `problem` says why. Times are ISO 8601.
    """

    holds_newest: bool
    newest_committed_at: str | None
    problem: str | None
    at: str

    def seconds(self, now: datetime) -> float | None:
        """The replication lag; None for unknown."""
        if (now - datetime.fromisoformat(self.at)).total_seconds() > FRESH_SECONDS:
            return None
        return replication_lag(self.holds_newest, self.newest_committed_at, now)


class LagWatch:
    """Looks at every location that has an endpoint; one that does not answer keeps none of the others waiting."""

    def __init__(self, settings: Settings, topology: Topology) -> None:
        self.settings, self.topology = settings, topology
        self.folder = DataPlaneFolder.of(settings)
        self._pool = ThreadPoolExecutor(8, thread_name_prefix="lag")
        self._under_way: dict[str, Future[None]] = {}
        self._not_before = 0.0

    def round(self) -> None:
        """Start looking, where it is time and nobody looks yet."""
        now = time.monotonic()
        if now < self._not_before:
            return
        self._not_before = now + LOOK_SECONDS
        for name in self.folder.wanted_names():
            under_way = self._under_way.get(name)
            if under_way is None or under_way.done():
                # No word is left of it, so the lag is unknown soon; why, only the log can tell.
                if under_way is not None and (error := under_way.exception()) is not None:
                    log.error("looking at the lag of %s failed", name, exc_info=error)
                self._under_way[name] = self._pool.submit(self.look, name)

    def look(self, name: str) -> None:
        """Look at one endpoint's location now, and leave word."""
        try:
            newest, held = self._pointers(name)
            problem = "the acting location has landed nothing yet" if newest is None else None
        except McmlError as error:
            newest, held, problem = None, None, str(error)
        holds = newest is not None and held is not None and held.snapshot_id == newest.snapshot_id
        at = datetime.now(UTC).isoformat(timespec="seconds")
        seen = SeenLag(holds, newest.committed_at if newest is not None else None, problem, at)
        write_atomically(self.folder.endpoint("lag", name), json.dumps(asdict(seen)))

    def end(self) -> None:
        """Wait for nobody who still looks."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _pointers(self, name: str) -> tuple[Pointer | None, Pointer | None]:
        """What the acting location landed last, and what this location holds of it."""
        manifest = read_manifest_file(self.folder, "wanted", name)
        if manifest is None:
            return None, None
        wanted = read_manifest(manifest)
        route = read_route(self.folder, wanted.workload, wanted.jurisdiction)
        if route is None:
            return None, None
        newest = self._snapshots(wanted.workload, route.locations[0], "landing").current_pointer()
        return newest, self._snapshots(wanted.workload, wanted.location, "raw_data").current_pointer()

    def _snapshots(self, workload: str, location: str, noun: str) -> SnapshotStore:
        return SnapshotStore(open_store(self.topology.location(location), self.settings), workload, noun)


def seen_lag(folder: DataPlaneFolder, name: str) -> SeenLag | None:
    """What was last seen of an endpoint's location, however long ago; None for nothing that can be read."""
    try:
        return SeenLag(**json.loads(folder.endpoint("lag", name).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
