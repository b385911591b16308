"""The processes of the clouds' emulators, one by one: killed, restarted, and held still so that they answer nobody."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

import httpx
import psutil

from mcml_assets.domain.topology import StoreKind
from mcml_assets.emulation.servers import Emulators

READY_SECONDS = 60.0


class Servers:
    """The emulators that this process started; what it restarts ends with the block."""

    def __init__(self, emulators: Emulators) -> None:
        self.emulators = emulators
        self._commands: dict[StoreKind, tuple[list[str], dict[str, str]]] = {}
        self._processes = {kind: self._find(kind) for kind in emulators.endpoints}
        self._restarted: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Servers":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        for process in self._restarted:
            process.kill()
            process.wait()

    def end(self, kind: StoreKind, with_signal: signal.Signals) -> None:
        """End a server."""
        process = self._processes[kind]
        self._commands[kind] = (process.cmdline(), process.environ())
        process.send_signal(with_signal)
        _wait_for(lambda: _ended(process), f"the emulator of {kind} did not end")

    def restart(self, kind: StoreKind) -> None:
        """Start an ended server again, over what it had written; returns when it answers."""
        command, environment = self._commands[kind]
        started = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._restarted.append(started)
        self._processes[kind] = psutil.Process(started.pid)
        _wait_for(lambda: _answers(self.emulators.endpoints[kind]), f"the emulator of {kind} did not come back")

    @contextmanager
    def cut_off(self, kind: StoreKind) -> Iterator[None]:
        """Hold a server still: it takes connections and never answers, until the block ends and it answers all of them."""
        self._processes[kind].send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._processes[kind].send_signal(signal.SIGCONT)

    def _find(self, kind: StoreKind) -> psutil.Process:
        port = self.emulators.endpoints[kind].rpartition(":")[2]
        [found] = [child for child in psutil.Process().children(recursive=True) if port in _arguments(child)]
        return found


def _arguments(process: psutil.Process) -> list[str]:
    # Among the children of a process that runs many tests some may be ending at this moment.
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:  # a zombie too
        return []


def _wait_for(happened: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise)
        time.sleep(0.05)


def _ended(process: psutil.Process) -> bool:
    # It may stay as a zombie until its parent asks how it ended.
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _answers(address: str) -> bool:
    try:
        httpx.get(address, trust_env=False, timeout=1)
    except httpx.TransportError:
        return False
    return True
