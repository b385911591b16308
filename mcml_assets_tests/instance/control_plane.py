"""The control plane as a cluster runs it: each part a process of its own, and started again when it ended.

The instance is the one of `deploy/instance`, with two differences: runs are processes of the code servers, because there is
no cluster, and dead ones are looked for each second.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from mcml_assets.configuration.settings import PROJECT_ROOT
from mcml_assets_tests.ports import free_ports

LOCATIONS = ("one", "two")
HERE = Path(__file__).parent
BIN = Path(sys.executable).parent


def write_instance(home: Path) -> None:
    """`dagster.yaml` of the cluster, for one machine."""
    instance = yaml.safe_load((PROJECT_ROOT / "deploy" / "instance" / "dagster.yaml").read_text())
    del instance["run_launcher"]
    instance["run_coordinator"]["config"]["max_concurrent_runs"] = 4
    instance["run_monitoring"] |= {"poll_interval_seconds": 1, "start_timeout_seconds": 60}
    (home / "dagster.yaml").write_text(yaml.safe_dump(instance))


class ControlPlane:
    """Two code servers, a webserver and two daemons; `keep` starts again what ended, as a cluster does."""

    def __init__(self, home: Path, url: str) -> None:
        self.home = home
        write_instance(home)
        self.environment = {
            **os.environ,
            "DAGSTER_HOME": str(home),
            "MCML_POSTGRES_URL": url,
            "INSTANCE_TEST_FOLDER": str(home),
        }
        self.ports: dict[str, int] = dict(zip((*LOCATIONS, "webserver"), free_ports(3), strict=True))
        servers = [{"grpc_server": {"host": "127.0.0.1", "port": self.ports[one], "location_name": one}} for one in LOCATIONS]
        (home / "workspace.yaml").write_text(yaml.safe_dump({"load_from": servers}))
        for one in LOCATIONS:
            (home / f"orders-{one}").touch()
        self.processes: dict[str, psutil.Popen] = {}
        self.ends: list[tuple[str, int]] = []

    def commands(self) -> Mapping[str, list[str]]:
        """Every part's command line, by name."""
        workspace = ["--workspace", str(self.home / "workspace.yaml")]
        daemon = [str(BIN / "mcml"), "daemon", "--", *workspace]
        code = [str(BIN / "dagster"), "api", "grpc", "--host", "127.0.0.1", "--python-file", str(HERE / "location.py")]
        return {
            **{one: [*code, "--port", str(self.ports[one]), "--location-name", one] for one in LOCATIONS},
            "webserver": [str(BIN / "dagster-webserver"), "-h", "127.0.0.1", "-p", str(self.ports["webserver"]), *workspace],
            "daemon a": daemon,
            "daemon b": daemon,
        }

    def start(self, name: str) -> None:
        """Start one part, in a session of its own, so that nothing of it is left."""
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = psutil.Popen(
                self.commands()[name], env={**self.environment, "INSTANCE_TEST_NAME": name}, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True, cwd=self.home,
            )  # fmt: skip

    def keep(self) -> None:
        """Start again every part that ended by itself or by a fault."""
        for name, process in list(self.processes.items()):
            if (status := process.poll()) is not None:
                self.ends.append((name, status))
                self.start(name)

    def until(self, holds: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait, keeping every part alive meanwhile."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}\n{self.logs()}"
            self.keep()
            time.sleep(0.2)

    def kill(self, name: str) -> None:
        """kill -9 of one part; what it started is left to itself."""
        self.processes[name].send_signal(signal.SIGKILL)

    def holder(self) -> str | None:
        """Which daemon says that it is the instance's; None while neither does."""
        for name in ("daemon a", "daemon b"):
            lines = self.log(name).splitlines()
            said = [line for line in lines if any(word in line for word in ("daemon now", "waiting for", "is lost"))]
            if said and "daemon now" in said[-1] and self.processes[name].poll() is None:
                return name
        return None

    def answers(self, name: str) -> bool:
        """Whether a server accepts connections."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.ports[name])) == 0

    def ask(self, query: str) -> Any:
        """What the webserver's GraphQL gives; None while it does not answer."""
        try:
            answer = httpx.post(f"http://127.0.0.1:{self.ports['webserver']}/graphql", json={"query": query}, timeout=20)
            return answer.json()["data"]
        except (httpx.HTTPError, ValueError, KeyError):
            return None

    def log(self, name: str) -> str:
        file = self.home / f"{name}.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def logs(self) -> str:
        """The last lines of every part."""
        return "\n".join(f"--- {name}\n" + "\n".join(self.log(name).splitlines()[-12:]) for name in self.processes)

    def end(self) -> None:
        """End every session that was started, politely first."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            left = [one for one in psutil.process_iter() if _session(one.pid) in {each.pid for each in self.processes.values()}]
            for process in left:
                with _gone():
                    process.send_signal(number)
            psutil.wait_procs(left, timeout=8)


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


@contextmanager
def _gone() -> Iterator[None]:
    try:
        yield
    except psutil.NoSuchProcess:
        return
