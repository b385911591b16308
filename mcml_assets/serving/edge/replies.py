"""The edge's own answers, as problems (RFC 9457): what was wrong, and where due when to ask again. Pure.

Answers of a model server, and those that stand in the route table, have their own bodies.
"""

from http import HTTPStatus
from typing import Any

from mcml_assets.serving.edge.access import CALLER_HEADER
from mcml_assets.serving.edge.watched import EXTENSIONS, Json
from mcml_assets.serving.problem import NO_LOCATION, NOT_ALLOWED, PROBLEM_MEDIA_TYPE, TOO_MANY_REQUESTS, UNKNOWN_CALLER

MAX_REQUEST_BYTES = 1024 * 1024
RETRY_AFTER_SECONDS = 1  # a rate's bucket is full again, an ejected or restarted server may be back
SENTENCES = {
    400: "the edge cannot read this request",
    408: "the request did not arrive in time",
    413: f"a request may have {MAX_REQUEST_BYTES} bytes",
    431: "the request's headers are too large",
}


def local_replies() -> Json:
    """How Envoy words what it refuses; the first that fits counts."""
    denied = _denied()
    anonymous = {"header_filter": {"header": {"name": CALLER_HEADER, "present_match": True, "invert_match": True}}}
    retry = {"retry-after": str(RETRY_AFTER_SECONDS)}
    return {
        "mappers": [
            {
                **_mapper(
                    {"and_filter": {"filters": [denied, anonymous]}}, UNKNOWN_CALLER, 401,
                    "say who you are: a bearer token, or a certificate of a known authority", {"www-authenticate": "Bearer"},
                ),
                # Who is not known at all is not forbidden anything: they should say who they are.
                "status_code": 401,
            },
            _mapper(denied, NOT_ALLOWED, 403, "this caller may not ask this"),
            _mapper(_status("EQ", 401), UNKNOWN_CALLER, 401, "the token is not accepted: %RESPONSE_CODE_DETAILS%"),
            _mapper(_status("EQ", 429), TOO_MANY_REQUESTS, 429, "this caller asks more often than it may", retry),
            *(
                _mapper(_status("EQ", status), "about:blank", status, f"{sentence}: %RESPONSE_CODE_DETAILS%")
                for status, sentence in SENTENCES.items()
            ),
            _mapper(_other(), "about:blank", "Refused", "the edge does not take this request: %RESPONSE_CODE_DETAILS%"),
            _mapper(
                _status("GE", 500), NO_LOCATION, "No location answers",
                "no location of this workload's route answered in time: %RESPONSE_CODE_DETAILS%", retry,
            ),
        ]
    }  # fmt: skip


def _mapper(fits: Json, kind: str, title: int | str, detail: str, headers: dict[str, str] | None = None) -> Json:
    """`title` is a status whose phrase it is, or the title itself."""
    title = HTTPStatus(title).phrase if isinstance(title, int) else title
    body: dict[str, Any] = {"type": kind, "title": title, "status": "%RESPONSE_CODE%", "detail": detail}
    return {
        "filter": fits,
        "body_format_override": {"json_format": body, "content_type": PROBLEM_MEDIA_TYPE},
        "headers_to_add": [
            {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            for name, value in (headers or {}).items()
        ],
    }


def _status(operator: str, status: int) -> Json:
    comparison = {"op": operator, "value": {"default_value": status, "runtime_key": "unused"}}
    return {"status_code_filter": {"comparison": comparison}}


def _denied() -> Json:
    """Refused by the permissions, and not by an answer of the route table with the same status."""
    return _expression("response.code_details.startsWith('rbac_access_denied')")


def _other() -> Json:
    """Whatever else Envoy itself refuses; the route table's answers have their bodies."""
    return _expression("response.code >= 400 && response.code < 500 && response.code_details != 'direct_response'")


def _expression(expression: str) -> Json:
    typed = {"@type": f"{EXTENSIONS}.access_loggers.filters.cel.v3.ExpressionFilter", "expression": expression}
    return {"extension_filter": {"name": "envoy.access_loggers.extension_filters.cel", "typed_config": typed}}
