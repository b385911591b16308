"""Asking the edge for a prediction, as any caller would, with the platform's errors for what can go wrong."""

import json
import os
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import (
    ConfigurationError,
    LocationUnavailable,
    McmlError,
    TransientError,
    UnknownEntity,
)
from mcml_assets.domain.workload import Workload
from mcml_assets.serving.data_plane import edge_url
from mcml_assets.serving.problem import (
    NOT_ALLOWED,
    NOT_ROUTED,
    TOO_MANY_REQUESTS,
    UNKNOWN_CALLER,
    UNKNOWN_ENTITY,
    WRONG_JURISDICTION,
)

if TYPE_CHECKING:
    import httpx

MARGIN_SECONDS = 1.0  # the edge answers within the workload's timeout; the rest is the way to it


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answer: the score (probability of class 1), who gave it, and from what.

    `training_snapshot` and `feature_snapshot` are snapshot ids; `milliseconds` is the whole way there and back;
    `prediction_id` names the answer in the prediction log.
    """

    score: float
    model_version: int
    location: str
    jurisdiction: str
    training_snapshot: str
    feature_snapshot: str
    route_epoch: int
    milliseconds: float
    prediction_id: str


def predict(settings: Settings, workload: Workload, entity_id: int | str, jurisdiction: str) -> Prediction:
    """Ask the edge about one entity.

    Raises `UnknownEntity` when no features of it are known there, `ConfigurationError` when the workload is not routed
    in the jurisdiction or the id has another type, `LocationUnavailable` when no location of the route answers, and
    `TransientError` when the edge itself does not.
    """
    import httpx  # noqa: PLC0415 - only when a prediction is asked for

    url = f"{workload_url(settings, workload, jurisdiction)}/infer"
    try:
        with edge_client(settings, workload.serving.timeout_seconds + MARGIN_SECONDS) as client:
            started = time.perf_counter()
            response = client.post(url, json=_question(workload, entity_id))
            milliseconds = (time.perf_counter() - started) * 1000
    except httpx.HTTPError as error:
        raise _no_edge(settings, error) from error
    if response.status_code != httpx.codes.OK:
        raise _refusal(response.status_code, response.content, f"{workload.name} in {jurisdiction}")
    answer = response.json()
    said = answer["parameters"]
    return Prediction(
        score=answer["outputs"][0]["data"][0],
        model_version=said["model_version"],
        location=said["location"],
        jurisdiction=said["jurisdiction"],
        training_snapshot=said["training_snapshot"],
        feature_snapshot=said["feature_snapshot"],
        route_epoch=int(response.headers["x-mcml-route-epoch"]),
        milliseconds=milliseconds,
        prediction_id=said["prediction_id"],
    )


def answering_location(settings: Settings, workload: Workload, jurisdiction: str) -> str:
    """The location that answers a readiness request through the edge.

    Raises `LocationUnavailable` when none is ready or the jurisdiction has no route, and `TransientError` when the edge
    does not answer.
    """
    import httpx  # noqa: PLC0415 - only when the edge is asked

    try:
        with edge_client(settings, workload.serving.timeout_seconds + MARGIN_SECONDS) as client:
            response = client.get(f"{workload_url(settings, workload, jurisdiction)}/ready")
    except httpx.HTTPError as error:
        raise _no_edge(settings, error) from error
    if response.status_code != httpx.codes.OK:
        raise LocationUnavailable(
            f"{workload.name} in {jurisdiction}", f"the edge answers with HTTP status {response.status_code}"
        )
    return response.headers["x-mcml-location"]


def edge_client(settings: Settings, timeout_seconds: float) -> "httpx.Client":
    """A client that shows the edge the token or certificate of the settings, and trusts the edge's own authority.

    Raises `ConfigurationError` naming the setting when a certificate cannot be read.
    """
    import httpx  # noqa: PLC0415 - only when the edge is asked

    token = os.environ.get(settings.edge_token)
    headers = {"authorization": f"Bearer {token}"} if token else {}
    # No proxy: the edge is asked where the settings say that it is.
    return httpx.Client(timeout=timeout_seconds, trust_env=False, verify=_trusted(settings), headers=headers)


def _trusted(settings: Settings) -> ssl.SSLContext:
    if settings.edge_tls_certificate is None:
        # Plain HTTP on loopback: none of the system's certificates, whose loading takes 20 ms.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context = ssl.create_default_context(cafile=settings.edge_authority)
    except OSError as error:
        raise ConfigurationError(f"MCML_EDGE_AUTHORITY names {settings.edge_authority}, no certificate: {error}") from None
    if settings.client_certificate is not None:
        try:
            context.load_cert_chain(settings.client_certificate, settings.client_key)
        except OSError as error:
            where = f"{settings.client_certificate} and {settings.client_key}"
            raise ConfigurationError(
                f"MCML_CLIENT_CERTIFICATE and MCML_CLIENT_KEY name {where}, no certificate and its key: {error}"
            ) from None
    return context


def workload_url(settings: Settings, workload: Workload, jurisdiction: str) -> str:
    """Where callers find a workload of a jurisdiction; `/infer` and `/ready` follow."""
    return f"{edge_url(settings)}/{workload.placement(jurisdiction).jurisdiction}/v2/models/{workload.name}"


def problem_detail(body: bytes) -> str | None:
    """The sentence of a problem; None when the body is no problem."""
    try:
        problem = json.loads(body)
    except ValueError:
        return None
    detail = problem.get("detail") if isinstance(problem, dict) else None
    return detail if isinstance(detail, str) else None


def _no_edge(settings: Settings, error: Exception) -> TransientError:
    return TransientError(
        f"the edge at {edge_url(settings)} does not answer ({type(error).__name__}): start it with `mcml dev`"
    )


def _question(workload: Workload, entity_id: int | str) -> dict[str, Any]:
    entity = workload.features.entity
    datatype = "BYTES" if entity.type == "string" else "INT64"
    return {"inputs": [{"name": entity.key, "datatype": datatype, "shape": [1], "data": [entity_id]}]}


def _refusal(status: int, body: bytes, what: str) -> McmlError:
    """The error behind a problem; an answer that is none counts by its status alone."""
    try:
        problem = json.loads(body)
    except ValueError:
        problem = {}
    kind, detail = problem.get("type"), problem.get("detail") or f"HTTP status {status}"
    if kind == UNKNOWN_ENTITY:
        return UnknownEntity(f"{what}: {detail}")
    if kind in (NOT_ROUTED, WRONG_JURISDICTION):
        return ConfigurationError(f"{what} has no route yet: {detail}")
    if kind == UNKNOWN_CALLER:
        return ConfigurationError(f"{what}: the edge does not know us: {detail}; MCML_TOKEN may hold another caller's token")
    if kind == NOT_ALLOWED:
        return ConfigurationError(f"{what}: {detail}; `mcml caller list` says what each caller may ask")
    if kind == TOO_MANY_REQUESTS:
        return TransientError(f"{what}: {detail}; ask again in a second")
    if status >= 500:
        return LocationUnavailable(what, detail)
    return ConfigurationError(f"{what}: {detail}")
