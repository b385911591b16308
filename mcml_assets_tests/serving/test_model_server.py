"""Promises of one model server: it refuses what it cannot vouch for, survives every request, and gives nothing away."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from mcml_assets.domain.errors import LocationUnavailable
from mcml_assets.serving.folder import DataPlaneFolder
from mcml_assets.serving.golden import ask_golden
from mcml_assets.serving.instance import Instance, answers, start_instance
from mcml_assets.serving.manifest import read_manifest
from mcml_assets.serving.package import read_package
from mcml_assets.serving.processes import end, is_alive
from mcml_assets_tests.serving.served_shop import PRIMARY, Shop, build_shop

pytestmark = pytest.mark.live
PERSON = "19610102_1234"
STRANGER = "SECRET-19991231"
HEADERS = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A workload whose entity is identified by personal text."""
    return build_shop(tmp_path_factory.mktemp("home"), versions=1, key_type="string", customer=PERSON)


@pytest.fixture(scope="module")
def folder(shop: Shop) -> DataPlaneFolder:
    return DataPlaneFolder.of(shop.settings)


@pytest.fixture(scope="module")
def server(shop: Shop, folder: DataPlaneFolder) -> Iterator[Instance]:
    instance = start_instance(read_manifest(shop.manifest(PRIMARY, 1)), shop.settings.endpoint_first_port, folder)
    try:
        deadline = time.monotonic() + 60
        while not answers(instance):
            assert is_alive(instance.process), folder.endpoint("logs", instance.name).read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield instance
    finally:
        end([instance.process], grace_seconds=10)


@pytest.fixture(scope="module")
def client(server: Instance) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", trust_env=False, headers=HEADERS) as client:
        yield client


def question(*ids: object, **changes: Any) -> dict[str, Any]:
    tensor = {"name": "customer_id", "datatype": "BYTES", "shape": [len(ids)], "data": list(ids)}
    return {"inputs": [tensor | changes]}


def ask(client: httpx.Client, body: dict[str, Any] | str | bytes, **headers: str) -> httpx.Response:
    content = json.dumps(body) if isinstance(body, dict) else body
    return client.post("/v2/models/shop/infer", content=content, headers=headers)


BAD: dict[str, dict[str, Any] | str | bytes] = {
    "empty body": b"",
    "broken JSON": '{"inputs": [{"name": "customer_id", "data": ["SECRET-19991231"',
    "not an object": '["SECRET-19991231"]',
    "no inputs": {"SECRET-19991231": 1},
    "empty inputs": {"inputs": []},
    "another tensor": question(STRANGER, name="SECRET-19991231"),
    "two tensors": {"inputs": question(STRANGER)["inputs"] * 2},
    "wrong datatype": question(STRANGER, datatype="INT64"),
    "wrong shape": question(STRANGER, shape=[3]),
    "negative shape": question(STRANGER, shape=[-1]),
    "number for text": question(17850),
    "null": question(None),
    "nested": question([STRANGER]),
    "empty text": question(""),
    "no data": {"inputs": [{"name": "customer_id", "datatype": "BYTES", "shape": [1]}]},
    "another output": question(STRANGER) | {"outputs": [{"name": "SECRET-19991231"}]},
    "too many": question(*[STRANGER] * 1001),
    "invalid UTF-8": b'{"inputs": [{"name": "\xff"}]}',
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_request_is_told_and_survived(client: httpx.Client, case: str) -> None:
    """Every malformed request gets a 400 problem that says what is right and repeats nothing; the next one is answered."""
    answer = ask(client, BAD[case])
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert answer.json()["type"] == "urn:mcml:invalid-request"
    assert "SECRET" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["x-mcml-location"] == PRIMARY
    assert ask(client, question(PERSON)).status_code == 200


def test_other_protocols_are_not_spoken(client: httpx.Client) -> None:
    """Binary tensors and CloudEvents, which KServe would decode, are refused as bad requests, not with a failure."""
    binary = {"content-type": "application/octet-stream", "inference-header-content-length": "2"}
    assert ask(client, b"{}xx", **binary).status_code == 400
    event = {"ce-id": "1", "ce-source": "x", "ce-type": "y", "ce-specversion": "1.0"}
    assert ask(client, "[]", **event).status_code == 400
    assert client.post("/v1/models/shop:predict", json={"instances": [1]}).status_code == 400


def test_a_body_has_a_bound(client: httpx.Client) -> None:
    """A body of more than a megabyte is refused before it is read into memory as a tensor."""
    answer = ask(client, b" " * (1024 * 1024 + 1))
    assert (answer.status_code, answer.json()["status"]) == (413, 413)


def test_an_unknown_entity_is_told_without_its_name(client: httpx.Client) -> None:
    """One unknown id makes the answer a 404 of its own type, and the id is not repeated."""
    answer = ask(client, question(PERSON, STRANGER))
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:mcml:unknown-entity")
    assert STRANGER not in answer.text
    assert PERSON not in answer.text


def test_several_entities_are_scored_in_order(client: httpx.Client) -> None:
    """A batch gives one score per id, the same as asked one by one, and an id of the request is given back."""
    body = question(PERSON, PERSON, shape=[2, 1]) | {"id": "my-request"}
    answer = ask(client, body).json()
    (one,) = ask(client, question(PERSON)).json()["outputs"][0]["data"]
    assert answer["id"] == "my-request"
    assert answer["outputs"][0]["shape"] == [2]
    # A batch is multiplied in another order than a single row.
    assert answer["outputs"][0]["data"] == pytest.approx([one, one], rel=1e-12)


def test_the_model_describes_itself(client: httpx.Client) -> None:
    """The protocol's metadata names the tensors, so that a caller can find out what to send."""
    said = client.get("/v2/models/shop").json()
    assert said["inputs"] == [{"name": "customer_id", "datatype": "BYTES", "shape": [-1]}]
    assert said["outputs"] == [{"name": "score", "datatype": "FP64", "shape": [-1]}]


@pytest.mark.parametrize("verb", ["load", "unload"])
def test_nobody_can_take_the_model_away(client: httpx.Client, verb: str) -> None:
    """The protocol's repository extension is closed: a request cannot unload what the manifest wants."""
    assert client.post(f"/v2/repository/models/shop/{verb}").status_code == 403
    assert client.get("/v2/models/shop/ready").status_code == 200


def test_it_listens_on_loopback_only(server: Instance) -> None:
    """No other machine can reach the server."""
    own = [entry for entry in psutil.net_connections("tcp") if entry.pid == server.process.pid]
    assert {entry.laddr.ip for entry in own if entry.laddr and entry.status == psutil.CONN_LISTEN} == {"127.0.0.1"}


def test_a_damaged_feature_store_is_the_locations_fault(client: httpx.Client, shop: Shop) -> None:
    """When features cannot be read the answer is a 503, so that the edge asks the next location; mended, it answers again."""
    pointer = shop.settings.location_folder(PRIMARY) / "feast" / "shop" / "current.json"
    hidden = pointer.rename(pointer.with_suffix(".hidden"))
    try:
        answer = ask(client, question(PERSON))
    finally:
        hidden.rename(pointer)
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:mcml:features-unavailable")
    assert ask(client, question(PERSON)).status_code == 200


def test_no_request_leaves_a_line(client: httpx.Client, server: Instance, folder: DataPlaneFolder) -> None:
    """Neither good nor bad requests write values, or a line each, into the log."""
    for _ in range(20):
        ask(client, question(PERSON))
        ask(client, question(STRANGER))
    text = folder.endpoint("logs", server.name).read_text()
    assert STRANGER not in text
    assert PERSON not in text
    assert len(text.splitlines()) < 10, text


def test_a_server_for_the_wrong_jurisdiction_never_starts(shop: Shop, tmp_path: Path) -> None:
    """A package of another workload, jurisdiction or version than the manifest's is refused, with the reason left behind."""
    word = tmp_path / "word.json"
    arguments = read_manifest(shop.manifest(PRIMARY, 1)).local_arguments()
    command = [sys.executable, "-m", "mcml_assets.serving.server", *arguments]
    command += ["--jurisdiction", "EU", "--termination-log", str(word)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert said.returncode == 1
    assert json.loads(word.read_text())["error"] == "ModelRejected"
    assert "the manifest wants shop/EU/1, the package is shop/UK version 1" in said.stderr


def test_golden_predictions_are_computed_anew_and_only_here(client: httpx.Client, shop: Shop) -> None:
    """`parity` asks each server for its package's golden predictions; they are the package's, and name no person."""
    answer = ask_golden(PRIMARY, str(client.base_url).rstrip("/"), "shop")
    golden = read_package(shop.packages[1]).golden
    assert (answer.digest, answer.model_version) == (shop.digest(1), 1)
    assert answer.predictions == pytest.approx(golden.predictions, abs=golden.tolerance)
    assert client.get("/v2/models/another/golden").status_code == 404
    with pytest.raises(LocationUnavailable, match="does not answer"):
        ask_golden(PRIMARY, "http://127.0.0.1:9", "shop")
