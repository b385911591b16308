"""The guard of a model server: ASGI middleware around KServe's application. Imports starlette: import it late.

What the edge said about a request goes around KServe, which would pass headers on to nobody: as `ASKED`.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from mcml_assets.serving.problem import OUTAGE, PROBLEM_MEDIA_TYPE, Problem

READY = "/ready"
MAX_BODY_BYTES = 1024 * 1024
# Headers that KServe may see: those of CloudEvents and of binary tensors would switch to protocols we do not speak.
PASSED_HEADERS = frozenset({b"host", b"content-type", b"content-length", b"transfer-encoding", b"accept"})

CALLER_HEADER = b"x-mcml-caller"
EPOCH_HEADER = b"x-mcml-route-epoch"
COPY_HEADER = b"x-mcml-copy"
PREDICTION_ID_HEADER = b"x-mcml-prediction-id"
NOBODY = "unknown"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = logging.getLogger("mcml_assets.serving.server")


@dataclass(slots=True)
class Asked:
    """One request beside its body: who asks, under which route (None when the endpoint is asked directly), whether it is a
    copy of a live request, whose answer nobody gets, and the id that its prediction got.
    """

    caller: str
    route_epoch: int | None
    copy: bool = False
    prediction_id: str | None = None


ASKED: ContextVar[Asked] = ContextVar("asked")


def problem_response(problem: Problem) -> Response:
    """The HTTP answer that carries a problem."""
    return Response(problem.to_json(), problem.status, media_type=PROBLEM_MEDIA_TYPE)


class Guard:
    """Bounds the body, drops headers that switch protocols, adds who answers, and contains failures.

    `dark` says whether the location is to be taken for dark now: then every request is refused, the probes of the edge
    among them, so that the edge turns to another location with this very request. `fit` says whether the server gives its
    golden predictions: one that does not is not ready, and the edge and its controller treat it as dead.
    """

    def __init__(
        self,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
        answered_by: dict[str, str],
        dark: Callable[[], bool],
        fit: Callable[[], bool],
    ) -> None:
        self.app = app
        self.headers = [(name.encode(), value.encode()) for name, value in answered_by.items()]
        self.dark = dark
        self.fit = fit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, head = False, None
        asked = _asked(dict(scope["headers"]))
        ASKED.set(asked)

        async def send_named(message: MutableMapping[str, Any]) -> None:
            nonlocal started, head
            if message["type"] == "http.response.start":
                # Kept until the body is there, so that both leave in one write: see `one_write.py`.
                head = {**message, "headers": [*message.get("headers", ()), *self.headers, *_named(asked)]}
                return
            if head is not None:
                started = True
                await send(head)
                head = None
            await send(message)

        if self.dark():
            problem = Problem(503, OUTAGE, "this location is dark: an outage was planned")
            await problem_response(problem)(scope, receive, send_named)
            return
        if scope["path"].endswith(READY) and not self.fit():
            problem = Problem(503, detail="this server does not give its golden predictions")
            await problem_response(problem)(scope, receive, send_named)
            return
        headers = [(name, value) for name, value in scope["headers"] if name in PASSED_HEADERS]
        length = dict(headers).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > MAX_BODY_BYTES:
            problem = Problem(413, detail=f"a request may have {MAX_BODY_BYTES} bytes")
            await problem_response(problem)(scope, receive, send_named)
            return
        try:
            await self.app({**scope, "headers": headers}, receive, send_named)
        except Exception as error:  # noqa: BLE001 - whatever it is: the server lives on, and no value reaches the log
            trace = error.__traceback__
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else "nowhere"
            log.error("%s at %s", type(error).__name__, where)
            if not started:
                await problem_response(Problem(500, detail="the server failed on this request"))(scope, receive, send_named)


def _asked(headers: Mapping[bytes, bytes]) -> Asked:
    """What the edge said, which lets no caller say it."""
    epoch = headers.get(EPOCH_HEADER, b"")
    caller = headers.get(CALLER_HEADER, b"").decode("latin-1")
    return Asked(caller or NOBODY, int(epoch) if epoch.isdigit() else None, COPY_HEADER in headers)


def _named(asked: Asked) -> list[tuple[bytes, bytes]]:
    return [(PREDICTION_ID_HEADER, asked.prediction_id.encode())] if asked.prediction_id is not None else []
