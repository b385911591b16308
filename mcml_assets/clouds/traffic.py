"""What publishing routes to a provider's global load balancing is: the Protocol, and what a provider's refusal means.

What is published is decided in `domain/traffic.py`; how a provider is told in its cloud's folder, which code that is in
`traffic_registry.py`.
"""

from typing import Any, Protocol

from mcml_assets.domain.errors import (
    ConfigurationError,
    CredentialsRejected,
    LocationUnavailable,
    McmlError,
    PreconditionFailed,
    TransientError,
)
from mcml_assets.domain.route import Route
from mcml_assets.domain.traffic import Published, TrafficAccess

Request = dict[str, Any]
"""One change that a provider would be asked for: `call`, the SDK's method, and its arguments."""


class TrafficAdapter(Protocol):
    """One global load balancer. Every method raises `LocationUnavailable` when the provider does not answer, with
    `CredentialsRejected` (one of its kinds) for rights that are lacking.
    """

    @property
    def access(self) -> TrafficAccess:
        """What it publishes, and where."""
        ...

    def published(self) -> Published | None:
        """What the provider holds now; None when it holds no route of ours."""
        ...

    def plan(self, route: Route) -> list[Request]:
        """The changes that publishing this route would ask for now; changes nothing. Empty when it is held already.

        Raises `StaleEpoch` when a newer route is held.
        """
        ...

    def publish(self, route: Route) -> bool:
        """Publish this route; returns whether anything had to be changed.

        Raises `StaleEpoch` when a newer route is held, and `PreconditionFailed` when another writer was faster.
        """
        ...


def refused(where: str, what: str, status: int, said: str) -> McmlError:
    """The error for a provider's answer of this HTTP status; `said` is its own word for it."""
    if status in (409, 412):
        return PreconditionFailed(f"{where}: {what}: somebody else was faster ({said})")
    if status == 429:
        return TransientError(f"{where}: {what}: the provider asks to slow down")
    if status in (401, 403):
        return CredentialsRejected(where, f"{what}: HTTP {status}: the provider refuses our credentials or their rights")
    if status >= 500 or status == 0:
        return LocationUnavailable(where, f"{what}: HTTP {status}, also after retries")
    return ConfigurationError(f"{where}: {what}: HTTP {status}: {said}")
