"""Everything that can be wrong with a request or with what should answer it, and how to make it so: the catalogue of answers.

Each is asked of a real edge; what came back is on the page `deploy/docs/answers.md`.
"""

import json
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from mcml_assets.domain.route import Route, RouteLocation
from mcml_assets.features.repositories import repositories_folder
from mcml_assets.serving.edge.callers import new_token, revoke_caller
from mcml_assets.serving.interfaces import EndpointState
from mcml_assets.serving.local_platform import LocalEndpointPlatform
from mcml_assets.serving.manifest import inference_service
from mcml_assets.serving.routes import publish_route
from mcml_assets_tests.serving.closed_edge import INFER, QUESTION, ClosedEdge
from mcml_assets_tests.serving.served_shop import CUSTOMER, PRIMARY, SPARSE_CUSTOMER, TIME
from mcml_assets_tests.serving.waiting import until

PLACEHOLDER = f"[{CUSTOMER}]"
JSON = {"content-type": "application/json"}
SLOW_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status (0: the connection was closed without one), the problem, and the headers that matter."""

    what: str
    status: int
    type: str = ""
    detail: str = ""
    headers: str = ""


Case = tuple[str, Callable[[], httpx.Response | bytes]]


def ask_all(closed: ClosedEdge) -> list[Answer]:
    """Every case's answer, in the order of the page. Slow ones wait side by side."""
    with prepared(closed) as asked, ThreadPoolExecutor(4) as pool:
        slow = [(what, pool.submit(ask)) for what, ask in slow_cases(closed, asked.anybody)]
        answers = [_answer(what, ask()) for what, ask in (*business_cases(asked), *edge_cases(closed, asked))]
        return [*answers, *(_answer(what, future.result()) for what, future in slow)]


@dataclass(frozen=True, slots=True)
class Asked:
    """Clients of callers: one that may ask everything, one that may ask the shop in the UK, one with a small rate."""

    anybody: httpx.Client
    limited: httpx.Client
    hasty: httpx.Client
    expired: str
    revoked: str


@contextmanager
def prepared(closed: ClosedEdge) -> Iterator[Asked]:
    """The callers, and a route whose only server refuses to start because its package is not the one it should be."""
    damaged = replace(closed.shop.workload, name="damaged")
    platform = LocalEndpointPlatform(closed.shop.settings)
    expired, public_key = new_token("expired", datetime.now(UTC) - timedelta(seconds=10))
    everything = {"workloads": ("*",), "jurisdictions": ("*",)}
    with (
        closed.known("anybody", **everything) as anybody,
        closed.known("limited") as limited,
        closed.known("hasty", requests_per_second=1) as hasty,
    ):
        closed.add("expired", public_key=public_key)
        revoked = closed.add("revoked")
        with closed.client(revoked) as client:
            until(lambda: client.get("/routes").status_code == 200, "the edge knows whom it will forget")
            revoke_caller(closed.folder, "revoked")
            until(lambda: client.get("/routes").status_code == 401, "the edge has forgotten")
        platform.apply(
            inference_service(
                damaged, damaged.placed(PRIMARY), package_uri=closed.shop.packages[1].as_uri(),
                features_uri=repositories_folder(closed.shop.settings, PRIMARY, "shop").as_uri(),
                model_version=1, digest="0" * 64,
            )
        )  # fmt: skip
        publish_route(Route("damaged", "UK", 1, 1, (RouteLocation(PRIMARY, 100, 0),), TIME), closed.shop.settings)
        name = f"damaged@{PRIMARY}"
        until(lambda: platform.status(name).state is EndpointState.FAILED, "the server refuses its package")
        until(lambda: anybody.get("/UK/v2/models/damaged/ready").status_code == 503, "the edge knows the route")
        yield Asked(anybody, limited, hasty, expired, revoked)


def business_cases(asked: Asked) -> Sequence[Case]:
    """What a known caller may get wrong in the body, and what may be wrong behind the edge."""

    def body(content: str | bytes, **headers: str) -> Callable[[], httpx.Response]:
        return lambda: asked.anybody.post(INFER, content=content, headers={**JSON, **headers})

    def ids(data: str, shape: str = "[1]") -> Callable[[], httpx.Response]:
        # Written by hand: a JSON library would not write NaN.
        text = json.dumps(QUESTION).replace('"shape": [1]', f'"shape": {shape}')
        return body(text.replace(PLACEHOLDER, data))

    def question(**changes: Any) -> Callable[[], httpx.Response]:
        return body(json.dumps({"inputs": [{**QUESTION["inputs"][0], **changes}]}))

    two = json.dumps({"inputs": QUESTION["inputs"] * 2})
    other_output = json.dumps({**QUESTION, "outputs": [{"name": "label"}]})
    return [
        ("an entity that is known", ids(PLACEHOLDER)),
        ("an entity with a feature that is missing: to the model, a missing value", ids(f"[{SPARSE_CUSTOMER}]")),
        ("an entity that is not known", ids("[777]")),
        ("two entities of which one is not known", ids(f"[{CUSTOMER}, 777]", "[2]")),
        ("an id as text", ids(f'["{CUSTOMER}"]')),
        ("an id that is no whole number", ids("[1.5]")),
        ("an id that is NaN", ids("[NaN]")),
        ("an id past 64 bits", ids("[9223372036854775808]")),
        ("true or null as an id", ids("[true]")),
        ("no id at all", ids("[]", "[0]")),
        ("1,001 ids", ids(f"[{', '.join(['1'] * 1001)}]", "[1001]")),
        ("a shape that is not that of the ids", ids(PLACEHOLDER, "[2]")),
        ("a tensor with another name", question(name="customer")),
        ("a tensor of another type", question(datatype="FP64")),
        ("two tensors", body(two)),
        ("an output that there is not", body(other_output)),
        ("JSON that is malformed", body('{"inputs": [')),
        ("JSON of another form", body("[1, 2]")),
        ("JSON nested 100,000 deep", body("[" * 100_000)),
        ("no body", body(b"")),
        ("a body that is no text", body(b"\xff\xfe\x00")),
        ("binary tensors", body(json.dumps(QUESTION), **{"inference-header-content-length": "10"})),
        ("a body of 1.1 MB", body(b" " * 1_100_000)),
        ("a body of 1.1 MB whose size is not told", lambda: asked.anybody.post(INFER, content=iter([b" " * 110_000] * 10))),
        ("a workload that there is not", lambda: asked.anybody.post("/UK/v2/models/shoes/infer", json=QUESTION)),
        ("a workload in a jurisdiction where it is not served",
         lambda: asked.anybody.post("/EU/v2/models/shop/infer", json=QUESTION)),
        ("data said to be of another jurisdiction than the path's",
         lambda: asked.anybody.post(INFER, json=QUESTION, headers={"x-mcml-jurisdiction": "EU"})),
        ("a route with no location that answers", lambda: asked.anybody.post("/US/v2/models/loans/infer", json=QUESTION)),
        ("a route whose only server refused a package with a wrong digest",
         lambda: asked.anybody.post("/UK/v2/models/damaged/infer", json=QUESTION)),
    ]  # fmt: skip


def edge_cases(closed: ClosedEdge, asked: Asked) -> Sequence[Case]:
    """Who asks, how often, and what is no HTTP as we speak it."""
    nobody = closed.client()
    token = asked.anybody.headers["authorization"]

    def shown(value: str) -> Callable[[], httpx.Response]:
        return lambda: nobody.post(INFER, json=QUESTION, headers={"authorization": value})

    def too_often() -> httpx.Response:
        answers = [asked.hasty.get("/routes") for _ in range(10)]
        return next(answer for answer in answers if answer.status_code != 200)

    return [
        ("no token", lambda: nobody.post(INFER, json=QUESTION)),
        ("a token that is none", shown("Bearer abc")),
        ("a token that expired", shown(f"Bearer {asked.expired}")),
        ("a token that was changed", shown(f"{token[:-8]}AAAAAAAA")),
        ("a token of a caller that was revoked", shown(f"Bearer {asked.revoked}")),
        ("a workload that this caller may not ask, whether there is one or not",
         lambda: asked.limited.post("/US/v2/models/loans/infer", json=QUESTION)),
        ("more requests than this caller may make", too_often),
        ("another method", lambda: asked.anybody.delete(INFER)),
        ("another path", lambda: asked.anybody.get("/metrics")),
        ("a path with an escaped slash", lambda: asked.anybody.post("/UK/v2/models%2Fshop/infer", json=QUESTION)),
        ("65 headers", lambda: asked.anybody.get("/routes", headers={f"x-{number}": "1" for number in range(65)})),
        ("headers of 20 kB", lambda: asked.anybody.get("/routes", headers={"x-long": "1" * 20_000})),
        ("a request that is no HTTP", lambda: raw(closed, b"hello\r\n\r\n", 5)),
        ("HTTP/1.0", lambda: raw(closed, b"GET /healthz HTTP/1.0\r\n\r\n", 5)),
        ("is the edge there", lambda: nobody.get("/healthz")),
        ("is a location of the shop ready", lambda: nobody.get("/UK/v2/models/shop/ready")),
        ("the routes, without a token", lambda: nobody.get("/routes")),
    ]  # fmt: skip


def slow_cases(closed: ClosedEdge, anybody: httpx.Client) -> Sequence[Case]:
    """A caller that never comes to an end, in its headers and in its body."""
    token = anybody.headers["authorization"].encode()
    head = b"POST /UK/v2/models/shop/infer HTTP/1.1\r\nhost: edge\r\n"
    body = head + b"authorization: " + token + b"\r\ncontent-length: 1000\r\n\r\n{"
    return [
        ("headers that never end (slow loris): after 5 s", lambda: raw(closed, head, SLOW_SECONDS)),
        ("a body that never ends: after 10 s", lambda: raw(closed, body, SLOW_SECONDS)),
    ]


def raw(closed: ClosedEdge, request: bytes, patience: float) -> bytes:
    """Bytes over TLS, and all that comes back until the edge closes the connection or `patience` seconds are over."""
    settings = closed.shop.settings
    context = ssl.create_default_context(cafile=closed.authority.file)
    received = b""
    with (
        socket.create_connection(("127.0.0.1", settings.edge_port), timeout=patience) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        connection.sendall(request)
        while part := connection.recv(65536):
            received += part
    return received


def _answer(what: str, response: httpx.Response | bytes) -> Answer:
    if isinstance(response, bytes):
        if not response:
            return Answer(what, 0)
        head, _, body = response.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines)
        response = httpx.Response(int(first.split()[1]), headers=fields, content=body)
    told = response.headers
    headers = "; ".join(f"{name}: {told[name]}" for name in ("Retry-After", "Allow") if name in told)
    if response.status_code == httpx.codes.OK:
        return Answer(what, response.status_code)
    assert told["content-type"] == "application/problem+json", (what, response.status_code, response.text)
    problem = response.json()
    assert problem["status"] == response.status_code, what
    assert problem["title"], what
    return Answer(what, response.status_code, problem["type"], problem["detail"], headers)
