"""The edge's interface as an OpenAPI 3.1 document, made from what the workloads declare. Pure; it needs no edge to run.

KServe's own description is of one server: it knows no jurisdiction, and takes any tensor for any model.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mcml_assets.domain.workload import Workload
from mcml_assets.serving.edge.replies import MAX_REQUEST_BYTES
from mcml_assets.serving.golden import SYNTHETIC
from mcml_assets.serving.interface import DATATYPES, INT64_LIMIT, MAX_ENTITIES, OUTPUT
from mcml_assets.serving.problem import PROBLEM_MEDIA_TYPE

Json = dict[str, Any]

PROBLEMS = {
    400: "The request is not as this description wants it.",
    401: "The edge asks who calls, and was not told.",
    403: "This caller may not ask this, or the data is said to be of another jurisdiction than the path's.",
    404: "The location has no features of an entity that is named.",
    405: "The path is asked with another method.",
    408: "The request did not arrive in time.",
    413: f"The body has more than {MAX_REQUEST_BYTES} bytes.",
    429: "This caller asks more often than it may.",
    431: "The headers are too large.",
    451: "The workload is not served in this jurisdiction.",
    500: "The model server failed on this request.",
    503: "No location of the workload's route answered.",
    504: "No location of the workload's route answered in time.",
}
RETRY_AFTER = (429, 503, 504)
ANONYMOUS = (400, 405, 408, 429, 431)


def openapi(workloads: Iterable[Workload], server: str, *, closed: bool) -> Json:
    """The document; `server` is the edge's URL without a path, `closed` whether it asks who calls."""
    paths: Json = {
        "/healthz": {"get": _operation("health", "Whether the edge is there.", _status_schema(), ANONYMOUS, closed=False)},
        "/routes": {"get": _operation("routes", "Every workload's route.", _routes_schema(), (*ANONYMOUS, 401), closed=closed)},
    }
    for workload in workloads:
        for jurisdiction in workload.jurisdictions:
            paths |= _workload_paths(workload, jurisdiction, closed=closed)
    components: Json = {"schemas": {"Problem": _problem_schema()}}
    if closed:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Predictions",
            "version": "2",
            "description": "Open Inference Protocol v2, by jurisdiction. A request names entities; features are held there.",
        },
        "servers": [{"url": server}],
        "paths": paths,
        "components": components,
    }


def _workload_paths(workload: Workload, jurisdiction: str, *, closed: bool) -> Json:
    base = f"/{jurisdiction}/v2/models/{workload.name}"
    name = f"{workload.name}_{jurisdiction}"
    ready = {"type": "object", "required": ["name", "ready"], "properties": {"name": {"const": workload.name}}}
    asked = _operation(f"{name}_infer", f"Predictions of {workload.name}.", _response_schema(workload), PROBLEMS, closed=closed)
    golden = _operation(
        f"{name}_{SYNTHETIC}", "Golden predictions, for tests.", _golden_schema(), set(PROBLEMS) - {413}, closed=closed
    )
    return {
        f"{base}/infer": {
            "post": {
                **asked,
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": _request_schema(workload)}},
                },
            }
        },
        f"{base}/ready": {
            "get": _operation(f"{name}_ready", "Whether a location answers.", ready, (*ANONYMOUS, 403, 503, 504), closed=False)
        },
        f"{base}/{SYNTHETIC}": {"get": golden},
    }


def _operation(name: str, summary: str, schema: Json, problems: Iterable[int], *, closed: bool) -> Json:
    answers: Json = {"200": {"description": summary, "content": {"application/json": {"schema": schema}}}}
    for status in sorted(set(problems) if closed else set(problems) - {401}):
        answers[str(status)] = {
            "description": PROBLEMS[status],
            "content": {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        if status in RETRY_AFTER:
            answers[str(status)]["headers"] = {"Retry-After": {"schema": {"type": "string", "pattern": "^[0-9]+$"}}}
    return {
        "operationId": name,
        "summary": summary,
        "responses": answers,
        **({"security": [{"token": []}]} if closed else {}),
    }


def _request_schema(workload: Workload) -> Json:
    entity = workload.features.entity
    datatype = DATATYPES[entity.type]
    one: Json = {"type": "string", "minLength": 1}
    if datatype == "INT64":
        one = {"type": "integer", "minimum": -INT64_LIMIT, "maximum": INT64_LIMIT - 1}
    tensor = _object(
        {
            "name": {"const": entity.key},
            "datatype": {"const": datatype},
            "shape": {
                "description": "[n] or [n, 1], with n ids.",
                "type": "array", "items": {"type": "integer", "minimum": 1, "maximum": MAX_ENTITIES},
                "minItems": 1, "maxItems": 2,
            },
            "data": {"type": "array", "items": one, "minItems": 1, "maxItems": MAX_ENTITIES},
        },
        ("name", "datatype", "shape", "data"),
        closed=False,
    )  # fmt: skip
    wanted = _object({"name": {"const": OUTPUT}}, ("name",), closed=False)
    return _object(
        {
            "id": {"type": ["string", "null"]},
            "inputs": {"type": "array", "items": tensor, "minItems": 1, "maxItems": 1},
            "outputs": {"type": ["array", "null"], "items": wanted},
        },
        ("inputs",),
        closed=False,  # what the protocol's other servers know is ignored here
    )


def _response_schema(workload: Workload) -> Json:
    score = _object(
        {
            "name": {"const": OUTPUT},
            "datatype": {"const": "FP64"},
            "shape": {"type": "array", "items": {"type": "integer"}},
            "data": {"type": "array", "items": {"type": "number", "minimum": 0, "maximum": 1}},
        },
        ("name", "datatype", "shape", "data"),
        closed=False,
    )
    said = {name: {"type": "string"} for name in ("location", "jurisdiction", "training_snapshot", "feature_snapshot")}
    said |= {"model_version": {"type": "integer"}, "digest": {"type": "string"}, "prediction_id": {"type": "string"}}
    return {
        "type": "object",
        "required": ["id", "model_name", "model_version", "outputs", "parameters"],
        "properties": {
            "id": {"type": "string"},
            "model_name": {"const": workload.name},
            "model_version": {"type": "string"},
            "outputs": {"type": "array", "items": score, "minItems": 1, "maxItems": 1},
            "parameters": {"type": "object", "required": sorted(said), "properties": said},
        },
    }


def _golden_schema() -> Json:
    properties: Mapping[str, Json] = {
        "digest": {"type": "string"},
        "model_version": {"type": "integer"},
        "predictions": {"type": "array", "items": {"type": "number"}},
        "location": {"type": "string"},
        "feature_snapshot": {"type": "string"},
    }
    return _object(properties, sorted(properties))


def _status_schema() -> Json:
    return _object({"status": {"const": "ok"}}, ("status",))


def _routes_schema() -> Json:
    return _object({"routes": {"type": "array", "items": {"type": "object"}}}, ("routes",))


def _problem_schema() -> Json:
    return {
        "description": "RFC 9457",
        "type": "object",
        "required": ["type", "title", "status"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
        },
    }


def _object(properties: Mapping[str, Json], required: Sequence[str], *, closed: bool = True) -> Json:
    """An object; with `closed` it has no other properties."""
    only: Json = {"additionalProperties": False} if closed else {}
    return {"type": "object", "required": list(required), "properties": dict(properties), **only}
