"""How callers come in: the edge's ports, its certificate, and whether it asks who they are. What they may do is theirs.

Only names of files are kept here; a private key is read by Envoy alone, and stands in no configuration.
"""

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Identity:
    """The files of the edge's own certificate and key, and of the authorities of callers' certificates (None: none), PEM."""

    certificate: Path
    key: Path
    client_authority: Path | None


@dataclass(frozen=True, slots=True)
class Entrance:
    """The ports, the certificate (None: plain HTTP), the folder of callers (None: open to every local program), and the
    address that is listened on.
    """

    port: int
    admin_port: int
    identity: Identity | None = None
    callers: Path | None = None
    host: str = "127.0.0.1"

    @classmethod
    def of(cls, settings: Settings) -> "Entrance":
        """The entrance that the settings describe. Raises `ConfigurationError` naming the setting that is wrong."""
        callers = _callers(settings)
        host = _host(settings, callers)
        return cls(settings.edge_port, settings.edge_admin_port, _identity(settings), callers, host)


def _host(settings: Settings, callers: Path | None) -> str:
    try:
        address = ip_address(settings.edge_host)
    except ValueError:
        raise ConfigurationError(
            f"MCML_EDGE_HOST must be an address such as 127.0.0.1 or 0.0.0.0, not {settings.edge_host!r}"
        ) from None
    if not address.is_loopback and callers is None:
        raise ConfigurationError(
            f"MCML_EDGE_HOST={address} opens the edge to other machines, and it asks nobody who they are: set MCML_EDGE_CALLERS"
        )
    return str(address)


def _identity(settings: Settings) -> Identity | None:
    certificate = _file("MCML_EDGE_TLS_CERTIFICATE", settings.edge_tls_certificate)
    key = _file("MCML_EDGE_TLS_KEY", settings.edge_tls_key)
    authority = _file("MCML_EDGE_CLIENT_AUTHORITY", settings.edge_client_authority)
    if certificate is not None and key is not None:
        return Identity(certificate, key, authority)
    if certificate is not None or key is not None:
        raise ConfigurationError("MCML_EDGE_TLS_CERTIFICATE and MCML_EDGE_TLS_KEY belong together: one of them is not set")
    if authority is not None:
        raise ConfigurationError(
            "MCML_EDGE_CLIENT_AUTHORITY needs TLS: set MCML_EDGE_TLS_CERTIFICATE and MCML_EDGE_TLS_KEY as well"
        )
    return None


def _callers(settings: Settings) -> Path | None:
    folder = settings.edge_callers
    if folder is not None and folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"MCML_EDGE_CALLERS must name a folder with a file for each caller, not the file {folder}")
    return folder.resolve() if folder is not None else None


def _file(setting: str, path: Path | None) -> Path | None:
    if path is not None and not path.is_file():
        raise ConfigurationError(f"{setting} names {path}, which is no file")
    return path.absolute() if path is not None else None
