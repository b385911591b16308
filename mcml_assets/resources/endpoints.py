"""The resource that reaches the endpoints and the edge of this platform."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import LocationUnavailable
from mcml_assets.domain.route import Route
from mcml_assets.domain.workload import Placement, Workload
from mcml_assets.serving.golden import GoldenAnswer
from mcml_assets.serving.interfaces import EndpointPlatform, EndpointStatus
from mcml_assets.serving.manifest import endpoint_name

if TYPE_CHECKING:
    from mcml_assets.clouds.traffic_registry import Outcome
    from mcml_assets.domain.rollout import Rollout


class Endpoints(dg.ConfigurableResource):
    """The endpoint platform and the edge; starts the local data plane where nobody did, as under a plain `dagster dev`."""

    home: str = Field(description="Folder of everything the local platform writes.")
    topology_file: str = Field(description="The topology: which platform runs a location's endpoints.")

    @classmethod
    def from_settings(cls, settings: Settings) -> "Endpoints":
        return cls(home=str(settings.home), topology_file=str(settings.topology_file))

    @cached_property
    def settings(self) -> Settings:
        return Settings(home=Path(self.home), topology=Path(self.topology_file))

    @cached_property
    def platform(self) -> EndpointPlatform:
        """The platforms that run endpoints, each location's its own, with the local data plane running."""
        from mcml_assets.serving.data_plane import ensure_data_plane  # noqa: PLC0415 - only runs that serve need it

        ensure_data_plane(self.settings)
        return self._platforms

    @cached_property
    def _platforms(self) -> EndpointPlatform:
        """The same, as they are now."""
        from mcml_assets.serving.platforms import placed_platforms  # noqa: PLC0415 - only runs that serve need it

        return placed_platforms(self.settings)

    def keep_watched(self) -> bool:
        """Start the data plane if endpoints are wanted and none runs; returns whether it had to be started.

        Raises `ConfigurationError` when a port is taken, `TransientError` when it does not come up.
        """
        from mcml_assets.serving.data_plane import ensure_data_plane  # noqa: PLC0415 - only the sensor
        from mcml_assets.serving.folder import DataPlaneFolder  # noqa: PLC0415 - the same
        from mcml_assets.serving.heartbeat import is_watched  # noqa: PLC0415 - the same

        # Whoever watches watches all of them: no endpoint is looked at here.
        folder = DataPlaneFolder.of(self.settings)
        if is_watched(folder) or next(folder.wanted_names(), None) is None:
            return False
        ensure_data_plane(self.settings)
        return True

    def status(self, workload: Workload, location: str) -> EndpointStatus:
        """What is known about an endpoint now; asks nobody to start anything."""
        return self._platforms.status(endpoint_name(workload.name, location))

    def golden_predictions(self, workload: Workload, location: str) -> GoldenAnswer:
        """What the location's own server predicts now for its package's golden inputs; the edge is not asked. Of two servers
        the one of the version that takes over is asked.

        Raises `LocationUnavailable` when there is no server, or it does not answer.
        """
        from mcml_assets.serving.golden import ask_golden  # noqa: PLC0415 - only checks need it

        status = self.status(workload, location)
        address = status.new_address or status.address
        if address is None:
            raise LocationUnavailable(location, f"its endpoint is {status.state}: {status.message or 'it has no server'}")
        return ask_golden(location, address, workload.name)

    def rollouts(self) -> "list[Rollout]":
        """The last rollout of each endpoint of this machine. Raises `ConfigurationError` for a damaged record."""
        from mcml_assets.serving.folder import DataPlaneFolder  # noqa: PLC0415 - only the sensor
        from mcml_assets.serving.rollout.record import read_records  # noqa: PLC0415 - the same

        return list(read_records(DataPlaneFolder.of(self.settings)))

    def routes(self) -> tuple[Route, ...]:
        """The routes that the edge obeys, with their flags and what was changed about them."""
        from mcml_assets.serving.folder import DataPlaneFolder  # noqa: PLC0415 - only sensors
        from mcml_assets.serving.routes import read_routes  # noqa: PLC0415 - the same

        return read_routes(DataPlaneFolder.of(self.settings))

    def kept_packages(self, workload: Workload, location: str) -> frozenset[str]:
        """The model snapshots that an endpoint serves, is to serve, or keeps for rollback; asks nobody to start anything."""
        return self._platforms.kept_packages(endpoint_name(workload.name, location))

    def edge_address(self, workload: Workload, jurisdiction: str) -> str:
        """Where callers of this jurisdiction send their requests."""
        from mcml_assets.serving.client import workload_url  # noqa: PLC0415 - only `traffic_route` needs it

        return f"{workload_url(self.settings, workload, jurisdiction)}/infer"

    def edge_ready(self, workload: Workload, jurisdiction: str) -> str:
        """The location that answers a readiness request through the edge. Raises `LocationUnavailable` if none does."""
        from mcml_assets.serving.client import answering_location  # noqa: PLC0415 - only checks need it

        return answering_location(self.settings, workload, jurisdiction)

    def routed_jurisdictions(self, workload: Workload) -> list[str]:
        """The jurisdictions in which the edge has a route of this workload."""
        return [route.jurisdiction for route in self.routes() if route.workload == workload.name]

    def publish_globally(self, placement: Placement, route: Route) -> "list[Outcome]":
        """Tell the global load balancers of this jurisdiction; what fails is in its outcome."""
        if not placement.traffic:
            return []
        from mcml_assets.clouds.traffic_registry import publish_everywhere  # noqa: PLC0415 - only where the topology names some

        return publish_everywhere(placement.traffic, route)

    def deviating_traffic(self, workload: Workload, placement: Placement) -> list[tuple[str, str]]:
        """Error and problem of each global load balancer that does not hold the route that the edge obeys."""
        from mcml_assets.clouds.traffic_registry import deviation  # noqa: PLC0415 - only checks need it
        from mcml_assets.serving.folder import DataPlaneFolder  # noqa: PLC0415 - the same
        from mcml_assets.serving.routes import read_route  # noqa: PLC0415 - the same

        route = read_route(DataPlaneFolder.of(self.settings), workload.name, placement.jurisdiction)
        found = (deviation(access, route) for access in placement.traffic)
        return [one for one in found if one is not None]

    def publish(self, route: Route) -> None:
        """Tell the edge. Raises `StaleEpoch` when it obeys a newer route already."""
        from mcml_assets.serving.routes import publish_route  # noqa: PLC0415 - only `traffic_route` needs it

        publish_route(route, self.settings)
