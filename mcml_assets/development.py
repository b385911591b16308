"""`mcml dev`: the whole platform in the foreground of one terminal, and nothing of it left when that ends.

Starts the clouds' emulators where the profile has some, Dagster (UI and daemon) and the data plane, tells what has been
published as it happens, and ends all of it. What they do is theirs; how a model server is kept alive is in `serving/`.
"""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import BinaryIO

import psutil

from mcml_assets.configuration.settings import PROJECT_ROOT, Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.emulation.servers import is_emulated, start_emulators
from mcml_assets.serving.data_plane import edge_url, ensure_data_plane, stop_data_plane

HOST = "127.0.0.1"
STOP_SECONDS = 10.0
WATCH_SECONDS = 2.0
OPEN_EDGE = (
    "The edge is open: every program of this machine may ask it, and none of another. "
    "With MCML_EDGE_CALLERS=<folder> it asks who calls; `mcml caller add` makes callers."
)


@dataclass
class Stop:
    """Set by the first SIGINT or SIGTERM."""

    requested: bool = False

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        self.requested = True


@dataclass(frozen=True, slots=True)
class News:
    """One thing that happened to the platform while it runs.

    `event` is `address` (of the program called `name`, or the folder of its files), `published`, `note`, `failed` or
    `stopped`; `text` says it, or is the address; `seconds` have passed since the start, None before it.
    """

    event: str
    text: str
    name: str | None = None
    seconds: float | None = None


Tell = Callable[[News], object]


def run_platform(written: Settings, tell: Tell, milestones: Callable[[Settings], Iterator[str]]) -> int:
    """Start everything, tell `milestones` as they are reached, and end everything on SIGINT or SIGTERM.

    Milestones are asked for with the settings in use, which name the emulators' topology where those run. Returns 0 after
    an orderly stop, 1 when Dagster ended by itself. Raises `ConfigurationError` for a taken port or a platform that runs
    already.
    """
    stop = Stop()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    with _only_one(written), running_clouds(written, tell) as settings:
        require_free_port(settings.webserver_port, "MCML_WEBSERVER_PORT", "the Dagster UI")
        _prepare_dagster_home(settings)
        began = time.monotonic()
        tell(News("address", str(settings.home), "Platform files"))
        try:
            ensure_data_plane(settings)
            tell(News("address", edge_url(settings), "Edge"))
            if settings.edge_callers is None:
                tell(News("note", OPEN_EDGE))
            dagster = _start_dagster(settings)
            tell(News("address", f"http://{HOST}:{settings.webserver_port}", "Dagster UI"))
            tell(News("address", str(settings.home / "logs"), "Logs"))
            tell(News("note", "Ctrl-C ends all of it."))
            try:
                return _watch(dagster, stop, tell, lambda: milestones(settings), began)
            finally:
                tell(News("note", "Stopping Dagster, the endpoints and the edge"))
                _end_session(dagster)
        finally:
            stop_data_plane(settings)
            tell(News("stopped", "Stopped; nothing is left running."))


def require_free_port(port: int, setting: str, purpose: str) -> None:
    """Raise `ConfigurationError`, naming the setting, when something listens on the port already."""
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex((HOST, port)) == 0:
            raise ConfigurationError(
                f"port {port}, meant for {purpose}, is taken by another program; "
                f"end that program or choose another port: {setting}={port + 1} make dev"
            )


@contextmanager
def _only_one(settings: Settings) -> Iterator[None]:
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / "dev.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise ConfigurationError(
                f"the platform in {settings.home} runs already (process {lock.read().strip()}); "
                "end it first, or give this one its own folder with MCML_HOME"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


@contextmanager
def running_clouds(settings: Settings, tell: Tell) -> Iterator[Settings]:
    """The settings to reach the profile's clouds with; where they are emulated, they run until the block is left.

    Raises `ConfigurationError` for a home that is the local profile's, or as `start_emulators` does.
    """
    if not is_emulated(load_topology(settings.topology_file)):
        yield settings
        return
    # Emulators start empty: what Dagster and the data plane know of what they held would be untrue.
    if settings.clouds_folder.exists():
        raise ConfigurationError(
            f"{settings.home} belongs to the local profile; give this one a folder of its own with MCML_HOME"
        )
    stop_data_plane(settings)
    for folder in (settings.dagster_home, settings.data_plane_folder, settings.home / "locations"):
        shutil.rmtree(folder, ignore_errors=True)
    with start_emulators(settings) as emulators:
        for kind, address in emulators.endpoints.items():
            tell(News("address", address, f"Emulator {kind}"))
        yield emulators.entered(settings)


def _prepare_dagster_home(settings: Settings) -> None:
    settings.dagster_home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(PROJECT_ROOT / "dagster.yaml", settings.dagster_home / "dagster.yaml")


def _start_dagster(settings: Settings) -> psutil.Popen:
    logs = settings.home / "logs"
    logs.mkdir(exist_ok=True)
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(settings.dagster_home),
        "MCML_HOME": str(settings.home),
        "MCML_TOPOLOGY": str(settings.topology_file),
    }
    with (logs / "dagster.log").open("ab") as log:
        _fail_orphaned_runs(environment, log)
        # Its own session: Ctrl-C must reach us alone, who end things in order. Our own handler of SIGINT is set by now,
        # so Dagster does not inherit it as ignored, as it would from a script's background job.
        return psutil.Popen(
            [str(Path(sys.executable).with_name("dagster")), "dev", "-h", HOST, "-p", str(settings.webserver_port)],
            cwd=PROJECT_ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip


def _fail_orphaned_runs(environment: dict[str, str], log: BinaryIO) -> None:
    """Runs that ended with a former `mcml dev`; they would stay STARTED, and hold their partitions, for half an hour."""
    subprocess.run(
        [sys.executable, "-m", "mcml_assets.instance.orphaned_runs"], env=environment, stdout=log, stderr=log, check=True
    )


def _watch(dagster: psutil.Popen, stop: Stop, tell: Tell, milestones: Callable[[], Iterator[str]], began: float) -> int:
    reached = set(milestones())
    if reached:
        tell(News("note", f"Going on from where it was: {len(reached)} publications are there already."))
    while not stop.requested:
        if dagster.poll() is not None:
            tell(News("failed", f"Dagster ended with status {dagster.returncode}; its log says why."))
            return 1
        for milestone in milestones():
            if milestone not in reached:
                reached.add(milestone)
                tell(News("published", milestone, seconds=round(time.monotonic() - began, 1)))
        time.sleep(WATCH_SECONDS)
    return 0


def _end_session(leader: psutil.Popen) -> None:
    """End Dagster and everything in its session: politely, then by force.

    Its code servers start one another again while the leader lives, so a list of children taken once is not enough.
    """
    _signal(leader, signal.SIGINT)
    psutil.wait_procs([leader], timeout=STOP_SECONDS)
    for number in (signal.SIGTERM, signal.SIGKILL):
        left = _members(leader.pid)
        for process in left:
            _signal(process, number)
        psutil.wait_procs(left, timeout=5)


def _members(session: int) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if _session_of(process) == session]


def _session_of(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except (ProcessLookupError, PermissionError):
        return None


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
