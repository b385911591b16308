"""What `mcml doctor` promises about clocks: one that is wrong is told, which way, and how to set it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest

from mcml_assets.configuration.settings import Settings
from mcml_assets.doctor.examination import State, Verdict, examine
from mcml_assets.emulation.servers import Emulators
from mcml_assets_tests.ports import free_port_range

pytestmark = pytest.mark.live
GCP = "gcp/europe-west2"


class SkewedFront(BaseHTTPRequestHandler):
    """Hands requests on to `target` and answers with a clock that is `skew` wrong."""

    protocol_version = "HTTP/1.1"
    target = ""
    skew = timedelta()

    def _hand_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "content-length")}
        answer = httpx.request(self.command, self.target + self.path, content=body, headers=headers, trust_env=False)
        self.send_response_only(answer.status_code)
        for name, value in answer.headers.items():
            if name not in ("date", "content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("date", format_datetime(datetime.now(UTC) + self.skew, usegmt=True))
        self.send_header("content-length", str(len(answer.content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.content)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _hand_on

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Nothing on the terminal."""


@contextmanager
def skewed_front(target: str, skew: timedelta) -> Iterator[str]:
    handler = type("Front", (SkewedFront,), {"target": target, "skew": skew})
    with ThreadingHTTPServer(("127.0.0.1", free_port_range(1)), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("seconds", "state", "verdict"),
    [
        (0, State.OK, Verdict.OK),
        (30, State.WARNING, Verdict.OK),
        (-30, State.WARNING, Verdict.OK),
        (90, State.ERROR, Verdict.PROBLEMS),
        (-90, State.ERROR, Verdict.PROBLEMS),
    ],
)
def test_a_wrong_clock_is_found(emulators: Emulators, tmp_path: Path, seconds: int, state: State, verdict: Verdict):
    """More than 5 s between the clocks is a warning, more than 60 s an error, either way, with how to set the clock."""
    with skewed_front(emulators.endpoints["gcs"], timedelta(seconds=seconds)) as address:
        location = emulators.topology.location(GCP)
        location = replace(location, store=replace(location.store, endpoint=address))
        examination = examine(location, Settings(home=tmp_path))
    (clock,) = (check for check in examination.checks if check.name == "clock")
    assert (clock.state, examination.verdict) == (state, verdict), examination
    assert (clock.remedy is None) is (state is State.OK)
    if seconds:
        assert f"{'ahead' if seconds > 0 else 'behind'}" in clock.detail
