"""The locations that a drill may disturb, kept from other drills while it runs; what lies apart may be rehearsed at once."""

import fcntl
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.scenario import Target
from mcml_assets.domain.topology import Topology
from mcml_assets.domain.workload import Placement

FOLDER = "locks"


def footprint(targets: Iterable[str], placement: Placement, topology: Topology) -> tuple[str, ...]:
    """The placement's own locations and all that is struck, a cloud with all its regions; everything for the platform."""
    struck = set(targets)
    if Target.PLATFORM in struck:
        return tuple(sorted(topology.locations))
    own = {placed.key for placed in placement.locations}
    hit = {key for key in topology.locations if struck & {key, key.partition("/")[0]}}
    return tuple(sorted(own | hit))


@contextmanager
def reserved(locations: Iterable[str], settings: Settings) -> Iterator[str | None]:
    """Keep other drills from these locations while the block lasts; a location that another one has, None when all are free.

    The kernel gives up the locks of a process that dies.
    """
    folder = settings.drills_folder / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as locks:
        for location in sorted(locations):
            lock = locks.enter_context((folder / location.replace("/", "__")).open("a"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield location
                return
        yield None
