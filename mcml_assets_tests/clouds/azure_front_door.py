"""Front Door profiles as Azure's resource manager keeps them, on loopback, after the types of Azure's own client.

Azure generates those types (`azure.mgmt.cdn.types`) from its published description of the API; every body must have fields
of theirs only, with values of theirs. Priorities are 1 to 5, weights 1 to 1000, a name has Azure's letters, a group that a
route names is not deleted and must have an origin, as the service's documentation says. Azure checks more (that targets
resolve, how many groups a profile may have), which nothing here does.
"""

import copy
import re
from typing import Any

from azure.mgmt.cdn import models, types

from mcml_assets_tests.clouds.azure_types import enumerations, problems

Json = dict[str, Any]
PATH = re.compile(
    r"/subscriptions/[0-9a-f-]{36}/resourceGroups/(?P<group>[^/]+)/providers/Microsoft\.Cdn/profiles/(?P<profile>[^/]+)(?P<rest>/.+)",
    re.IGNORECASE,
)
ROUTE = re.compile(r"/afdEndpoints/(?P<endpoint>[^/]+)/routes/(?P<route>[^/]+)")
GROUPS = re.compile(r"/originGroups(?:/(?P<name>[^/]+))?")
ORIGIN = re.compile(r"/originGroups/(?P<name>[^/]+)/origins/(?P<origin>[^/]+)")
NAME = re.compile(r"[a-zA-Z0-9]+(-*[a-zA-Z0-9])*")
ENUMERATIONS = enumerations(models)


class FrontDoor:
    """One profile with one route, and the origin groups of the profile."""

    def __init__(self, group: str, profile: str, endpoint: str, route: str) -> None:
        self.group, self.profile, self.endpoint, self.route_name = group, profile, endpoint, route
        self.route: Json = {
            "name": route,
            "properties": {"patternsToMatch": ["/*"], "originGroup": {"id": "/originGroups/old"}},
        }
        self.groups: dict[str, Json] = {"old": {"name": "old", "properties": {}}}
        self.origins: dict[str, dict[str, Json]] = {"old": {}}
        self.status = 200
        self.slow = False
        """Whether a new group is `Creating` when it is first told of, as at Azure."""
        self.changes: list[tuple[str, str]] = []

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Json]:
        """See `http_server.Answer`."""
        asked = PATH.fullmatch(path)
        if self.status != 200:
            return _error(self.status, "ServerError")
        if asked is None or "api-version" not in query:
            return _error(400, "InvalidResourceType")
        if asked["group"] != self.group or asked["profile"] != self.profile:
            return _error(404, "ResourceGroupNotFound" if asked["group"] != self.group else "ParentResourceNotFound")
        if method != "GET":
            self.changes.append((method, asked["rest"]))
        for pattern, answered in ((ROUTE, self._route), (ORIGIN, self._origin), (GROUPS, self._groups)):
            if (found := pattern.fullmatch(asked["rest"])) is not None:
                return answered(method, found, body)
        return _error(400, "InvalidResourceType")

    def shares_of(self) -> list[Json]:
        """The origins that callers come to, with nothing failing."""
        origins = [one["properties"] for one in self.origins[self.named()].values()]
        first = min(one["priority"] for one in origins)
        return [one for one in origins if one["priority"] == first]

    def named(self) -> str:
        """The group that the route names."""
        return self.route["properties"]["originGroup"]["id"].rpartition("/")[2]

    def _route(self, method: str, asked: re.Match[str], body: Any) -> tuple[int, Json]:
        if (asked["endpoint"], asked["route"]) != (self.endpoint, self.route_name):
            return _error(404, "NotFound")
        if method == "GET":
            return 200, self.route
        if method != "PATCH":
            return _error(405, "MethodNotAllowed")
        if found := problems(body, types.RouteUpdateParameters, "route", ENUMERATIONS):
            return _error(400, found[0])
        name = body["properties"]["originGroup"]["id"].rpartition("/")[2]
        if not self.origins.get(name):
            return _error(400, "the route's origin group is not there, or has no origin")
        self.route["properties"] |= body["properties"]
        return 200, self.route

    def _groups(self, method: str, asked: re.Match[str], body: Any) -> tuple[int, Json]:
        name = asked["name"]
        match method:
            case "GET" if name is None:
                return 200, {"value": list(self.groups.values())}
            case "GET":
                self.groups[name]["properties"]["provisioningState"] = "Succeeded"
                return 200, self.groups[name]
            case "PUT":
                found = problems(body, types.AFDOriginGroup, "origin group", ENUMERATIONS)
                if found or NAME.fullmatch(name) is None or len(name) > 90:
                    return _error(400, next(iter(found), f"{name!r} is no name"))
                self.groups[name] = copy.deepcopy(body) | {"name": name}
                self.groups[name]["properties"]["provisioningState"] = "Creating" if self.slow else "Succeeded"
                self.origins.setdefault(name, {})
                return 201, self.groups[name]
            case "DELETE" if name == self.named():
                return _error(409, "the route names this group")
            case "DELETE":
                del self.groups[name], self.origins[name]
                return 200, {}
            case _:
                return _error(405, "MethodNotAllowed")

    def _origin(self, method: str, asked: re.Match[str], body: Any) -> tuple[int, Json]:
        if method != "PUT":
            return _error(405, "MethodNotAllowed")
        group = self.groups.get(asked["name"])
        if group is None or group["properties"]["provisioningState"] != "Succeeded":
            return _error(409, "the group is not there yet")
        found = problems(body, types.AFDOrigin, "origin", ENUMERATIONS)
        if not found and not (1 <= body["properties"]["priority"] <= 5 and 1 <= body["properties"]["weight"] <= 1000):
            found = ["priorities are 1 to 5, weights 1 to 1000"]
        if found:
            return _error(400, found[0])
        made = copy.deepcopy(body) | {"name": asked["origin"]}
        made["properties"]["provisioningState"] = "Succeeded"
        self.origins[asked["name"]][asked["origin"]] = made
        return 201, made


def _error(status: int, code: str) -> tuple[int, Json]:
    return status, {"error": {"code": code, "message": code}}
