"""What `dagster dev` promises by itself: the same assets and automation as `mcml dev`, and endpoints that come up."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from mcml_assets.configuration.settings import PROJECT_ROOT
from mcml_assets_tests.test_platform import MCML, Platform, processes_of

pytestmark = pytest.mark.live

SERVED_SECONDS = 900  # generous: what is promised is that it comes, not when


class PlainDagster(Platform):
    """The platform as `dagster dev` starts it, on an instance of its own that ends with it."""

    def start(self) -> None:
        log = (self.home.parent / "dev.log").open("ab")
        dagster = str(Path(sys.executable).with_name("dagster"))
        command = [dagster, "dev", "-h", "127.0.0.1", "-p", self.environment["MCML_WEBSERVER_PORT"]]
        environment = {**self.environment, "DAGSTER_HOME": str(self.home / "dagster")}
        (self.home / "dagster").mkdir(parents=True)
        self.process = subprocess.Popen(
            command, cwd=PROJECT_ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
        )

    def stop(self) -> int:
        """End Dagster as Ctrl-C would, then the endpoints, which are meant to outlive it."""
        assert self.process is not None
        if self.process.poll() is None:
            # Taken before it ends: its code servers and its daemon are nobody's children afterwards.
            members = psutil.Process(self.process.pid).children(recursive=True)
            self.process.send_signal(signal.SIGINT)
            leader = psutil.Process(self.process.pid)
            psutil.wait_procs([leader], timeout=60)
            # On a busy machine Dagster may take longer than anybody waits.
            left = [process for process in (leader, *members) if process.is_running()]
            for process in left:
                process.kill()
            psutil.wait_procs(left, timeout=10)
        return subprocess.run([MCML, "stop", "--json"], env=self.environment, check=False).returncode


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[PlainDagster]:
    platform = PlainDagster(tmp_path / "home")
    platform.start()
    try:
        yield platform
    finally:
        platform.stop()


def test_endpoints_come_up_and_are_ended_by_one_command(platform: PlainDagster) -> None:
    """Without a click a customer's prediction is answered; `mcml stop` leaves no server and no edge."""
    deadline = time.monotonic() + SERVED_SECONDS
    question = ("predict", "online_retail", "--customer", "17850", "--json")
    while (finished := platform.mcml(*question)).returncode != 0:
        assert time.monotonic() < deadline, finished.stderr + platform.log()
        assert platform.process is not None
        assert platform.process.poll() is None, platform.log()
        time.sleep(3)
    assert 0 < json.loads(finished.stdout)["score"] < 1
    assert platform.stop() == 0
    assert processes_of(platform.home) == []
