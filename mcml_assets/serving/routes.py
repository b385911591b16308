"""Published routes: the files by which the control plane tells the edge where requests go.

What a route is, and how one is planned, is `domain/route.py`'s business; how the edge obeys, `edge/`'s.
"""

import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError, StaleEpoch
from mcml_assets.domain.flags import FlagChange, with_change
from mcml_assets.domain.route import Route
from mcml_assets.serving.folder import DataPlaneFolder, write_atomically

log = logging.getLogger(__name__)


def publish_route(route: Route, settings: Settings) -> None:
    """Hand the route to the edge, which obeys within a second while a data plane runs.

    A route of the same epoch replaces the former one, whose flags it takes over: only `change_flag` changes those. Raises
    `StaleEpoch` when the edge already has a route of a newer epoch: a writer that missed a failover is fenced.
    """
    folder = DataPlaneFolder.of(settings)
    with _alone(folder):
        present = read_route(folder, route.workload, route.jurisdiction)
        if present is not None and present.epoch > route.epoch:
            raise StaleEpoch(
                f"route {route.name} of epoch {route.epoch} is refused: the edge obeys epoch {present.epoch} "
                f"since {present.updated_at}"
            )
        if present is not None:
            route = replace(route, flags=present.flags, flag_changes=present.flag_changes)
        write_atomically(folder.routes / f"{route.name}.json", route.to_json())


def change_flag(workload: str, jurisdiction: str, change: FlagChange, settings: Settings) -> Route:
    """Set or clear a flag of a published route, with an entry in its record; the edge obeys within a second.

    Raises `ConfigurationError` where there is no route to carry it, and as `with_change` does.
    """
    folder = DataPlaneFolder.of(settings)
    with _alone(folder):
        route = read_route(folder, workload, jurisdiction)
        if route is None:
            raise ConfigurationError(f"{workload} has no route in {jurisdiction} yet that could carry a flag")
        flags, changes = with_change(route.flags, route.flag_changes, change)
        route = replace(route, flags=flags, flag_changes=changes)
        write_atomically(folder.routes / f"{route.name}.json", route.to_json())
    return route


@contextmanager
def _alone(folder: DataPlaneFolder) -> Iterator[None]:
    """Of all who write routes only one is in here."""
    folder.routes.mkdir(parents=True, exist_ok=True)
    with (folder.routes / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def read_route(folder: DataPlaneFolder, workload: str, jurisdiction: str) -> Route | None:
    """The published route, or None when there is none. Raises `ConfigurationError` when its file is damaged."""
    try:
        return Route.from_json((folder.routes / f"{workload}.{jurisdiction}.json").read_bytes())
    except FileNotFoundError:
        return None


def read_routes(folder: DataPlaneFolder) -> tuple[Route, ...]:
    """All published routes by name. A damaged file is logged and left out, so that it takes no other route down."""
    routes = []
    for file in sorted(folder.routes.glob("*.json")):
        try:
            route = Route.from_json(file.read_bytes())
        except ConfigurationError as error:
            log.error("%s: %s", file.name, error)
            continue
        if f"{route.name}.json" != file.name:
            log.error("%s: holds the route %s", file.name, route.name)
            continue
        routes.append(route)
    return tuple(routes)
