"""Endpoints of a platform elsewhere with their gateways here: an `EndpointPlatform` over both.

The platform runs the model, which gets rows and gives scores. The gateway is a server of this machine to everybody else:
it reads the location's features, keeps the predictions' record, and is what edge and checks ask.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from time import monotonic
from typing import Any

from mcml_assets.configuration.settings import Settings
from mcml_assets.features.repositories import repositories_folder
from mcml_assets.serving.interfaces import EndpointPlatform, EndpointState, EndpointStatus, Manifest
from mcml_assets.serving.local_platform import LocalEndpointPlatform
from mcml_assets.serving.manifest import DOMAIN, ELSEWHERE, FEATURES_MOUNT, read_manifest
from mcml_assets.serving.package import held_package_folder

NOWHERE = "nowhere"
"""The address that the gateway of a cold standby asks, which it never does: it does not run."""


class GatewayedPlatform:
    """One location's endpoints: `elsewhere` runs the models, `here` their gateways."""

    def __init__(self, elsewhere: EndpointPlatform, settings: Settings) -> None:
        self.elsewhere, self.settings = elsewhere, settings
        self.here = LocalEndpointPlatform(settings)
        self._wanted: dict[str, Manifest] = {}

    def apply(self, manifest: Manifest) -> None:
        """Want this manifest elsewhere from now on, and its gateway as soon as an address is known; see `EndpointPlatform`."""
        wanted = read_manifest(manifest)
        self.elsewhere.apply(manifest)
        self._wanted[wanted.name] = manifest
        # While the version before answers there, the new gateway starts beside the former and waits for its own.
        self._open(wanted.name, self.elsewhere.status(wanted.name).address)

    def status(self, name: str) -> EndpointStatus:
        """What is known of both: ready where the version answers elsewhere and its gateway says so too."""
        there, here = self.elsewhere.status(name), self.here.status(name)
        reached = replace(there, address=here.address, port=here.port, pid=here.pid)
        if here.version is None:
            reached = replace(reached, version=None, digest=None)
        if there.state is not EndpointState.READY or (here.healthy and here.digest == there.digest):
            return reached
        state = EndpointState.STARTING if here.healthy or here.state is EndpointState.STOPPED else here.state
        error = here.error if state is here.state else None
        said = f"version {there.version} answers there; its gateway here is {here.state}: {here.message}"
        return replace(reached, state=state, message=said, error=error)

    def delete(self, name: str) -> None:
        """Want nothing under this name, here and there; see `EndpointPlatform.delete`."""
        self._wanted.pop(name, None)
        self.here.delete(name)
        self.elsewhere.delete(name)

    def former(self, name: str) -> Manifest | None:
        """The manifest that answered before; see `EndpointPlatform.former`."""
        return self.elsewhere.former(name)

    def kept_packages(self, name: str) -> frozenset[str]:
        """The digests of the packages that are needed here or there; see `EndpointPlatform.kept_packages`."""
        return self.elsewhere.kept_packages(name) | self.here.kept_packages(name)

    def wait_ready(self, name: str, digest: str, timeout: float) -> EndpointStatus:
        """Wait for the version elsewhere, then for its gateway; see `EndpointPlatform.wait_ready`."""
        deadline = monotonic() + timeout
        there = self.elsewhere.wait_ready(name, digest, timeout)
        self._open(name, there.address or (NOWHERE if there.state is EndpointState.COLD else None))
        self.here.wait_ready(name, digest, max(1.0, deadline - monotonic()))
        return self.status(name)

    def _open(self, name: str, address: str | None) -> None:
        manifest = self._wanted.get(name)
        if manifest is not None and address is not None:
            self.here.apply(gateway_manifest(manifest, address, self.settings))


def gateway_manifest(manifest: Manifest, address: str, settings: Settings) -> dict[str, Any]:
    """The manifest of this machine's gateway to the endpoint at `address` that `manifest` describes."""
    wanted = read_manifest(manifest)
    gateway = deepcopy(dict(manifest))
    # A version answers elsewhere, or it does not: nothing here could give it a share.
    gateway["metadata"]["annotations"].pop(f"{DOMAIN}/rollout", None)
    predictor = gateway["spec"]["predictor"]
    container: dict[str, Any] = predictor["containers"][0]
    container["args"] += ["--features", FEATURES_MOUNT, ELSEWHERE, address, "--timeout", f"{wanted.timeout_seconds:g}"]
    package = held_package_folder(settings.location_folder(wanted.location), wanted.workload, wanted.digest)
    container["env"] = [_storage(entry, package.as_uri()) for entry in container["env"]]
    features = repositories_folder(settings, wanted.location, wanted.workload)
    predictor["volumes"] = [{"name": "features", "hostPath": {"path": str(features)}}]
    return gateway


def _storage(entry: Mapping[str, str], uri: str) -> dict[str, str]:
    return {**entry, "value": uri} if entry["name"] == "STORAGE_URI" else dict(entry)
