"""Promises of process handling: only our own processes are found and ended, and a taken port is explained."""

import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError, TransientError
from mcml_assets.serving.ports import check_free, endpoint_port
from mcml_assets.serving.processes import end, find, is_alive, spawn, spawn_orphan
from mcml_assets_tests.ports import free_port_range

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


@pytest.fixture
def taken() -> Iterator[int]:
    port = free_port_range(1)
    with socket.socket() as server:
        server.bind(("127.0.0.1", port))
        server.listen()
        yield port


def test_a_started_process_is_found_and_ended(tmp_path: Path) -> None:
    """A process is found by its command line, has a session of its own, and is gone after it was ended."""
    marker = str(tmp_path / "marker")
    process = spawn([sys.executable, "-c", "import time; time.sleep(60)", marker], {}, tmp_path / "log")
    try:
        assert [found.pid for found, _ in find(lambda command: marker in command)] == [process.pid]
        assert os.getsid(process.pid) == process.pid
    finally:
        end([process], grace_seconds=5)
    assert not is_alive(process)
    assert find(lambda command: marker in command) == []


def test_one_that_will_not_end_is_killed(tmp_path: Path) -> None:
    """A process that ignores SIGTERM is killed once its grace is over."""
    process = spawn([sys.executable, "-c", STUBBORN], {}, tmp_path / "log")
    while "up" not in (tmp_path / "log").read_text():
        time.sleep(0.02)
    end([process], grace_seconds=0.3)
    assert not is_alive(process)


def test_an_orphan_has_another_parent(tmp_path: Path) -> None:
    """A process started as an orphan does not depend on its starter."""
    process = spawn_orphan([sys.executable, "-c", "import time; time.sleep(60)", str(tmp_path)], {}, tmp_path / "log")
    try:
        assert process.ppid() != os.getpid()
    finally:
        end([process], grace_seconds=5)


def test_an_orphan_that_fails_shows_its_log(tmp_path: Path) -> None:
    """When a program ends at once the error holds what it said."""
    with pytest.raises(TransientError, match="cannot be read"):
        spawn_orphan([sys.executable, "-c", "print('cannot be read')", str(tmp_path)], {}, tmp_path / "log")


def test_a_taken_port_names_the_setting_and_the_process(taken: int) -> None:
    """The error says which setting chooses another port, and which process has this one."""
    own = psutil.Process()
    with pytest.raises(ConfigurationError, match=rf"port {taken} .* by {own.name()} \(pid {own.pid}\).*MCML_EDGE_PORT"):
        check_free(taken, "MCML_EDGE_PORT", "the edge")


def test_model_servers_avoid_taken_ports(taken: int) -> None:
    """A port that is in use, by us or by others, is passed over; none left names the settings."""
    settings = Settings(endpoint_first_port=taken, endpoint_ports=2)
    assert endpoint_port(settings, taken=(), preferred=taken) == taken + 1
    with pytest.raises(TransientError, match="MCML_ENDPOINT_FIRST_PORT"):
        endpoint_port(settings, taken={taken + 1}, preferred=None)


def test_a_restarted_server_keeps_its_port() -> None:
    """The port a server had is preferred, so that its restart changes nothing at the edge."""
    first = free_port_range(5)
    settings = Settings(endpoint_first_port=first, endpoint_ports=5)
    assert endpoint_port(settings, taken=(), preferred=first + 3) == first + 3
    assert endpoint_port(settings, taken=(), preferred=80) == first
