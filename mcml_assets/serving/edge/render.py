"""Routes and addresses as Envoy's configuration: pure, and the same bytes for the same facts.

Routes, clusters and endpoints are files that Envoy watches (file-based xDS), one endpoint file per workload and
jurisdiction, so that a new port of one server touches nothing else. What Envoy starts with is `listener.py`'s; writing the
files, and the process, are `envoy.py`'s business.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mcml_assets.domain.route import Route
from mcml_assets.domain.snapshot import canonical_json
from mcml_assets.serving.edge.attempts import endpoint_metadata
from mcml_assets.serving.edge.clusters import cluster
from mcml_assets.serving.edge.copies import Copies, copy_clusters, mirror_policies
from mcml_assets.serving.edge.watched import EXTENSIONS, TYPE, Json, discovery, socket_address, watched
from mcml_assets.serving.golden import SYNTHETIC
from mcml_assets.serving.problem import NOT_ROUTED, PROBLEM_MEDIA_TYPE, WRONG_JURISDICTION, Problem

CLUSTERS_FILE = "clusters.json"
ROUTES_FILE = "routes.json"
ENDPOINTS_FOLDER = "endpoints"
EPOCH_HEADER = "x-mcml-route-epoch"
UPDATED_HEADER = "x-mcml-route-updated-at"
JURISDICTION_HEADER = "x-mcml-jurisdiction"
DEFAULT_TIMEOUT_SECONDS = 2.0  # while no endpoint says its own
OVERPROVISIONING = 1000
MAX_DIRECT_BODY = 1024 * 1024

METHODS = {"infer": "POST", "ready": "GET", SYNTHETIC: "GET"}

WRONG_CLAIM_STATUS = 403
WRONG_JURISDICTION_STATUS = 451


@dataclass(frozen=True, slots=True)
class NewVersion:
    """The server of a version that takes over by steps, and its share of the location's requests, in percent."""

    port: int
    share: int


@dataclass(frozen=True, slots=True)
class EndpointAddress:
    """Where the edge reaches one endpoint: its ports on this machine (two while a new server takes over), and how long
    its workload may take to answer, in seconds. `new` is a version that takes over by steps, `copies` what gets copies.
    """

    ports: tuple[int, ...]
    timeout_seconds: float
    new: NewVersion | None = None
    copies: Copies | None = None


Addresses = Mapping[tuple[str, str], EndpointAddress]
"""Addresses by workload and location."""


def edge_files(folder: Path, routes: Sequence[Route], addresses: Addresses, hedge_seconds: float) -> dict[Path, bytes]:
    """Every watched file with its content, in the order in which they may be replaced: endpoints, clusters, routes.

    `hedge_seconds` is how long a location may take before another one is asked as well.
    """
    ordered = sorted(routes, key=lambda route: route.name)
    endpoints = {_endpoints_file(folder, route): discovery([_assignment(route, addresses)]) for route in ordered}
    return {
        **endpoints,
        folder / CLUSTERS_FILE: discovery(
            [
                *(cluster(route, watched(_endpoints_file(folder, route))) for route in ordered),
                *(one for route in ordered for one in copy_clusters(route, _copies(route, addresses))),
            ]
        ),
        folder / ROUTES_FILE: discovery([_route_table(ordered, addresses, hedge_seconds)]),
    }


def _route_table(routes: Sequence[Route], addresses: Addresses, hedge_seconds: float) -> Json:
    unknown = Problem(404, NOT_ROUTED, "the edge knows /<jurisdiction>/v2/models/<workload>/infer and …/ready; see /routes")
    entries = [entry for route in routes for entry in _routes_of(route, addresses, hedge_seconds)]
    table = {"routes": [_shown(route) for route in routes]}
    return {
        "@type": f"{TYPE}.config.route.v3.RouteConfiguration",
        "name": "edge",
        "max_direct_response_body_size_bytes": MAX_DIRECT_BODY,
        "virtual_hosts": [
            {
                "name": "edge",
                "domains": ["*"],
                "routes": [
                    *entries,
                    *(misused for workload, where in _jurisdictions(routes).items() for misused in _misused(workload, where)),
                    *(_elsewhere(workload) for workload in sorted({route.workload for route in routes})),
                    *(_only(match, "GET") for match in ({"path": "/healthz"}, {"path": "/routes"})),
                    _direct({"path": "/healthz"}, 200, json.dumps({"status": "ok"}), "application/json"),
                    _direct({"path": "/routes"}, 200, canonical_json(table).decode(), "application/json"),
                    _direct({"prefix": "/"}, 404, unknown.to_json(), PROBLEM_MEDIA_TYPE),
                ],
            }
        ],
    }


def _shown(route: Route) -> Json:
    """A route as callers see it: who decided what about it, and why, is none of their business."""
    document = asdict(route)
    del document["flag_changes"]
    document["flags"] = [{"name": flag.name, "location": flag.location, "value": flag.value} for flag in route.flags]
    return {**document, "locations": route.locations}


def _routes_of(route: Route, addresses: Addresses, hedge_seconds: float) -> list[Json]:
    """The paths of a workload in a jurisdiction, with the retries that carry a request past a dead location.

    A location that has not answered after a moment is asked no less, but another one is asked too, and the first answer
    counts (hedging): a prediction changes nothing, so it may be made twice. Where no other one runs, nothing is gained by
    asking the same one twice, at the very time when it answers for all.
    """
    timeout = max(
        (address.timeout_seconds for entry in route.weights if (address := addresses.get(_key(route, entry.location)))),
        default=DEFAULT_TIMEOUT_SECONDS,
    )
    tries = len({entry.priority for entry in route.weights if _key(route, entry.location) in addresses})
    mirrors = mirror_policies(route, _copies(route, addresses))
    retry_policy = {
        "retry_on": "connect-failure,refused-stream,reset,5xx",
        # One more than there are other locations, for a hedge that finds its location refusing.
        "num_retries": max(1, tries),
        # All tries together keep the workload's bound, even when every location but the last hangs.
        "per_try_timeout": _seconds(min(hedge_seconds, timeout / max(2, tries)) if tries > 1 else timeout / 2),
        "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.050s"},
        "retry_priority": {
            "name": "envoy.retry_priorities.previous_priorities",
            "typed_config": {
                "@type": f"{EXTENSIONS}.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
                "update_frequency": 1,
            },
        },
    }
    return [
        _contradicted(route),
        *(
            {
                "match": {"path": f"/{route.jurisdiction}/v2/models/{route.workload}/{verb}", "headers": [_asked_by(method)]},
                "route": {
                    "cluster": route.name,
                    "prefix_rewrite": f"/v2/models/{route.workload}/{verb}",
                    "timeout": _seconds(timeout),
                    "retry_policy": retry_policy,
                    "hedge_policy": {"hedge_on_per_try_timeout": tries > 1},
                    **({"request_mirror_policies": mirrors} if mirrors and verb == "infer" else {}),
                },
                "request_headers_to_add": [_header(EPOCH_HEADER, str(route.epoch))],
                "response_headers_to_add": [
                    _header(EPOCH_HEADER, str(route.epoch)),
                    # How old the route is that this answer followed, also when nobody is left who could give a new one.
                    _header(UPDATED_HEADER, route.updated_at),
                ],
            }
            for verb, method in METHODS.items()
        ),
    ]


def _contradicted(route: Route) -> Json:
    """A caller who says that the data belongs to another jurisdiction than the path's is refused."""
    match = {
        "prefix": f"/{route.jurisdiction}/v2/models/{route.workload}/",
        "headers": [
            {"name": JURISDICTION_HEADER, "present_match": True},
            {"name": JURISDICTION_HEADER, "string_match": {"exact": route.jurisdiction}, "invert_match": True},
        ],
    }
    problem = Problem(
        WRONG_CLAIM_STATUS, WRONG_JURISDICTION, f"the request's data is of another jurisdiction than {route.jurisdiction}"
    )
    return _direct(match, problem.status, problem.to_json(), PROBLEM_MEDIA_TYPE)


def _elsewhere(workload: str) -> Json:
    """A workload that has a route, asked in a jurisdiction where it has none."""
    problem = Problem(
        WRONG_JURISDICTION_STATUS, WRONG_JURISDICTION, f"{workload} is not served in this jurisdiction; see /routes"
    )
    match = {"safe_regex": {"regex": f"/[^/]+/v2/models/{re.escape(workload)}/({'|'.join(METHODS)})"}}
    return _direct(match, problem.status, problem.to_json(), PROBLEM_MEDIA_TYPE)


def _misused(workload: str, jurisdictions: Sequence[str]) -> list[Json]:
    """The paths of a workload, asked with another method than theirs."""
    places = "|".join(map(re.escape, jurisdictions))
    return [
        _only({"safe_regex": {"regex": f"/({places})/v2/models/{re.escape(workload)}/{verb}"}}, method)
        for verb, method in METHODS.items()
    ]


def _only(match: Json, method: str) -> Json:
    """The answer to whoever asks this with another method; the right one is told."""
    problem = Problem(405, detail=f"this is asked with {method}")
    other = {**match, "headers": [{**_asked_by(method), "invert_match": True}]}
    answer = _direct(other, problem.status, problem.to_json(), PROBLEM_MEDIA_TYPE)
    answer["response_headers_to_add"].append(_header("allow", method))
    return answer


def _asked_by(method: str) -> Json:
    return {"name": ":method", "string_match": {"exact": method}}


def _jurisdictions(routes: Sequence[Route]) -> dict[str, list[str]]:
    """Where each workload has a route."""
    found: dict[str, list[str]] = {}
    for route in routes:
        found.setdefault(route.workload, []).append(route.jurisdiction)
    return found


def _assignment(route: Route, addresses: Addresses) -> Json:
    """Locations as priorities of one cluster; one without an address keeps its place, empty."""
    groups = []
    for entry in sorted(route.weights, key=lambda entry: (entry.priority, entry.location)):
        address = addresses.get(_key(route, entry.location))
        cloud, _, region = entry.location.partition("/")
        groups.append(
            {
                "locality": {"zone": cloud, "region": region},
                "priority": entry.priority,
                "load_balancing_weight": entry.weight,
                "lb_endpoints": _servers(entry.location, address) if address is not None else [],
            }
        )
    return {
        "@type": f"{TYPE}.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": route.name,
        "endpoints": groups,
        # While a new server is not yet known as healthy, half a location still is the location: without this Envoy
        # would send a part of its requests on.
        "policy": {"overprovisioning_factor": OVERPROVISIONING},
    }


def _servers(location: str, address: EndpointAddress) -> list[Json]:
    """A location's servers; while a version takes over by steps, each with its share. Whose share is nothing is left out."""
    new = address.new
    shares: dict[int, int | None] = dict.fromkeys(address.ports)
    if new is not None and new.share > 0:
        shares = {**dict.fromkeys(address.ports, 100 - new.share), new.port: new.share}
    return [
        {
            "endpoint": {"address": socket_address(port)},
            "metadata": endpoint_metadata(location, port),
            **({"load_balancing_weight": share} if share is not None else {}),
        }
        for port, share in shares.items()
        if share != 0
    ]


def _copies(route: Route, addresses: Addresses) -> dict[str, Copies]:
    """Who gets copies of a route's requests, by location."""
    found = {entry.location: addresses.get(_key(route, entry.location)) for entry in route.weights}
    return {location: one.copies for location, one in found.items() if one is not None and one.copies is not None}


def _direct(match: Json, status: int, body: str, media_type: str) -> Json:
    return {
        "match": match,
        "direct_response": {"status": status, "body": {"inline_string": body}},
        "response_headers_to_add": [_header("content-type", media_type)],
    }


def _header(name: str, value: str) -> Json:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _endpoints_file(folder: Path, route: Route) -> Path:
    return folder / ENDPOINTS_FOLDER / f"{route.name}.json"


def _key(route: Route, location: str) -> tuple[str, str]:
    return route.workload, location


def _seconds(value: float) -> str:
    return f"{value:.3f}s"
