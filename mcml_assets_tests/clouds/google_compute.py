"""URL maps as Google's API keeps them, on loopback, after Google's own description of the API.

The description is the one that comes with Google's client. Every request must be a method that it names, and every body
must fulfil its schema with no field that it does not know; a change must name the fingerprint that is stored, or it is a
412. What Google checks beyond the description (that backend services exist, are of the right kind, and may stand beside
each other) is checked nowhere here, but for weights beside a default service.
"""

import copy
import json
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import googleapiclient
from jsonschema import Draft202012Validator

Json = dict[str, Any]
DOCUMENT = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents" / "compute.v1.json"


@cache
def description() -> Json:
    """Google's description of the API."""
    return json.loads(DOCUMENT.read_text())


@cache
def validator(name: str) -> Draft202012Validator:
    """A schema of the description, and all that it refers to, with unknown fields forbidden."""
    schemas = {key: _closed(schema) for key, schema in description()["schemas"].items()}
    return Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": schemas})


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items() if key not in ("id", "description", "enumDescriptions")}
    if isinstance(schema.get("properties"), dict):
        closed["properties"] = {key: _closed(value) for key, value in schema["properties"].items()}
        closed.setdefault("additionalProperties", False)
    if isinstance(closed.get("$ref"), str):
        closed["$ref"] = f"#/$defs/{closed['$ref']}"
    # Documented as a pattern of Java's, and 64-bit numbers are text.
    closed.pop("pattern", None)
    closed.pop("format", None)
    return closed


class UrlMaps:
    """One project's URL maps, and the operations that changed them."""

    def __init__(self) -> None:
        self.maps: dict[str, Json] = {}
        self.operations: dict[str, str] = {}
        self.status = 200

    def add(self, name: str, *matchers: Json) -> None:
        self._keep(name, {"name": name, "defaultService": "default", "pathMatchers": list(matchers)})

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Json]:
        """See `http_server.Answer`."""
        if self.status != 200:
            return _error(self.status, "backendError")
        parts = path.removeprefix(f"/{description()['servicePath']}").split("/")
        match method, parts:
            case "GET", ["projects", _, "global", "urlMaps", name]:
                return (200, self.maps[name]) if name in self.maps else _error(404, "notFound")
            case "PATCH", ["projects", _, "global", "urlMaps", name]:
                return self._patch(name, body)
            case "POST", ["projects", _, "global", "operations", name, "wait"]:
                self.operations[name] = "DONE"
                return 200, {"name": name, "status": "DONE"}
            case _:
                return _error(404, "notFound")

    def _patch(self, name: str, body: Json) -> tuple[int, Json]:
        schema = description()["resources"]["urlMaps"]["methods"]["patch"]["request"]["$ref"]
        problem = next(validator(schema).iter_errors(body), None)
        if problem is not None:
            return _error(400, f"{problem.json_path}: {problem.message}")
        if body.get("fingerprint") != self.maps[name]["fingerprint"]:
            return _error(412, "conditionNotMet")
        for matcher in body.get("pathMatchers", ()):
            if "weightedBackendServices" in matcher.get("defaultRouteAction", {}) and "defaultService" in matcher:
                return _error(400, "defaultService must not be set beside weightedBackendServices")
        self._keep(name, self.maps[name] | body)
        operation = f"operation-{len(self.operations)}"
        self.operations[operation] = "RUNNING"
        return 200, {"name": operation, "status": "RUNNING"}

    def _keep(self, name: str, url_map: Json) -> None:
        stored = copy.deepcopy(url_map)
        stored.pop("fingerprint", None)
        stored["fingerprint"] = sha256(json.dumps(stored, sort_keys=True).encode()).hexdigest()[:11] + "="
        self.maps[name] = stored


def _error(status: int, reason: str) -> tuple[int, Json]:
    return status, {"error": {"code": status, "message": reason, "errors": [{"reason": reason}]}}
