"""Google Cloud load balancing: a route as the weights of a URL map's path matcher. Imports Google's client: import late.

The client is built from Google's own description of the API, which comes with it. A URL map has a fingerprint, and a
change that names another one is refused: of two writers that read the same, one is refused, so no older epoch replaces a
newer one. The balancer shares by weights and knows no order: the locations of the first priority get their weights, the
others none until a route is published that puts them first.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

import google_auth_httplib2
import httplib2
from google.auth.exceptions import GoogleAuthError
from googleapiclient.discovery import build
from googleapiclient.errors import Error, HttpError
from googleapiclient.http import HttpRequest

from mcml_assets.clouds.gcp.credentials import google_credentials
from mcml_assets.clouds.traffic import Request, refused
from mcml_assets.domain.errors import ConfigurationError, CredentialsRejected, LocationUnavailable
from mcml_assets.domain.route import Route
from mcml_assets.domain.topology import did_you_mean
from mcml_assets.domain.traffic import GoogleUrlMap, Published, TrafficAccess, to_publish

T = TypeVar("T")

SCOPES = ("https://www.googleapis.com/auth/compute",)
REQUEST_SECONDS = 30.0
RETRIES = 2
Json = dict[str, Any]


class GoogleTraffic:
    """A `TrafficAdapter` for one path matcher, which is there already."""

    def __init__(self, access: TrafficAccess) -> None:
        if not isinstance(access.where, GoogleUrlMap):
            raise TypeError(f"{access.key} is not Google's")
        self.access, self.where = access, access.where

    def published(self) -> Published | None:
        """What the path matcher's description says."""
        return Published.read(self._matcher(self._url_map()).get("description", ""))

    def plan(self, route: Route) -> list[Request]:
        """The one change of the URL map."""
        present = self._url_map()
        wanted = to_publish(self.access, route, Published.read(self._matcher(present).get("description", "")))
        return [] if wanted is None else [{"call": "urlMaps.patch", **self._patch(route, wanted, present)}]

    def publish(self, route: Route) -> bool:
        """Publish, and wait until Google has taken it up; see `TrafficAdapter.publish`."""
        for planned in self.plan(route):
            planned.pop("call")
            operation = self._ask("change", lambda asked=planned: self._service.urlMaps().patch(**asked))
            while operation.get("status") != "DONE":
                asked = {"project": self.where.project, "operation": operation["name"]}
                operation = self._ask("wait", lambda asked=asked: self._service.globalOperations().wait(**asked))
            if errors := operation.get("error", {}).get("errors"):
                said = "; ".join(f"{error.get('code')}: {error.get('message')}" for error in errors)
                raise ConfigurationError(f"{self.access.key}: Google refuses the URL map: {said}")
            return True
        return False

    def _patch(self, route: Route, wanted: Published, present: Json) -> Json:
        matcher = {**self._matcher(present), "description": wanted.mark()}
        matcher.pop("defaultService", None)  # beside weights Google takes none
        services = f"projects/{self.where.project}/global/backendServices"
        weights = [
            {
                "backendService": f"{services}/{self.access.target(entry.location)}",
                "weight": entry.weight if entry.priority == 0 else 0,
            }
            for entry in sorted(route.weights, key=lambda entry: (entry.priority, entry.location))
        ]
        matcher["defaultRouteAction"] = {**matcher.get("defaultRouteAction", {}), "weightedBackendServices": weights}
        # A patch replaces lists as a whole.
        others = [one for one in present["pathMatchers"] if one["name"] != self.where.path_matcher]
        body = {"fingerprint": present["fingerprint"], "pathMatchers": [*others, matcher]}
        return {"project": self.where.project, "urlMap": self.where.url_map, "body": body}

    def _matcher(self, url_map: Json) -> Json:
        matchers = {one["name"]: one for one in url_map.get("pathMatchers", ())}
        if self.where.path_matcher not in matchers:
            raise ConfigurationError(
                f"{self.access.key}: URL map {self.where.url_map!r} has no path matcher {self.where.path_matcher!r}"
                f"{did_you_mean(self.where.path_matcher, matchers)}"
            )
        return matchers[self.where.path_matcher]

    def _url_map(self) -> Json:
        asked = {"project": self.where.project, "urlMap": self.where.url_map}
        return self._ask("read", lambda: self._service.urlMaps().get(**asked))

    def _ask(self, what: str, request: Callable[[], HttpRequest]) -> Json:
        try:
            return request().execute(num_retries=RETRIES)
        except HttpError as error:
            raise refused(self.access.key, f"{what} the URL map", error.status_code, error.reason or "") from None
        except GoogleAuthError:
            raise CredentialsRejected(self.access.key, "Google gives no token; attach an identity, or log in") from None
        except Error as error:
            raise ConfigurationError(f"{self.access.key}: {what} the URL map: {error}") from None
        except (OSError, httplib2.HttpLib2Error) as error:
            raise LocationUnavailable(self.access.key, f"no answer ({type(error).__name__})") from None

    @cached_property
    def _service(self) -> Any:
        credentials = google_credentials(self.access, SCOPES)
        http = google_auth_httplib2.AuthorizedHttp(credentials, http=httplib2.Http(timeout=REQUEST_SECONDS))
        # Replacing the address replaces the path of the service as well.
        address = self.access.store.endpoint
        options = {"api_endpoint": f"{address}/compute/v1/"} if address else None
        return build("compute", "v1", http=http, static_discovery=True, cache_discovery=False, client_options=options)
