"""Ports for servers that tests and benchmarks start on loopback; processes that run side by side get different ones."""

import fcntl
import os
import socket
import tempfile
from functools import cache
from itertools import count
from pathlib import Path

FIRST, LAST, BLOCK = 20_000, 32_000, 500
"""Below the ephemeral range, in which the kernel gives ports to clients."""

_next = count()


def free_ports(length: int) -> list[int]:
    """Ports that nobody listens on, and that no other process of the tests was given."""
    return [free_port_range(1) for _ in range(length)]


def free_port_range(length: int) -> int:
    """The first of `length` such ports in a row."""
    # Each is given once before one is given again: a server that has just ended may still be asked for its answers.
    for _ in range(BLOCK):
        offset = next(_next) % BLOCK
        if offset + length <= BLOCK and _all_free(_block() + offset, length):
            for _ in range(length - 1):
                next(_next)
            return _block() + offset
    raise RuntimeError(f"no {length} free ports in a row")


@cache
def _block() -> int:
    """The first port of a block that this process alone uses until it ends."""
    folder = Path(tempfile.gettempdir()) / f"mcml-test-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for first in range(FIRST, LAST, BLOCK):
        lock = os.open(folder / str(first), os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            return first  # the lock ends with the process
    raise RuntimeError("too many tests run at once")


def _all_free(first: int, length: int) -> bool:
    sockets = [socket.socket() for _ in range(length)]
    try:
        for offset, probe in enumerate(sockets):
            probe.bind(("127.0.0.1", first + offset))
    except OSError:
        return False
    finally:
        for probe in sockets:
            probe.close()
    return True
