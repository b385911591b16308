"""Which platform runs a location's endpoints, by the topology: the only module that knows them all by name.

What a platform can do is declared in `domain/endpoint_access.py`; SDKs load when a platform is first asked.
"""

from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.domain.endpoint_access import ClusterEndpoints, SageMakerEndpoints
from mcml_assets.domain.errors import LocationUnavailable, TransientError
from mcml_assets.domain.topology import Location, Topology
from mcml_assets.serving.gateway.platform import GatewayedPlatform
from mcml_assets.serving.interfaces import EndpointPlatform, EndpointState, EndpointStatus, Manifest
from mcml_assets.serving.local_platform import LocalEndpointPlatform
from mcml_assets.serving.manifest import read_manifest


def endpoint_platform(location: Location, settings: Settings) -> EndpointPlatform:
    """The platform of one location. Asks nobody anything, and starts nothing."""
    match location.endpoints:
        case ClusterEndpoints() as cluster:
            from mcml_assets.serving.kserve.platform import KServePlatform  # noqa: PLC0415 - only where it is used

            return GatewayedPlatform(KServePlatform(location.key, cluster), settings)
        case SageMakerEndpoints() as sagemaker:
            from mcml_assets.serving.sagemaker.platform import SageMakerPlatform  # noqa: PLC0415 - the same

            return GatewayedPlatform(SageMakerPlatform(location, sagemaker), settings)
        case _:
            return LocalEndpointPlatform(settings)


def placed_platforms(settings: Settings) -> "PlacedPlatforms":
    """The platforms of all locations, by the settings' topology."""
    return PlacedPlatforms(load_topology(settings.topology_file), settings)


class PlacedPlatforms:
    """An `EndpointPlatform` over all locations of a topology: each endpoint is its location's platform's."""

    def __init__(self, topology: Topology, settings: Settings) -> None:
        self.topology, self.settings = topology, settings
        self._made: dict[str, EndpointPlatform] = {}

    def of(self, location: str) -> EndpointPlatform:
        """The platform of a location, by its key. Raises `ConfigurationError` for a location that is unknown."""
        if location not in self._made:
            self._made[location] = endpoint_platform(self.topology.location(location), self.settings)
        return self._made[location]

    def apply(self, manifest: Manifest) -> None:
        """Want this manifest from now on; see `EndpointPlatform.apply`."""
        self.of(read_manifest(manifest).location).apply(manifest)

    def status(self, name: str) -> EndpointStatus:
        """What is known now; of an endpoint whose platform does not answer nothing is, which is no error here."""
        try:
            return self._of_endpoint(name).status(name)
        except (LocationUnavailable, TransientError) as error:
            return EndpointStatus(name, EndpointState.UNKNOWN, "", str(error), type(error).__name__)

    def delete(self, name: str) -> None:
        """Want nothing under this name; see `EndpointPlatform.delete`."""
        self._of_endpoint(name).delete(name)

    def former(self, name: str) -> Manifest | None:
        """The manifest that answered before; see `EndpointPlatform.former`."""
        return self._of_endpoint(name).former(name)

    def kept_packages(self, name: str) -> frozenset[str]:
        """The digests of the packages that are needed; see `EndpointPlatform.kept_packages`."""
        return self._of_endpoint(name).kept_packages(name)

    def wait_ready(self, name: str, digest: str, timeout: float) -> EndpointStatus:
        """Wait until the endpoint answers with this package; see `EndpointPlatform.wait_ready`."""
        return self._of_endpoint(name).wait_ready(name, digest, timeout)

    def _of_endpoint(self, name: str) -> EndpointPlatform:
        return self.of(name.partition("@")[2])
