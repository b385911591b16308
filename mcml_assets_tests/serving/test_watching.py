"""Promises of what can be watched of serving, with real servers behind a real edge and a real OTLP collector."""

import json
import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.serving.data_plane import edge_url, ensure_data_plane
from mcml_assets.serving.edge.asked import Asked
from mcml_assets.serving.edge.traffic_counts import LocationTraffic, traffic_between, traffic_counts
from mcml_assets.serving.folder import DataPlaneFolder
from mcml_assets.serving.synthetic_results import record_synthetic
from mcml_assets.top import LocationTop, Watching
from mcml_assets_tests.serving.collector import Collected, Span, collector
from mcml_assets_tests.serving.prometheus import metrics_in, prometheus
from mcml_assets_tests.serving.served_shop import COLD, PRIMARY, WARM, Shop, free_settings
from mcml_assets_tests.serving.test_observability import panels, rules
from mcml_assets_tests.serving.test_promise_metrics import snapshots
from mcml_assets_tests.serving.waiting import until
from mcml_assets_tests.serving.watched_shop import READY_SECONDS, answered_by, ask, frozen, watched_shop
from mcml_assets_tests.snapshots.committing import commit

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def collected() -> Iterator[Collected]:
    with collector() as here:
        yield here


@pytest.fixture(scope="module")
def shop(collected: Collected, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with watched_shop(tmp_path_factory.mktemp("home"), otlp_endpoint=collected.address, trace_share=0.0) as built:
        yield built


def scraped(address: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """What stands at an address, by name and labels."""
    text = httpx.get(address, trust_env=False).raise_for_status().text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}


def metric(samples: dict[tuple[str, frozenset[tuple[str, str]]], float], name: str, **labels: str) -> list[float]:
    """The values of a metric with at least these labels."""
    return [value for (known, had), value in samples.items() if known == name and had >= frozenset(labels.items())]


def data_plane(shop: Shop, path: str = "/metrics") -> str:
    return f"http://127.0.0.1:{shop.settings.metrics_port}{path}"


def targets(shop: Shop) -> dict[str, str]:
    """What is to be scraped, by location; the edge is under `edge`."""
    found = httpx.get(data_plane(shop, "/targets"), trust_env=False).raise_for_status().json()
    return {
        entry["labels"].get("location", "edge"): f"http://{entry['targets'][0]}{entry['labels']['__metrics_path__']}"
        for entry in found
    }


def settled(shop: Shop) -> tuple[LocationTraffic, ...]:
    """The counts, once Envoy has merged those of its threads: it does each second."""
    seen: list[tuple[LocationTraffic, ...]] = []

    def same() -> bool:
        seen.append(traffic_counts(shop.settings))
        return len(seen) > 25 and seen[-1] == seen[-25]

    until(same, "counts that change no more")
    return seen[-1]


def lines(shop: Shop, of: str) -> list[dict[str, Any]]:
    """The JSON lines of a log: `envoy`, or an endpoint's name."""
    folder = DataPlaneFolder.of(shop.settings)
    file = folder.own_log(of) if of == "envoy" else folder.endpoint("logs", of)
    return [json.loads(line) for line in file.read_text().splitlines() if line.startswith("{")]


def test_one_prediction_is_one_trace_from_the_edge_to_the_model(shop: Shop, collected: Collected) -> None:
    """The caller's own trace goes on: edge, location asked, endpoint, feature lookup and model, each within the one before."""
    trace, caller = secrets.token_hex(16), secrets.token_hex(8)
    (answer,) = ask(shop, 1, headers={"traceparent": f"00-{trace}-{caller}-01"})
    assert answer.status_code == 200
    until(lambda: len(collected.trace(trace)) == 5, "five spans")
    spans = {span.id: span for span in collected.trace(trace)}
    (root,) = (span for span in spans.values() if span.parent == caller)

    def below(parent: Span) -> list[Span]:
        return [span for span in spans.values() if span.parent == parent.id]

    (asked,) = below(root)
    (endpoint,) = below(asked)
    assert (root.service, asked.service, endpoint.service) == ("mcml-edge", "mcml-edge", "mcml-endpoint")
    assert (endpoint.name, endpoint.attributes["mcml.location"]) == ("endpoint infer", PRIMARY)
    assert endpoint.attributes["prediction_id"] == answer.json()["parameters"]["prediction_id"]
    assert [span.name for span in below(endpoint)] == ["feature lookup", "model"]


def test_a_traced_prediction_has_a_line_at_the_edge_and_one_at_the_endpoint(shop: Shop) -> None:
    """Both logs name trace and prediction in JSON; what is not traced and does not fail has none."""
    trace = secrets.token_hex(16)
    (answer,) = ask(shop, 1, headers={"traceparent": f"00-{trace}-{secrets.token_hex(8)}-01"})
    identifier = answer.json()["parameters"]["prediction_id"]
    ask(shop, 3)

    def logged(of: str) -> list[dict[str, Any]]:
        return [line for line in lines(shop, of) if line.get("trace_id") == trace]

    until(lambda: len(logged("envoy")) == len(logged(f"shop@{PRIMARY}")) == 1, "a line in each log")
    (edge,), (endpoint,) = logged("envoy"), logged(f"shop@{PRIMARY}")
    assert edge["prediction_id"] == endpoint["prediction_id"] == identifier
    assert (edge["message"], edge["status"], edge["location"]) == ("request", 200, PRIMARY)
    assert (endpoint["status"], endpoint["route_epoch"], endpoint["level"]) == (200, 1, "info")
    untraced = [line for line in lines(shop, f"shop@{PRIMARY}") if "prediction_id" in line and "trace_id" not in line]
    assert untraced == []


def test_every_line_of_every_log_is_one_document(shop: Shop) -> None:
    """Controller, shipper, edge and model servers log alike, in JSON: when, how grave, who and what; so does Envoy itself."""
    folder, admin = DataPlaneFolder.of(shop.settings), f"http://127.0.0.1:{shop.settings.edge_admin_port}"
    httpx.post(f"{admin}/logging", params={"level": "debug"}, trust_env=False).raise_for_status()
    try:
        until(lambda: any(line["logger"] == "envoy.hc" for line in lines(shop, "envoy")), "the edge talks of its health checks")
    finally:
        httpx.post(f"{admin}/logging", params={"level": "warning"}, trust_env=False).raise_for_status()
    logs = [folder.own_log(name) for name in ("data_plane", "shipper", "envoy")]
    logs += [folder.endpoint("logs", f"shop@{location}") for location in (PRIMARY, WARM)]
    for log in logs:
        for line in log.read_text().splitlines():
            document = json.loads(line)
            assert {"time", "level", "logger", "message"} <= document.keys()
            assert datetime.fromisoformat(document["time"]).utcoffset() == timedelta(0)
            assert document["level"] in ("debug", "info", "warning", "error", "critical")
    assert any(line["message"].startswith("envoy, pid ") for line in map(json.loads, logs[0].read_text().splitlines()))


def test_a_collector_that_never_answers_is_waited_for_by_nobody(shop: Shop, collected: Collected) -> None:
    """Traced predictions are answered while every export of them still waits for its answer."""
    before, sampled = settled(shop), {"traceparent": f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"}
    with collected.hanging():
        ask(shop, 10, headers=sampled)
        until(lambda: collected.held > 0, "an export that hangs")
        assert {answer.status_code for answer in ask(shop, 100, headers=sampled)} == {200}
        after = settled(shop)
    (primary,) = (counts for counts in traffic_between(before, after) if counts.location == PRIMARY)
    assert (primary.requests, primary.failed, primary.given_up) == (110, 0, 0)


def test_a_wrong_collector_is_refused_before_anything_starts(shop: Shop, tmp_path: Path) -> None:
    """The data plane does not come up without the traces that were asked for, and says which setting is wrong."""
    settings = free_settings(tmp_path).model_copy(update={"otlp_endpoint": "localhost:4318"})
    with pytest.raises(ConfigurationError, match="MCML_OTLP_ENDPOINT is 'localhost:4318'; it must be such as http://"):
        ensure_data_plane(settings)


def test_each_location_counts_what_it_was_asked(shop: Shop) -> None:
    """Predictions count for the location that was asked, a frozen one is given up, and synthetic transactions count nowhere."""
    before = settled(shop)
    assert {answer.status_code for answer in ask(shop, 20)} == {200}
    assert httpx.get(f"{edge_url(shop.settings)}/UK/v2/models/shop/synthetic", trust_env=False).status_code == 200
    calm = settled(shop)
    asked = {counts.location: counts for counts in traffic_between(before, calm)}
    assert (asked[PRIMARY].requests, asked[PRIMARY].failed, asked[PRIMARY].given_up) == (20, 0, 0)
    assert asked[PRIMARY].quantile(0.5) is not None
    with frozen(shop, PRIMARY):
        assert {answer.status_code for answer in ask(shop, 5)} == {200}
    until(lambda: answered_by(shop) == PRIMARY, "the primary is back")
    ill = {counts.location: counts for counts in traffic_between(calm, settled(shop))}
    assert ill[PRIMARY].given_up > 0
    assert ill[WARM].requests >= 5
    assert ill[WARM].failed == 0


def test_an_endpoint_counts_predictions_apart_from_everything_else(shop: Shop) -> None:
    """Requests, lookups, version, digest and epoch are scraped from the server; synthetic transactions are no predictions."""
    server = targets(shop)[PRIMARY]

    def counts() -> tuple[float, float, float]:
        samples = scraped(server)
        return (
            sum(metric(samples, "mcml_endpoint_requests_total", verb="infer", status="200")),
            sum(metric(samples, "mcml_endpoint_online_lookup_seconds_count")),
            sum(metric(samples, "mcml_endpoint_requests_total", verb="synthetic", status="200")),
        )

    before = counts()
    ask(shop, 4)
    httpx.get(f"{edge_url(shop.settings)}/UK/v2/models/shop/synthetic", trust_env=False).raise_for_status()
    assert [now - then for now, then in zip(counts(), before, strict=True)] == [4, 4, 1]
    samples = scraped(server)
    assert metric(samples, "mcml_endpoint_model_info", location=PRIMARY, model_version="1", digest=shop.digest(1)) == [1]
    assert metric(samples, "mcml_endpoint_route_epoch") == [1]
    path = server.removeprefix("http://").partition("/")[2]
    assert httpx.get(f"{edge_url(shop.settings)}/{path}", trust_env=False).status_code == 404


def test_the_data_plane_tells_what_is_to_be_scraped_and_what_the_edge_obeys(shop: Shop) -> None:
    """Every running server and the edge are targets; routes, states and versions are gauges; a cold or missing one has none."""
    assert set(targets(shop)) == {"edge", PRIMARY, WARM}
    samples = scraped(data_plane(shop))
    route = {"workload": "shop", "jurisdiction": "UK"}
    assert metric(samples, "mcml_route_epoch", **route) == [1]
    assert metric(samples, "mcml_route_priority", location=PRIMARY, **route) == [0]
    assert metric(samples, "mcml_endpoint_state", location=PRIMARY, state="ready") == [1]
    assert metric(samples, "mcml_endpoint_model_version", location=WARM) == [1]
    assert scraped(targets(shop)["edge"])
    assert httpx.get(data_plane(shop, "/"), trust_env=False).status_code == 404


def test_a_real_prometheus_finds_every_metric_of_rules_and_dashboard(shop: Shop, tmp_path: Path) -> None:
    """With the shipped configuration all targets are up, all rules hold, and every metric and panel finds what it names."""
    with prometheus(tmp_path, shop.settings.metrics_port) as here:
        ask(shop, 20)
        # What the control plane does on a whole platform: a snapshot that the standby lacks, and synthetic transactions.
        stores = [snapshots(shop.settings, PRIMARY, noun) for noun in ("landing", "raw_data")]
        for store in stores:
            commit(store, {"t/one": b"one"}, tmp_path)
        jobs = {"mcml-data-plane", "mcml-edge", "mcml-endpoint"}
        until(lambda: {found["job"] for found in here.values("up == 1")} == jobs, "all targets are scraped")
        assert here.values("up == 0") == []
        named = {name for expression in expressions() for name in metrics_in(expression)}

        def missing() -> set[str]:
            return named - set(here.ask("/label/__name__/values"))

        def found() -> bool:
            record_synthetic(DataPlaneFolder.of(shop.settings), "shop.UK", True, 1, None, "UK")
            return ask(shop, 2) != [] and not missing()

        until(found, f"all metrics; at first without {missing()}", READY_SECONDS)
        assert {found["location"] for found in here.values("mcml_replication_lag_known == 1")} >= {PRIMARY, WARM}
        groups = here.ask("/rules")["groups"]
        assert {rule["health"] for group in groups for rule in group["rules"]} == {"ok"}
        for expression in expressions():
            here.values(expression)


def expressions() -> list[str]:
    """Every expression of the rules and the dashboard, as Prometheus is asked it."""
    recorded = [rule["expr"] for rule in rules()]
    drawn = [target["expr"].replace("$route", ".*") for panel in panels() for target in panel["targets"]]
    return recorded + drawn


def test_top_sees_a_frozen_location_without_dagster(shop: Shop) -> None:
    """Rates, times, route and standing of each location come from the live edge; one that hangs is seen, and by its name."""
    watching = Watching([shop.workload], load_topology(Settings().topology_file), shop.settings)

    def seen() -> dict[str, LocationTop]:
        view = watching.look()
        assert view.edge_problem is None
        return {row.location: row for row in view.locations}

    try:
        seen()
        ask(shop, 20)
        settled(shop)
        calm = seen()
        assert {location: row.edge for location, row in calm.items()} == {
            PRIMARY: Asked.ASKED, WARM: Asked.ASKED, COLD: Asked.ABSENT
        }  # fmt: skip
        assert (calm[PRIMARY].route_acting, calm[PRIMARY].route_epoch) == (PRIMARY, 1)
        assert (calm[PRIMARY].requests_per_second or 0) > 0
        assert calm[PRIMARY].p50_milliseconds is not None
        assert calm[WARM].requests_per_second == 0
        with frozen(shop, PRIMARY):
            ask(shop, 5)
            until(lambda: seen()[PRIMARY].edge in (Asked.EJECTED, Asked.UNHEALTHY), "the edge leaves it out")
            ill = seen()[PRIMARY]
            assert not ill.healthy
            assert (ill.budget_left or 0) < (calm[PRIMARY].budget_left or 0)
        until(lambda: seen()[PRIMARY].edge is Asked.ASKED, "it is asked again")
    finally:
        watching.close()
