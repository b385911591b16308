"""The endpoint platform of this machine: manifests and status are files, the controller does the work.

Only the control plane's side: `controller.py` reads what is written here and answers with status files.
"""

import json
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import yaml

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import (
    ConfigurationError,
    CorruptSnapshot,
    LocationUnavailable,
    ModelRejected,
    PermanentError,
    TransientError,
)
from mcml_assets.serving.folder import DataPlaneFolder, EndpointFile, log_tail, write_atomically
from mcml_assets.serving.heartbeat import is_watched
from mcml_assets.serving.interfaces import EndpointState, EndpointStatus, Manifest
from mcml_assets.serving.manifest import WantedEndpoint, read_manifest

POLL_SECONDS = 0.1
REFUSALS: dict[str, type[PermanentError]] = {
    error.__name__: error for error in (ModelRejected, CorruptSnapshot, ConfigurationError)
}


class LocalEndpointPlatform:
    """An `EndpointPlatform` over the data plane's folder of these settings; it starts nothing by itself."""

    def __init__(self, settings: Settings) -> None:
        self.folder = DataPlaneFolder.of(settings)

    def apply(self, manifest: Manifest) -> None:
        """Want this manifest from now on; see `EndpointPlatform.apply`."""
        wanted = read_manifest(manifest)
        wanted.local_arguments()
        write_atomically(self.folder.endpoint("wanted", wanted.name), yaml.safe_dump(dict(manifest), sort_keys=False))

    def status(self, name: str) -> EndpointStatus:
        """What is known now; see `EndpointPlatform.status`."""
        manifest = read_manifest_file(self.folder, "wanted", name)
        if manifest is None:
            return EndpointStatus(name, EndpointState.STOPPED, _now(), "nothing is wanted here")
        wanted = read_manifest(manifest)
        if not is_watched(self.folder):
            return _status(
                wanted,
                EndpointState.UNKNOWN,
                "nobody watches it: the data plane does not run; `mcml dev` or `mcml start` starts it",
            )
        revision, stored = read_status(self.folder, name)
        if stored is None:
            return _status(wanted, EndpointState.PENDING, "the controller has not taken it up yet")
        # Whether a server is wanted at all changes no revision: it would be the same server.
        other = EndpointState.COLD if wanted.runs else EndpointState.READY
        if (revision, stored.wanted_version) != (wanted.revision, wanted.version) or stored.state is other:
            # What the status says is about the manifest before this one: only who answers is still true.
            return replace(
                stored,
                state=EndpointState.PENDING,
                message="the controller has not taken it up yet",
                error=None,
                rollout=None,
                new_address=None,
                wanted_version=wanted.version,
                wanted_digest=wanted.digest,
            )
        return stored

    def delete(self, name: str) -> None:
        """Want nothing under this name; see `EndpointPlatform.delete`."""
        for kind in ("wanted", "former"):
            self.folder.endpoint(kind, name).unlink(missing_ok=True)

    def former(self, name: str) -> Manifest | None:
        """The manifest that answered before the present one; see `EndpointPlatform.former`."""
        return read_manifest_file(self.folder, "former", name)

    def kept_packages(self, name: str) -> frozenset[str]:
        """The digests of the packages that are needed here; see `EndpointPlatform.kept_packages`."""
        manifests = (read_manifest_file(self.folder, kind, name) for kind in ("wanted", "answering", "former"))
        return frozenset(read_manifest(manifest).digest for manifest in manifests if manifest is not None)

    def wait_ready(self, name: str, digest: str, timeout: float) -> EndpointStatus:
        """Wait until the endpoint answers with this package; see `EndpointPlatform.wait_ready`."""
        deadline = time.monotonic() + timeout
        while True:
            status = self.status(name)
            if status.wanted_digest != digest:
                raise ConfigurationError(
                    f"{name}: waiting for package {digest[:12]}, its manifest wants {str(status.wanted_digest)[:12]}"
                )
            if status.healthy:
                return status
            if status.state is EndpointState.FAILED and status.error in REFUSALS:
                raise REFUSALS[status.error](self._explain(status))
            if time.monotonic() > deadline:
                raise self._late(status, timeout)
            time.sleep(POLL_SECONDS)

    def _late(self, status: EndpointStatus, timeout: float) -> LocationUnavailable | TransientError:
        message = f"not ready after {timeout:g} s; {self._explain(status)}"
        if status.state in (EndpointState.FAILED, EndpointState.STOPPED) and status.error != TransientError.__name__:
            return LocationUnavailable(status.location, message)
        return TransientError(message)

    def _explain(self, status: EndpointStatus) -> str:
        return (
            f"{status.name} version {status.wanted_version} is {status.state}: {status.message}\n"
            f"end of its log:\n{log_tail(self.folder.endpoint('logs', status.name))}"
        )


def read_manifest_file(folder: DataPlaneFolder, kind: EndpointFile, name: str) -> dict[str, Any] | None:
    """A manifest of this kind (`wanted`, `answering`, `former`), or None when there is none.

    Raises `ConfigurationError` naming the file when it does not hold one.
    """
    path = folder.endpoint(kind, name)
    try:
        document = yaml.safe_load(path.read_bytes())
    except FileNotFoundError:
        return None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path} is not readable YAML: {error}") from error
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path} does not hold a manifest")
    return document


def write_status(folder: DataPlaneFolder, revision: str, status: EndpointStatus) -> None:
    """Store what the controller found out, with the revision of the manifest that it is about."""
    write_atomically(folder.endpoint("status", status.name), json.dumps({"revision": revision, **asdict(status)}, indent=1))


def read_status(folder: DataPlaneFolder, name: str) -> tuple[str | None, EndpointStatus | None]:
    """The stored status and its revision, however old; both None when there is none."""
    try:
        document = json.loads(folder.endpoint("status", name).read_bytes())
    except FileNotFoundError:
        return None, None
    revision = document.pop("revision")
    return revision, EndpointStatus(**{**document, "state": EndpointState(document["state"])})


def _status(wanted: WantedEndpoint, state: EndpointState, message: str) -> EndpointStatus:
    return EndpointStatus(wanted.name, state, _now(), message, wanted_version=wanted.version, wanted_digest=wanted.digest)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
