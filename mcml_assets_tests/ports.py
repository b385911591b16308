"""Ports for servers that tests and benchmarks start on loopback."""

import os
import socket


def free_ports(count: int) -> list[int]:
    """Ports below the ephemeral range that nobody listens on."""
    found = []
    for port in range(24000 + os.getpid() % 2000, 32000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("no free port")
