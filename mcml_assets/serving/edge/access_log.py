"""The edge's log as Envoy's configuration: JSON lines of what was refused, what failed, what is traced, and of Envoy. Pure.

No value that was sent is in it, and no line for each request: that every prediction is on record is the prediction log's
business, and how many there were the counts'.
"""

from typing import Any

from mcml_assets.serving.edge.access import CALLER_HEADER
from mcml_assets.serving.edge.render import EPOCH_HEADER, JURISDICTION_HEADER, WRONG_JURISDICTION_STATUS
from mcml_assets.serving.edge.watched import EXTENSIONS, Json

REFUSED_STATUSES = (401, 403, WRONG_JURISDICTION_STATUS)
FIELDS = {
    "time": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3f+00:00)%",
    "level": "info",
    "logger": "edge",
    "reason": "%RESPONSE_CODE_DETAILS%",
    "status": "%RESPONSE_CODE%",
    "caller": f"%REQ({CALLER_HEADER})%",
    "path": "%PATH(NQ)%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "trace_id": "%TRACE_ID%",
}


def refusal_log() -> Json:
    """A line for each request that was refused for who asked, or for its jurisdiction."""
    refused = {"or_filter": {"filters": [_status("EQ", status) for status in REFUSED_STATUSES]}}
    return _to_standard_output(refused, {"message": "refused", **FIELDS, "jurisdiction": f"%REQ({JURISDICTION_HEADER})%"})


def request_log(*, traced: bool) -> Json:
    """A line for each request that failed, and where there are traces for each whose trace is kept."""
    failed = _status("GE", 500)
    answered = {
        "milliseconds": "%DURATION%",
        "flags": "%RESPONSE_FLAGS%",
        "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
        "location": "%RESP(x-mcml-location)%",
        "route_epoch": f"%RESP({EPOCH_HEADER})%",
        "prediction_id": "%RESP(x-mcml-prediction-id)%",
    }
    kept = {"or_filter": {"filters": [failed, _kept()]}}
    return _to_standard_output(kept if traced else failed, {"message": "request", **FIELDS, **answered})


def application_log() -> Json:
    """Envoy's own log, of itself, in the form of all our logs (`serving/json_log.py`)."""
    # %j is the message, escaped for JSON.
    fields = {"time": "%Y-%m-%dT%T.%e%z", "level": "%l", "logger": "envoy.%n", "message": "%j"}
    return {"log_format": {"json_format": fields}}


def _to_standard_output(which: Json, fields: dict[str, Any]) -> Json:
    return {
        "name": "envoy.access_loggers.stdout",
        "filter": which,
        "typed_config": {
            "@type": f"{EXTENSIONS}.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": {"json_format": fields},
        },
    }


def _kept() -> Json:
    """Whose trace is kept: the flag of the `traceparent` that Envoy passes on."""
    return {"header_filter": {"header": {"name": "traceparent", "string_match": {"suffix": "-01"}}}}


def _status(operator: str, status: int) -> Json:
    comparison = {"op": operator, "value": {"default_value": status, "runtime_key": "unused"}}
    return {"status_code_filter": {"comparison": comparison}}
