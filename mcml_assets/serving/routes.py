"""Published routes: the files by which the control plane tells the edge where requests go.

What a route is, and how one is planned, is `domain/route.py`'s business; how the edge obeys, `edge/`'s.
"""

import fcntl
import logging

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError, StaleEpoch
from mcml_assets.domain.route import Route
from mcml_assets.serving.folder import DataPlaneFolder, write_atomically

log = logging.getLogger(__name__)


def publish_route(route: Route, settings: Settings) -> None:
    """Hand the route to the edge, which obeys within a second while a data plane runs.

    A route of the same epoch replaces the former one. Raises `StaleEpoch` when the edge already has a route of a newer
    epoch: a writer that missed a failover is fenced.
    """
    folder = DataPlaneFolder.of(settings)
    folder.routes.mkdir(parents=True, exist_ok=True)
    with (folder.routes / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        present = read_route(folder, route.workload, route.jurisdiction)
        if present is not None and present.epoch > route.epoch:
            raise StaleEpoch(
                f"route {route.name} of epoch {route.epoch} is refused: the edge obeys epoch {present.epoch} "
                f"since {present.updated_at}"
            )
        write_atomically(folder.routes / f"{route.name}.json", route.to_json())


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
