"""Carrying out a scenario's faults on the running platform, and taking them back, also when the drill's process is killed.

Faults of stores and locations are entries of the fault plan, which expire by themselves. A process that is made to stand
still is woken by a watcher of its own, started before. What a fault means is `domain/faults.py`'s business.
"""

import getpass
import secrets
import signal
import subprocess
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psutil

from mcml_assets.clouds.fault_plan import clear_fault, set_fault
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError, LocationUnavailable
from mcml_assets.domain.faults import Fault, FaultKind
from mcml_assets.domain.scenario import Injection, ProcessFault
from mcml_assets.domain.topology import Topology
from mcml_assets.domain.workload import Workload
from mcml_assets.serving.interfaces import EndpointPlatform
from mcml_assets.serving.manifest import endpoint_name

DAEMON_MODULE = "dagster._daemon"


@dataclass(frozen=True, slots=True)
class Injected:
    """A fault that is in force: what it is, in words, when it began (seconds since the epoch), and how it is taken back."""

    what: str
    began: float
    undo: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Injector:
    """How faults reach the platform of these settings."""

    settings: Settings
    topology: Topology
    workload: Workload
    platform: EndpointPlatform

    def inject(self, injection: Injection, target: str, why: str, drill: str = "") -> Injected:
        """Bring one fault about now.

        Raises `ConfigurationError` where faults may not be set, or nothing runs that could be struck, and
        `LocationUnavailable` when no server runs in a location whose server is to be struck.
        """
        if isinstance(injection.kind, FaultKind):
            return self._in_the_plan(injection, injection.kind, target, why, drill)
        if injection.kind is ProcessFault.ORCHESTRATOR_FROZEN:
            return _frozen(self._daemons(), injection, f"Dagster's daemon of {self.settings.dagster_home}")
        server = self._server(target)
        what = f"the server of {self.workload.name} in {target}"
        if injection.kind is ProcessFault.SERVER_FROZEN:
            return _frozen([server], injection, what)
        server.kill()
        return Injected(f"{what} is killed", _now(), lambda: None)

    def _in_the_plan(self, injection: Injection, kind: FaultKind, target: str, why: str, drill: str) -> Injected:
        now = datetime.now(UTC)
        fault = Fault(
            target=target,
            kind=kind,
            begins=now,
            expires=now + timedelta(seconds=injection.lasts_seconds),
            parameters=injection.parameters,
            probability=injection.probability,
            seed=secrets.randbelow(2**32),
            why=why,
            who=getpass.getuser(),
            drill=drill,
        )
        set_fault(fault, self.topology, self.settings)

        def undo() -> None:
            with suppress(ConfigurationError):  # it has expired, or somebody cleared it
                clear_fault(fault.id, self.settings)

        return Injected(fault.describe(), now.timestamp(), undo)

    def _server(self, location: str) -> psutil.Process:
        status = self.platform.status(endpoint_name(self.workload.name, location))
        try:
            if status.pid is not None:
                return psutil.Process(status.pid)
        except psutil.NoSuchProcess:
            pass
        raise LocationUnavailable(location, f"no server of {self.workload.name} runs there that could be struck")

    def _daemons(self) -> list[psutil.Process]:
        found = list(_processes_with(DAEMON_MODULE, str(self.settings.dagster_home)))
        if not found:
            raise ConfigurationError(f"no Dagster daemon runs for {self.settings.dagster_home}: start it with `mcml dev`")
        return found


def _frozen(processes: list[psutil.Process], injection: Injection, what: str) -> Injected:
    """Let processes stand still, after a watcher was started that wakes them even if this process is killed."""
    pids = " ".join(str(process.pid) for process in processes)
    watcher = subprocess.Popen(
        ["/bin/sh", "-c", f"sleep {injection.lasts_seconds:g}; kill -CONT {pids}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    began = _now()
    for process in processes:
        process.send_signal(signal.SIGSTOP)

    def undo() -> None:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)
        watcher.kill()
        watcher.wait()

    return Injected(f"{what} stands still for {injection.lasts_seconds:g} s", began, undo)


def _processes_with(module: str, dagster_home: str) -> Iterable[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if module in process.cmdline() and process.environ().get("DAGSTER_HOME") == dagster_home:
                yield process
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue


def _now() -> float:
    return datetime.now(UTC).timestamp()
