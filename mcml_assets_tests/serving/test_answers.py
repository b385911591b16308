"""Promises to whoever asks wrongly: a mistake has its documented answer, the description is true, the server lives on."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcml_assets.serving.data_plane import edge_url
from mcml_assets.serving.edge.openapi import openapi
from mcml_assets.serving.local_platform import LocalEndpointPlatform
from mcml_assets_tests.serving.answers import ask_all
from mcml_assets_tests.serving.answers_page import PAGE, render
from mcml_assets_tests.serving.closed_edge import INFER, QUESTION, ClosedEdge
from mcml_assets_tests.serving.served_shop import CUSTOMER, PRIMARY

pytestmark = pytest.mark.live
# Not those about resources that are made and removed, which there are none of; and not that every right body is accepted,
# because that a tensor's shape is that of its data is no sentence of JSON Schema.
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "negative_data_rejection", "missing_required_header",
    "unsupported_method", "allow_header_conformance", "ignored_auth",
)  # fmt: skip
EXAMPLES = 20  # for each path; with a seed, so that the same is asked every time
# Not QUERY: Envoy itself refuses one without a content type (400), before it looks for a route.
METHODS = ("GET", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "TRACE")


@pytest.fixture(autouse=True)
def lives_on(closed: ClosedEdge) -> Iterator[None]:
    """Whatever was asked, the same server answers after it, and no log has a stack trace or an id that was asked about."""
    platform = LocalEndpointPlatform(closed.shop.settings)
    before = platform.status(f"shop@{PRIMARY}").pid
    yield
    for file in closed.folder.glob("*"):
        file.unlink()
    with closed.known("afterwards") as client:
        assert client.post(INFER, json=QUESTION).status_code == 200
    assert platform.status(f"shop@{PRIMARY}").pid == before
    for log in platform.folder.own_log("envoy").parent.rglob("*.log"):
        text = log.read_text(errors="replace")
        assert "Traceback" not in text, log
        assert str(CUSTOMER) not in text, log


def test_the_page_says_what_is_answered(closed: ClosedEdge) -> None:
    """Every mistake on the page is answered as the page says, and every answer is a problem."""
    answered = render(ask_all(closed))
    assert answered == PAGE.read_text(), "stale, or no longer true: python -m mcml_assets_tests.serving.answers_page"


def test_nothing_is_answered_that_is_not_described(closed: ClosedEdge, tmp_path: Path) -> None:
    """Requests made from the edge's own description, right and wrong ones, get the answers that it promises and no other."""
    document = openapi([closed.shop.workload], edge_url(closed.shop.settings), closed=True)
    content = document["paths"][INFER]["post"]["requestBody"]["content"]["application/json"]
    content["examples"] = {"known": {"value": QUESTION}}
    described = tmp_path / "openapi.json"
    described.write_text(json.dumps(document))
    settings = tmp_path / "schemathesis.toml"
    settings.write_text(f"[phases.coverage]\nunexpected-methods = {json.dumps(METHODS)}\n")
    with closed.known("fuzzer", requests_per_second=100_000) as client:
        command = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(settings), "run", str(described)]
        command += ["--url", edge_url(closed.shop.settings), "--tls-verify", str(closed.authority.file)]
        command += ["--header", f"Authorization: {client.headers['authorization']}", "--checks", ",".join(CHECKS)]
        command += ["--phases", "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES), "--seed", "1"]
        command += ["--continue-on-failure", "--suppress-health-check", "all"]
        said = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300, check=False)
    assert said.returncode == 0, said.stdout[-8000:] + said.stderr[-2000:]
