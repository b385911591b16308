"""`python -m mcml_assets.serving.data_plane`: the controller and the edge as one long-lived process, one per home.

Here is how it is started, found and stopped, from a terminal or by the control plane. It goes on when Dagster ends.
"""

import fcntl
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError, TransientError
from mcml_assets.domain.route import Route
from mcml_assets.serving.folder import DataPlaneFolder, log_tail, write_atomically
from mcml_assets.serving.heartbeat import is_watched, read_heartbeat
from mcml_assets.serving.interfaces import EndpointStatus
from mcml_assets.serving.json_log import log_json_lines
from mcml_assets.serving.local_platform import LocalEndpointPlatform
from mcml_assets.serving.ports import HOST, is_free
from mcml_assets.serving.processes import end, is_alive, spawn
from mcml_assets.serving.routes import read_routes

MODULE = "mcml_assets.serving.data_plane"
START_SECONDS = 30.0
STOP_SECONDS = 20.0
POLL_SECONDS = 0.1

log = logging.getLogger("mcml_assets.serving.data_plane")


@dataclass(frozen=True, slots=True)
class DataPlaneState:
    """What runs now: whether a controller watches (and its pid), the edge's URL, endpoints and published routes."""

    running: bool
    pid: int | None
    edge: str
    endpoints: tuple[EndpointStatus, ...]
    routes: tuple[Route, ...]


def data_plane_state(settings: Settings) -> DataPlaneState:
    """What is known now; without a running data plane every endpoint is unknown."""
    folder = DataPlaneFolder.of(settings)
    running = is_watched(folder)
    pulse = read_heartbeat(folder)
    platform = LocalEndpointPlatform(settings)
    return DataPlaneState(
        running=running,
        pid=pulse.pid if running and pulse is not None else None,
        edge=edge_url(settings),
        endpoints=tuple(platform.status(name) for name in folder.wanted_names()),
        routes=read_routes(folder),
    )


def edge_url(settings: Settings) -> str:
    """The one address for predictions, without a path."""
    scheme = "http" if settings.edge_tls_certificate is None else "https"
    return f"{scheme}://{HOST}:{settings.edge_port}"


def ensure_data_plane(settings: Settings) -> DataPlaneState:
    """Start a data plane for these settings if none runs, detached from this process, and wait until the edge listens.

    Raises `ConfigurationError` when a port is taken, naming the setting and who has the port, and `TransientError`
    with the end of its log when it does not come up.
    """
    folder = DataPlaneFolder.of(settings)
    if is_watched(folder):
        return data_plane_state(settings)
    folder.refused.unlink(missing_ok=True)
    log_file = folder.own_log("data_plane")
    process = spawn([sys.executable, "-m", MODULE], os.environ | _as_environment(settings), log_file)
    deadline = time.monotonic() + START_SECONDS
    # Another caller's data plane may be the one that comes up: then the process started here ends by itself.
    while not (is_watched(folder) and not is_free(settings.edge_port)):
        if folder.refused.exists() and not is_alive(process):
            raise ConfigurationError(json.loads(folder.refused.read_bytes())["message"])
        if time.monotonic() > deadline:
            raise TransientError(f"no data plane after {START_SECONDS:g} s; end of its log:\n{log_tail(log_file)}")
        time.sleep(POLL_SECONDS)
    return data_plane_state(settings)


def stop_data_plane(settings: Settings) -> None:
    """End the data plane, every model server and the edge, and return when none runs. Nothing running is no error."""
    from mcml_assets.serving.controller import end_processes  # noqa: PLC0415 - Envoy's wheel, only to stop

    folder = DataPlaneFolder.of(settings)
    pulse = read_heartbeat(folder)
    if pulse is not None and (process := pulse.process) is not None:
        end([process], STOP_SECONDS)
    # What a killed controller left, or the one above did not manage.
    end_processes(folder)
    folder.heartbeat.unlink(missing_ok=True)


def main() -> int:
    """Run until SIGTERM or SIGINT; the exit status is 1 when a port is taken, and 0 when another one runs already."""
    log_json_lines(logging.INFO)
    # A rollout asks its new version each second, and the edge what it counted: no line for each.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    from mcml_assets.serving.controller import Controller  # noqa: PLC0415 - only the process itself needs it

    settings = Settings()
    folder = DataPlaneFolder.of(settings)
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with _lock(folder) as held:
        if not held:
            log.info("a data plane already runs for %s", folder.path)
            return 0
        try:
            controller = Controller(settings)
            controller.adopt()
        except ConfigurationError as error:
            log.error("%s", error)
            write_atomically(folder.refused, json.dumps({"message": str(error)}))
            return 1
        controller.run(stop)
    return 0


@contextmanager
def _lock(folder: DataPlaneFolder) -> Iterator[bool]:
    """Hold the folder's lock, if it is free; the kernel lets go of it however this process ends."""
    folder.path.mkdir(parents=True, exist_ok=True)
    with folder.lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _as_environment(settings: Settings) -> dict[str, str]:
    """The variables from which another process reads these very settings."""
    return {f"MCML_{name.upper()}": str(value) for name, value in settings.model_dump().items() if value is not None}


if __name__ == "__main__":
    sys.exit(main())
