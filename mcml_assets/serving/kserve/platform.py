"""The endpoint platform of one location's cluster: an `EndpointPlatform` whose controller is KServe.

What KServe does is not done here: this side writes what is wanted, conditionally, and reads what became of it.
"""

import time

from mcml_assets.domain.endpoint_access import ClusterEndpoints, EndpointCapability, endpoint_capabilities
from mcml_assets.domain.errors import ConfigurationError, LocationUnavailable, PreconditionFailed, TransientError
from mcml_assets.serving.interfaces import EndpointState, EndpointStatus, Manifest
from mcml_assets.serving.kserve.cluster import Cluster
from mcml_assets.serving.kserve.objects import (
    FORMER,
    FULL,
    REFUSALS,
    WANTED,
    Object,
    cluster_object,
    endpoint_status,
    holds,
    object_name,
    percent_of,
    stored_manifest,
    updated,
)
from mcml_assets.serving.manifest import read_manifest

ATTEMPTS = 5
WATCH_SECONDS = 30.0


class KServePlatform:
    """InferenceServices of one location."""

    def __init__(self, location: str, access: ClusterEndpoints) -> None:
        self.cluster = Cluster(location, access)
        self.access = access

    def apply(self, manifest: Manifest) -> None:
        """Want this manifest from now on, for all requests; see `EndpointPlatform.apply`."""
        self.shift(manifest, FULL)

    def shift(self, manifest: Manifest, percent: int) -> None:
        """Want this manifest for `percent` of the requests (0 to 100), and the version before it for the rest.

        Raises `ConfigurationError` where the platform cannot share requests, and `PreconditionFailed` when others keep
        writing the object.
        """
        if not 0 <= percent <= FULL:
            raise ConfigurationError(f"a share of requests is 0 to {FULL} percent, not {percent}")
        if percent != FULL and EndpointCapability.CANARY_WEIGHTS not in endpoint_capabilities(self.access.platform):
            raise ConfigurationError(f"{self.access.platform!r} cannot give a version a share of the requests")
        name = object_name(read_manifest(manifest).name)
        for attempt in range(ATTEMPTS):
            try:
                self._write(name, manifest, percent)
            except PreconditionFailed:
                if attempt == ATTEMPTS - 1:
                    raise
            else:
                return

    def roll_back(self, name: str) -> None:
        """Let the version before answer everything again.

        A canary is taken out of the way at once, its pods staying; a version that answered everything is replaced by the
        former manifest. Raises `ConfigurationError` when there was none.
        """
        present, former = self._present(name), self.former(name)
        if present is None or former is None:
            raise ConfigurationError(f"{name}: there is no version before this one to go back to")
        manifest = stored_manifest(present, WANTED)
        if manifest is not None and percent_of(present) != FULL:
            self.shift(manifest, 0)
        else:
            self.apply(former)

    def status(self, name: str) -> EndpointStatus:
        """What the cluster knows now; see `EndpointPlatform.status`."""
        present = self._present(name)
        if present is None:
            return EndpointStatus(name, EndpointState.STOPPED, "", "nothing is wanted here")
        return endpoint_status(name, present)

    def delete(self, name: str) -> None:
        """Want nothing under this name; see `EndpointPlatform.delete`."""
        if self._present(name) is not None:
            self.cluster.delete(object_name(name))

    def former(self, name: str) -> Manifest | None:
        """The manifest that answered before the present one; see `EndpointPlatform.former`."""
        present = self._present(name)
        return stored_manifest(present, FORMER) if present is not None else None

    def kept_packages(self, name: str) -> frozenset[str]:
        """The digests of the packages that are needed here; see `EndpointPlatform.kept_packages`."""
        present = self._present(name)
        if present is None:
            return frozenset()
        manifests = (stored_manifest(present, annotation) for annotation in (WANTED, FORMER))
        return frozenset(read_manifest(manifest).digest for manifest in manifests if manifest is not None)

    def wait_ready(self, name: str, digest: str, timeout: float) -> EndpointStatus:
        """Wait until the endpoint answers with this package; see `EndpointPlatform.wait_ready`."""
        deadline = time.monotonic() + timeout
        while True:
            present = self._present(name)
            status = endpoint_status(name, present) if present is not None else self.status(name)
            if status.wanted_digest != digest:
                raise ConfigurationError(
                    f"{name}: waiting for package {digest[:12]}, its manifest wants {str(status.wanted_digest)[:12]}"
                )
            if status.healthy:
                return status
            said = f"{name} version {status.wanted_version} is {status.state}: {status.message}"
            if status.state is EndpointState.FAILED and status.error in REFUSALS:
                raise REFUSALS[status.error](said)
            left = deadline - time.monotonic()
            if left <= 0:
                if status.state is EndpointState.FAILED:
                    raise LocationUnavailable(status.location, f"not ready after {timeout:g} s; {said}")
                raise TransientError(f"not ready after {timeout:g} s; {said}")
            version = present["metadata"]["resourceVersion"] if present is not None else ""
            self.cluster.wait_for_change(object_name(name), version, min(left, WATCH_SECONDS))

    def _write(self, name: str, manifest: Manifest, percent: int) -> None:
        """One conditional write, or none where the object is as wanted. Raises `PreconditionFailed`."""
        endpoint = read_manifest(manifest).name
        present = self._present(endpoint)
        if present is None:
            self.cluster.create(cluster_object(manifest, self.access, former=None))
            return
        wanted = cluster_object(manifest, self.access, percent=percent, former=_former_after(endpoint, present, manifest))
        # A share that is left would stay, as a field that is not asked about.
        if holds(present, wanted) and percent_of(present) == percent:
            return
        self.cluster.replace(name, updated(present, wanted))

    def _present(self, name: str) -> Object | None:
        """The endpoint's object; None as well while it is being deleted.

        Raises `ConfigurationError` when it is another endpoint's, or nobody's of this platform.
        """
        present = self.cluster.get(object_name(name))
        if present is None or "deletionTimestamp" in present["metadata"]:
            return None
        manifest = stored_manifest(present, WANTED)
        owner = read_manifest(manifest).name if manifest is not None else "nobody of this platform"
        if owner != name:
            raise ConfigurationError(
                f"{name}: InferenceService {object_name(name)!r} in namespace {self.access.namespace!r} belongs to {owner}; "
                "give each location a namespace of its own, and each workload a name that differs by more than - and _"
            )
        return present


def _former_after(endpoint: str, present: Object, manifest: Manifest) -> Manifest | None:
    """Which manifest answered before, once `manifest` is wanted: the present one if it did answer with another server."""
    answered = stored_manifest(present, WANTED)
    former = stored_manifest(present, FORMER)
    if answered is None or read_manifest(answered).revision == read_manifest(manifest).revision:
        return former
    # A canary that never got everything, or a version that never was ready, is nothing to go back to.
    served = endpoint_status(endpoint, present).state is EndpointState.READY and percent_of(present) == FULL
    return answered if served else former
