"""Traffic Manager profiles as Azure's resource manager keeps them, on loopback, after the types of Azure's own client.

Azure generates those types (`azure.mgmt.trafficmanager.types`) from its published description of the API; every body must
have fields of theirs only, with values of theirs. Priorities must be different and weights within bounds, as the service's
documentation says. Azure checks more (that a DNS name is free, that targets resolve), which nothing here does.
"""

import copy
import re
from typing import Any

from azure.mgmt.trafficmanager import models, types

from mcml_assets_tests.clouds.azure_types import enumerations, problems

Json = dict[str, Any]
PATH = re.compile(
    r"/subscriptions/(?P<subscription>[0-9a-f-]{36})/resourceGroups/(?P<group>[^/]+)"
    r"/providers/Microsoft\.Network/trafficmanagerprofiles/(?P<name>[^/]+)",
    re.IGNORECASE,
)
ENUMERATIONS = enumerations(models)


class Profiles:
    """The profiles of one resource group."""

    def __init__(self, group: str) -> None:
        self.group = group
        self.profiles: dict[str, Json] = {}
        self.status = 200

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Json]:
        """See `http_server.Answer`."""
        asked = PATH.fullmatch(path)
        if self.status != 200:
            return _error(self.status, "ServerError")
        if asked is None or "api-version" not in query:
            return _error(400, "InvalidResourceType")
        if asked["group"] != self.group:
            return _error(404, "ResourceGroupNotFound")
        match method:
            case "GET":
                found = self.profiles.get(asked["name"])
                return (200, found) if found is not None else _error(404, "ResourceNotFound")
            case "PUT":
                problem = next(iter([*problems(body, types.Profile, "profile", ENUMERATIONS), *_rules(body)]), None)
                if problem is not None:
                    return _error(400, problem)
                made = asked["name"] not in self.profiles
                self.profiles[asked["name"]] = copy.deepcopy(body) | {"name": asked["name"]}
                return 201 if made else 200, self.profiles[asked["name"]]
            case _:
                return _error(405, "MethodNotAllowed")


def _rules(body: Json) -> list[str]:
    endpoints = [one["properties"] for one in body["properties"]["endpoints"]]
    priorities = [one["priority"] for one in endpoints]
    if len(set(priorities)) != len(priorities) or not all(1 <= one <= 1000 for one in priorities):
        return ["priorities are 1 to 1000, and no two endpoints have the same"]
    return [] if all(1 <= one["weight"] <= 1000 for one in endpoints) else ["weights are 1 to 1000"]


def _error(status: int, code: str) -> tuple[int, Json]:
    return status, {"error": {"code": code, "message": code}}
