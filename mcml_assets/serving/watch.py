"""What is noted of each request at a model server: counts, a span, a line in the log. ASGI middleware, outermost.

How much is logged follows the trace: a prediction whose trace is kept has a line, and so has each that failed. That every
prediction is on record is the prediction log's business.
"""

import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

from mcml_assets.serving.golden import SYNTHETIC
from mcml_assets.serving.guard import ASKED, Asked
from mcml_assets.serving.json_log import FACTS, TRACE_ID
from mcml_assets.serving.server_metrics import INFER, ServerMetrics, verb_of
from mcml_assets.serving.tracing import Tracing, trace_of

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

TRACED = (INFER, SYNTHETIC)
VERB = "mcml.verb"  # by which synthetic transactions are told from predictions in a trace

log = logging.getLogger("mcml_assets.serving.server")


class Watch:
    """Notes every request; the guard within it answers them all, so nothing is raised here."""

    def __init__(
        self, app: Callable[[Scope, Receive, Send], Awaitable[None]], metrics: ServerMetrics, tracing: Tracing
    ) -> None:
        self.app, self.metrics, self.tracing = app, metrics, tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        verb = verb_of(scope["path"])
        began, status = time.perf_counter(), 0

        async def send_seen(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        if verb not in TRACED:
            await self.app(scope, receive, send_seen)
            self.metrics.answered(verb, status, time.perf_counter() - began)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        trace_id, kept = trace_of(headers)
        TRACE_ID.set(trace_id)
        with self.tracing.request(f"endpoint {verb}", headers) as note:
            await self.app(scope, receive, send_seen)
            seconds = time.perf_counter() - began
            asked = ASKED.get()
            note({VERB: verb, "http.response.status_code": status, **_said(asked)})
        self.metrics.answered(verb, status, seconds)
        if asked.route_epoch is not None:
            self.metrics.route_epoch.set(asked.route_epoch)
        if verb == INFER and (kept or status >= HTTPStatus.INTERNAL_SERVER_ERROR):
            facts = {"status": status, "milliseconds": round(seconds * 1000, 3), "caller": asked.caller, **_said(asked)}
            log.info("answered", extra={FACTS: facts})


def _said(asked: Asked) -> dict[str, str | int]:
    said: dict[str, str | int] = {}
    if asked.prediction_id is not None:
        said["prediction_id"] = asked.prediction_id
    if asked.route_epoch is not None:
        said["route_epoch"] = asked.route_epoch
    return said
