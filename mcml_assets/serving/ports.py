"""Ports of this machine: which are free, and who has one that is not."""

import socket
from collections.abc import Collection

import psutil

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError, TransientError

HOST = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether a server could listen on it now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections of a server that has just ended do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def check_free(port: int, setting: str, purpose: str) -> None:
    """Raise `ConfigurationError` naming the setting, and the process that has the port where it is visible."""
    if not is_free(port):
        raise ConfigurationError(
            f"port {port} for {purpose} is taken{_by_whom(port)}; end it, or choose another port with {setting}"
        )


def listened(process: psutil.Process) -> frozenset[int]:
    """The ports that a process of ours listens on; none when it has ended."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return frozenset()
    listening = (one for one in connections if one.pid == process.pid and one.status == psutil.CONN_LISTEN)
    return frozenset(one.laddr.port for one in listening if one.laddr)


def endpoint_port(settings: Settings, taken: Collection[int], preferred: int | None) -> int:
    """A port for a model server: the preferred one if it can be had, so that a restart moves nothing, else the next free.

    Raises `TransientError` naming the settings when none is free.
    """
    first = settings.endpoint_first_port
    candidates = list(range(first, first + settings.endpoint_ports))
    if preferred in candidates:
        candidates.insert(0, preferred)
    for port in candidates:
        if port not in taken and is_free(port):
            return port
    raise TransientError(
        f"no free port among {settings.endpoint_ports} from {first}: "
        "choose others with MCML_ENDPOINT_FIRST_PORT and MCML_ENDPOINT_PORTS"
    )


def _by_whom(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})" if connection.pid else ""
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        return ""
    return ""
