"""Processes of the data plane: started so that they outlive who started them, found again, and ended.

A process is known by a `psutil.Process`, which holds the pid and the time of creation, so a reused pid is never taken
for ours. What runs in a process is `instance.py`'s and `edge/envoy.py`'s business.
"""

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import psutil

from mcml_assets.domain.errors import TransientError
from mcml_assets.serving.folder import log_tail

POLL_SECONDS = 0.05
SETTLE_SECONDS = 0.3


def spawn(command: Sequence[str], environment: Mapping[str, str], log: Path) -> psutil.Process:
    """Start a program in a session of its own, its output appended to `log`, its input empty.

    It survives its starter's end and terminal. The program's path must be absolute.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    pid = os.posix_spawn(
        command[0],
        list(command),
        dict(environment),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o640),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    return psutil.Process(pid)


def spawn_orphan(command: Sequence[str], environment: Mapping[str, str], log: Path) -> psutil.Process:
    """Start a program whose parent is not this process, for one that ends itself when its parent does (Envoy).

    Raises `TransientError` when it ends within `SETTLE_SECONDS`, as with a configuration it refuses; with its log's end.
    """
    shell = spawn(["/bin/sh", "-c", '"$@" &', "sh", *command], environment, log)
    _wait([shell], SETTLE_SECONDS)
    time.sleep(SETTLE_SECONDS)
    found = find(lambda line: line == list(command))
    if not found:
        raise TransientError(f"{Path(command[0]).name} ended at once; end of its log:\n{log_tail(log)}")
    return found[-1][0]


def is_alive(process: psutil.Process) -> bool:
    """Whether it still runs; takes the exit status of a child that ended, and counts an unclaimed one as ended."""
    try:
        process.wait(0)
    except psutil.TimeoutExpired:
        pass
    except psutil.NoSuchProcess:
        return False
    else:
        return False
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def find(ours: Callable[[list[str]], bool]) -> list[tuple[psutil.Process, list[str]]]:
    """Running processes whose command line `ours` recognises, with that command line; oldest first."""
    found = []
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
            if command and ours(command) and is_alive(process):
                found.append((process, command))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return sorted(found, key=lambda entry: entry[0].create_time())


def ask_to_end(process: psutil.Process) -> None:
    """SIGTERM; nothing when it has ended already."""
    try:
        process.terminate()
    except psutil.NoSuchProcess:
        return


def kill(process: psutil.Process) -> None:
    """SIGKILL; nothing when it has ended already."""
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def end(processes: Iterable[psutil.Process], grace_seconds: float) -> None:
    """Ask all to end, wait up to `grace_seconds` for all together, kill the rest, and return when none runs."""
    left = [process for process in processes if is_alive(process)]
    for process in left:
        ask_to_end(process)
    left = _wait(left, grace_seconds)
    for process in left:
        kill(process)
    _wait(left, grace_seconds)


def _wait(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those still alive after at most `seconds`."""
    deadline = time.monotonic() + seconds
    left = processes
    while (left := [process for process in left if is_alive(process)]) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return left
