"""Promises of an edge that asks who calls, with a real Envoy and model server: who may ask gets an answer, others do not."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.serving.client import predict
from mcml_assets.serving.data_plane import edge_url
from mcml_assets.serving.edge.callers import new_token, revoke_caller
from mcml_assets.serving.folder import DataPlaneFolder
from mcml_assets_tests.serving.closed_edge import BATCH, INFER, QUESTION, ClosedEdge
from mcml_assets_tests.serving.edge.certificates import Authority
from mcml_assets_tests.serving.served_shop import CUSTOMER
from mcml_assets_tests.serving.waiting import until

pytestmark = pytest.mark.live


def logged_callers(closed: ClosedEdge) -> dict[str, str]:
    """Prediction id to caller, of everything that was answered."""
    rows = DataPlaneFolder.of(closed.shop.settings).predictions.rglob("*.jsonl")
    lines = [json.loads(line) for file in rows for line in file.read_text().splitlines()]
    return {line["prediction_id"]: line["caller"] for line in lines}


@pytest.fixture(autouse=True)
def nobody_left(closed: ClosedEdge) -> Iterator[None]:
    """Each test has callers of its own."""
    yield
    for file in closed.folder.glob("*"):
        file.unlink()


def test_a_token_names_its_caller_in_the_prediction_log(closed: ClosedEdge) -> None:
    """With a token the answer comes, and the log says whose it was, whatever name the request claims for itself."""
    with closed.known("anna") as anna:
        answer = anna.post(INFER, json=QUESTION, headers={"x-mcml-caller": "bob"})
    assert answer.status_code == 200
    assert logged_callers(closed)[answer.headers["x-mcml-prediction-id"]] == "anna"


def test_a_certificate_names_its_caller_in_the_prediction_log(closed: ClosedEdge) -> None:
    """With a certificate of the authority the answer comes, and the log has the URI in it; no token is needed."""
    shown = closed.add_certificate(BATCH)
    with closed.client(shown=shown) as batch:
        until(lambda: batch.get("/routes").status_code == 200, "the caller is known")
        answer = batch.post(INFER, json=QUESTION)
    assert answer.status_code == 200
    assert logged_callers(closed)[answer.headers["x-mcml-prediction-id"]] == BATCH


def test_a_certificate_of_nobody_known_opens_nothing(closed: ClosedEdge) -> None:
    """A certificate of another authority ends the handshake; one of ours that names no caller is refused as forbidden."""
    stranger = Authority(closed.folder.parent, "stranger").issue("stranger-batch", uri=BATCH)
    closed.add_certificate(BATCH)
    with closed.client(shown=stranger) as client, pytest.raises(httpx.HTTPError):
        client.post(INFER, json=QUESTION)
    with closed.client(shown=closed.authority.issue("other", uri="spiffe://mcml/other")) as other:
        assert other.post(INFER, json=QUESTION).status_code == 403


def test_nobody_asks_without_saying_who_they_are(closed: ClosedEdge) -> None:
    """No token, another scheme, or a claimed name: each is a 401 problem that says what is wanted, and nothing of the rest."""
    with closed.client() as client:
        for headers in ({}, {"authorization": "Basic YTpi"}, {"x-mcml-caller": "anna"}):
            answer = client.post(INFER, json=QUESTION, headers=headers)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["type"] == "urn:mcml:unknown-caller"
        assert client.get("/routes").status_code == 401


def test_whoever_checks_health_needs_no_name(closed: ClosedEdge) -> None:
    """A load balancer learns that the edge is there, and whether a workload that it names is ready; nothing else."""
    with closed.client() as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.get("/UK/v2/models/shop/ready").json() == {"name": "shop", "ready": True}
        assert client.get("/UK/v2/models/shop/synthetic").status_code == 401


def test_a_token_that_is_none_of_ours_opens_nothing(closed: ClosedEdge) -> None:
    """Forged, unsigned, of another audience, expired, or of another caller's key: 401, and the reason without the token."""
    token = closed.add("anna")
    key_id = jwt.get_unverified_header(token)["kid"]
    claims = {"sub": "anna", "aud": "mcml", "exp": datetime.now(UTC) + timedelta(hours=1)}
    forged = Ed25519PrivateKey.generate()
    expired, public_key = new_token("expired", datetime.now(UTC) - timedelta(seconds=10))
    closed.add("expired", public_key=public_key)
    tokens = {
        "forged": jwt.encode(claims, forged, algorithm="EdDSA", headers={"kid": key_id}),
        "without a key": jwt.encode(claims, forged, algorithm="EdDSA"),
        "unsigned": jwt.encode(claims, "", algorithm="none"),
        "signed with the public key as a secret": jwt.encode(claims, "x" * 43, algorithm="HS256", headers={"kid": key_id}),
        "expired": expired,
        "changed": token[:-8] + "AAAAAAAA",
        "of nobody": new_token("nobody", datetime.now(UTC) + timedelta(hours=1))[0],
        "no token": "abc",
    }
    with closed.client(token) as anna:
        until(lambda: anna.post(INFER, json=QUESTION).status_code == 200, "anna is known")
        for kind, wrong in tokens.items():
            answer = anna.post(INFER, json=QUESTION, headers={"authorization": f"Bearer {wrong}"})
            assert (answer.status_code, answer.json()["type"]) == (401, "urn:mcml:unknown-caller"), kind
            assert wrong not in answer.text
            assert ("Jwt_is_expired" in answer.text) == (kind == "expired")


def test_a_caller_asks_for_what_it_may_and_nothing_else(closed: ClosedEdge) -> None:
    """Another workload, another jurisdiction, or a test's path is a 403 problem, whether it exists or not."""
    with closed.known("anna") as anna, closed.known("elsewhere", jurisdictions=("EU",)) as elsewhere:
        assert anna.post(INFER, json=QUESTION).status_code == 200
        refused = [
            anna.post("/US/v2/models/loans/infer", json=QUESTION),
            anna.post("/UK/v2/models/nothing/infer", json=QUESTION),
            anna.post("/EU/v2/models/shop/infer", json=QUESTION),
            anna.get("/UK/v2/models/shop/synthetic"),
            elsewhere.post(INFER, json=QUESTION),
            elsewhere.post("/UK//v2/models/shop/infer", json=QUESTION),
        ]
        for answer in refused:
            assert (answer.status_code, answer.json()["type"]) == (403, "urn:mcml:caller-not-allowed")
        assert anna.post("/UK/v2/models%2Fshop/infer", json=QUESTION).status_code == 400


def test_a_revoked_caller_asks_no_more(closed: ClosedEdge) -> None:
    """Revoking takes effect without a restart, on connections that are open already; others go on."""
    with closed.known("anna") as anna, closed.known("bob") as bob:
        assert anna.post(INFER, json=QUESTION).status_code == 200
        revoke_caller(closed.folder, "anna")
        until(lambda: anna.post(INFER, json=QUESTION).status_code == 401, "anna is nobody any more")
        assert bob.post(INFER, json=QUESTION).status_code == 200


def test_a_broken_file_stops_its_own_caller_alone(closed: ClosedEdge) -> None:
    """A caller whose file is damaged may ask nothing, the log says file, line and key, and the others go on."""
    with closed.known("anna") as anna, closed.known("bob") as bob:
        file = closed.folder / "anna.yaml"
        file.write_text(file.read_text().replace("requests_per_second: 1000", "requests_per_second: many"))
        until(lambda: anna.post(INFER, json=QUESTION).status_code == 401, "anna may ask nothing")
        assert bob.post(INFER, json=QUESTION).status_code == 200
    log = DataPlaneFolder.of(closed.shop.settings).own_log("data_plane").read_text()
    assert f"{file}:{len(file.read_text().splitlines())}: requests_per_second: must be a valid integer" in log


def test_a_caller_past_its_rate_is_told_when_to_ask_again(closed: ClosedEdge) -> None:
    """Past its rate a caller gets a 429 problem with Retry-After, and takes nothing from another one."""
    with closed.known("hasty", requests_per_second=2) as hasty, closed.known("anna") as anna:
        answers = [hasty.get("/routes") for _ in range(20)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert refused
        assert (refused[0].headers["retry-after"], refused[0].json()["type"]) == ("1", "urn:mcml:too-many-requests")
        assert {anna.get("/routes").status_code for _ in range(20)} == {200}


def test_the_edges_certificate_is_replaced_without_a_restart(closed: ClosedEdge) -> None:
    """A new certificate is shown to new callers, and a connection that is open goes on."""

    def serial() -> object:
        with closed.client() as client, client.stream("GET", "/healthz") as answer:
            return answer.extensions["network_stream"].get_extra_info("ssl_object").getpeercert()["serialNumber"]

    with closed.known("anna") as anna:
        before = serial()
        closed.authority.issue("edge")
        until(lambda: serial() != before, "the new certificate is shown")
        assert anna.post(INFER, json=QUESTION).status_code == 200


def test_plain_http_gets_no_answer(closed: ClosedEdge) -> None:
    """Where the edge speaks TLS it speaks nothing else."""
    url = edge_url(closed.shop.settings).replace("https", "http")
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"{url}/healthz", trust_env=False)


def test_the_command_asks_with_what_the_environment_holds(closed: ClosedEdge, monkeypatch: pytest.MonkeyPatch) -> None:
    """`mcml predict` shows the token in MCML_TOKEN, or the settings' certificate; with neither it says what is missing."""
    settings, workload = closed.shop.settings, closed.shop.workload
    with pytest.raises(ConfigurationError, match=r"does not know us.*MCML_TOKEN"):
        predict(settings, workload, CUSTOMER, "UK")
    token = closed.add("anna")
    shown = closed.add_certificate(BATCH)
    with closed.client(token) as anna, closed.client(shown=shown) as batch:
        until(lambda: {anna.get("/routes").status_code, batch.get("/routes").status_code} == {200}, "both are known")
    certified = settings.model_copy(update={"client_certificate": shown.certificate, "client_key": shown.key})
    by_certificate = predict(certified, workload, CUSTOMER, "UK")
    monkeypatch.setitem(os.environ, "MCML_TOKEN", token)
    by_token = predict(settings, workload, CUSTOMER, "UK")
    callers = logged_callers(closed)
    assert [callers[answer.prediction_id] for answer in (by_certificate, by_token)] == [BATCH, "anna"]


def test_no_token_reaches_a_log_or_the_model_server(closed: ClosedEdge) -> None:
    """After all of the above no log and no file of the data plane holds a token or a private key."""
    with closed.known("anna") as anna:
        token = anna.headers["authorization"].removeprefix("Bearer ")
        anna.post("/US/v2/models/loans/infer", json=QUESTION)
        anna.post(INFER, json=QUESTION)
    private = closed.shop.settings.edge_tls_key
    assert private is not None
    secrets = (token, token.rpartition(".")[2], private.read_text().splitlines()[1])
    files = [file for file in DataPlaneFolder.of(closed.shop.settings).path.rglob("*") if file.is_file()]
    assert any(file.name == "credentials.json" for file in files)
    for file in files:
        content = file.read_text(errors="replace")
        assert not any(secret in content for secret in secrets), file
    log = DataPlaneFolder.of(closed.shop.settings).own_log("envoy")
    until(lambda: '"caller":"anna"' in log.read_text(), "the refusal is on record, with the caller's name")
