"""What an endpoint platform is: the Protocol that the local data plane and a KServe cluster both fulfil.

Only types; `local_platform.py` is the implementation of this machine. What a manifest says is `manifest.py`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

Manifest = Mapping[str, Any]
"""A KServe InferenceService as plain JSON values, made by `serving.manifest.inference_service`."""


class EndpointState(StrEnum):
    """Where an endpoint stands against its wanted manifest."""

    PENDING = "pending"
    """The manifest is known and waits for its turn to start."""
    STARTING = "starting"
    """A server loads the wanted version; a former one may still answer."""
    READY = "ready"
    """The wanted version answers."""
    ROLLING_OUT = "rolling out"
    """The wanted version takes over by steps, or waits for its turn to; a former one answers the rest."""
    FAILED = "failed"
    """The wanted version cannot be served, or the server does not answer; a former one may still answer."""
    STOPPED = "stopped"
    """Nothing runs: the server died and will be started again, or nothing is wanted."""
    COLD = "cold"
    """The package is held and verified, and nothing runs, as wanted."""
    UNKNOWN = "unknown"
    """Nobody watches the endpoint now, so nothing is claimed about it; never healthy."""


@dataclass(frozen=True, slots=True)
class EndpointStatus:
    """What is known about one endpoint.

    `wanted_version` and `wanted_digest` are the manifest's; `version`, `digest`, `port`, `pid` and `address` (a URL
    without a path) are those of the server that answers now and None when none does. `since` is when `state` began
    (ISO 8601, UTC). `error` is the class in `domain.errors` behind a failure. While a version takes over by steps,
    `rollout` says where it stands, and `new_address` is its server's once that is ready.
    """

    name: str
    state: EndpointState
    since: str
    message: str = ""
    error: str | None = None
    wanted_version: int | None = None
    wanted_digest: str | None = None
    version: int | None = None
    digest: str | None = None
    port: int | None = None
    pid: int | None = None
    address: str | None = None
    rollout: str | None = None
    new_address: str | None = None

    @property
    def workload(self) -> str:
        """The name's first part."""
        return self.name.partition("@")[0]

    @property
    def location(self) -> str:
        """The name's second part, a location's key."""
        return self.name.partition("@")[2]

    @property
    def healthy(self) -> bool:
        """Whether the endpoint is as its manifest wants it: ready, on its way by the steps it declares, or cold where
        cold is wanted.
        """
        return self.state in (EndpointState.READY, EndpointState.ROLLING_OUT, EndpointState.COLD)


class EndpointPlatform(Protocol):
    """Where endpoints run. A `name` is `serving.manifest.endpoint_name(workload, location)`."""

    def apply(self, manifest: Manifest) -> None:
        """Want this manifest from now on; returns before anything has started. Repeating it changes nothing.

        Raises `ConfigurationError` for a manifest without the platform's annotations.
        """
        ...

    def status(self, name: str) -> EndpointStatus:
        """What is known now; `UNKNOWN` when nobody watches the endpoint, `STOPPED` when it is not wanted."""
        ...

    def delete(self, name: str) -> None:
        """Want nothing under this name; its server drains and ends. An unknown name is not an error."""
        ...

    def former(self, name: str) -> Manifest | None:
        """The manifest that answered before the present one, for rollback; None when there was none."""
        ...

    def kept_packages(self, name: str) -> frozenset[str]:
        """The digests of the packages that are wanted, answer, or answered before and are kept for rollback.

        Raises `ConfigurationError` when it cannot be told, so that nobody takes an unknown package for an unneeded one.
        """
        ...

    def wait_ready(self, name: str, digest: str, timeout: float) -> EndpointStatus:
        """Wait until the endpoint answers with the package of this digest, is on its way to it by the manifest's steps, or
        is cold with it, where cold is wanted.

        `timeout` is in seconds. Raises `ModelRejected` or `CorruptSnapshot` when the package is refused,
        `ConfigurationError` for a manifest that cannot run, `LocationUnavailable` when its servers keep dying, and
        `TransientError` when time is up or no controller runs; messages carry the end of the endpoint's log.
        """
        ...
