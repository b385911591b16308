"""Where traces go: a collector that speaks OTLP over HTTP, and which share of the requests it gets to see. Pure.

The edge's tracer is `edge/traces.py`'s, a model server's `tracing.py`'s.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError

TRACES_PATH = "/v1/traces"
SETTING = "MCML_OTLP_ENDPOINT"
RIGHT = "such as http://127.0.0.1:4318, the OTLP/HTTP address of a collector on this machine or network"


@dataclass(frozen=True, slots=True)
class Collector:
    """Its host and port, and the share of requests (0 to 1) that are traced unless their caller has decided already."""

    host: str
    port: int
    share: float

    @property
    def traces(self) -> str:
        """The URL that takes traces."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}{TRACES_PATH}"

    @classmethod
    def of(cls, settings: Settings) -> "Collector | None":
        """The collector that the settings name, None for none. Raises `ConfigurationError` for what is no address of one."""
        return collector_at(settings.otlp_endpoint, settings.trace_share) if settings.otlp_endpoint else None


def collector_at(address: str, share: float) -> Collector:
    """Read an address; a path, a name or password in it is refused rather than dropped in silence."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(f"{SETTING} is no address, {error}; it is {RIGHT}") from error
    if parts.scheme == "https":
        raise ConfigurationError(
            f"{SETTING} must be an http:// address: a collector beside the edge takes traces on, encrypted; it is {RIGHT}"
        )
    if parts.scheme != "http" or not host:
        raise ConfigurationError(f"{SETTING} is {address!r}; it must be {RIGHT}")
    if port is None or port == 0:
        raise ConfigurationError(f"{SETTING} is {address!r}, which names no port; it must be {RIGHT}")
    if parts.username or parts.password or parts.query or parts.fragment or parts.path.strip("/"):
        raise ConfigurationError(f"{SETTING} must have nothing but a host and a port; {TRACES_PATH} is added; it is {RIGHT}")
    return Collector(host, port, share)
