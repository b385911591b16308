"""How callers come in: the edge's ports, its certificate, and whether it asks who they are. What they may do is theirs.

Only names of files are kept here; a private key is read by Envoy alone, and stands in no configuration.
"""

from dataclasses import dataclass
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
    """The ports, the certificate (None: plain HTTP), and the folder of callers (None: open to every local program)."""

    port: int
    admin_port: int
    identity: Identity | None = None
    callers: Path | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Entrance":
        """The entrance that the settings describe. Raises `ConfigurationError` naming the setting that is wrong."""
        return cls(settings.edge_port, settings.edge_admin_port, _identity(settings), _callers(settings))


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
