"""A real Prometheus (Debian's) on loopback, with the configuration and the rules of `deploy/observability/`."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from mcml_assets_tests.ports import free_ports
from mcml_assets_tests.serving.waiting import until

OBSERVABILITY = Path(__file__).parents[2] / "deploy" / "observability"
RULES, UNIT_TESTS = OBSERVABILITY / "mcml.rules.yml", OBSERVABILITY / "mcml.rules.test.yml"
CONFIG, DASHBOARD = OBSERVABILITY / "prometheus.yml", OBSERVABILITY / "dashboard.json"
METRIC = re.compile(r"\b(?:envoy|mcml|process)[_:][a-zA-Z0-9_:]+")


def needs(program: str) -> str:
    """The path of one of Debian's programs; without it the test is skipped, and says what is missing."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed: apt-get install prometheus")
    return found


def metrics_in(expression: str) -> set[str]:
    """The names of our metrics in a PromQL expression."""
    return set(METRIC.findall(re.sub(r'"[^"]*"', "", expression)))


class Prometheus:
    """One that runs; `ask` is its HTTP API."""

    def __init__(self, port: int) -> None:
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", trust_env=False, timeout=10)

    def ask(self, path: str, **parameters: str) -> Any:
        answer = self.client.get(path, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def values(self, expression: str) -> list[dict[str, str]]:
        """The labels of what an expression finds now."""
        return [found["metric"] for found in self.ask("/query", query=expression)["result"]]


@contextmanager
def prometheus(folder: Path, metrics_port: int) -> Iterator[Prometheus]:
    """Scrapes the data plane at this port, every second; ended at the end."""
    program = needs("prometheus")
    (port,) = free_ports(1)
    config = CONFIG.read_text().replace("8082", str(metrics_port))
    config = re.sub(r"(_interval:) 10s", r"\1 1s", config)
    (folder / CONFIG.name).write_text(config)
    shutil.copy(RULES, folder)
    command = [program, f"--config.file={folder / CONFIG.name}", f"--web.listen-address=127.0.0.1:{port}"]
    command += [f"--storage.tsdb.path={folder / 'data'}", "--log.level=warn"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        here = Prometheus(port)

        def ready() -> bool:
            assert process.poll() is None, (folder / "prometheus.log").read_text()
            try:
                return here.client.get("/status/buildinfo").status_code == 200
            except httpx.HTTPError:
                return False

        until(ready, "Prometheus answers")
        yield here
        here.client.close()
    finally:
        process.terminate()
        process.wait(timeout=30)
