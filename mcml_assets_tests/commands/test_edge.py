"""Promise of `mcml edge`: it prints what Envoy runs with, and Envoy judges it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mcml_assets.cli import app
from mcml_assets.serving.edge.render import EndpointAddress, edge_files
from mcml_assets.serving.folder import write_atomically
from mcml_assets_tests.serving.edge.test_render import route


def test_the_configuration_is_printed_and_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the data plane ran there is a bootstrap alone; with its files the whole is printed, and Envoy accepts it."""
    monkeypatch.setenv("MCML_HOME", str(tmp_path))
    alone = CliRunner().invoke(app, ["edge", "config"])
    assert (alone.exit_code, json.loads(alone.stdout)["files"]) == (0, {})
    assert CliRunner().invoke(app, ["edge", "config", "--validate"]).exit_code == 2
    folder = tmp_path.resolve() / "data_plane" / "edge"
    for path, content in edge_files(
        folder, [route()], {("shop", "aws/eu-west-2"): EndpointAddress((20100,), 2.0)}, 0.05
    ).items():
        write_atomically(path, content)
    whole = CliRunner().invoke(app, ["edge", "config", "--validate"])
    assert whole.exit_code == 0, whole.output
    assert set(json.loads(whole.stdout)["files"]) == {"clusters.json", "routes.json", "endpoints/shop.UK.json"}


def test_the_interface_is_described_for_every_workload(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each workload has its paths in each of its jurisdictions and nowhere else; a token is asked for where the edge asks."""
    open_ = json.loads(CliRunner().invoke(app, ["edge", "openapi"]).stdout)
    asked = {path for path in open_["paths"] if path.endswith("/infer")}
    assert asked == {
        "/UK/v2/models/online_retail/infer", "/EU/v2/models/online_retail/infer", "/US/v2/models/credit_scoring/infer",
    }  # fmt: skip
    assert "401" not in open_["paths"]["/US/v2/models/credit_scoring/infer"]["post"]["responses"]
    monkeypatch.setenv("MCML_EDGE_CALLERS", "/callers")
    closed = json.loads(CliRunner().invoke(app, ["edge", "openapi"]).stdout)
    secured = {path for path, methods in closed["paths"].items() for method in methods.values() if "security" in method}
    assert asked < secured
    assert not any(path.endswith("/ready") or path == "/healthz" for path in secured)
