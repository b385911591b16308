"""The workload `shop` served in two locations behind an edge, for tests of what can be watched of it."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx

from mcml_assets.domain.errors import McmlError
from mcml_assets.domain.route import plan_route
from mcml_assets.serving.client import predict
from mcml_assets.serving.data_plane import edge_url, ensure_data_plane, stop_data_plane
from mcml_assets.serving.local_platform import LocalEndpointPlatform
from mcml_assets.serving.routes import publish_route
from mcml_assets_tests.serving.served_shop import CUSTOMER, PRIMARY, TIME, WARM, Shop, build_shop
from mcml_assets_tests.serving.waiting import until

READY_SECONDS = 180
QUESTION = {"inputs": [{"name": "customer_id", "datatype": "INT64", "shape": [1], "data": [CUSTOMER]}]}


@contextmanager
def watched_shop(home: Path, **settings: object) -> Iterator[Shop]:
    """Version 1 in the primary and a warm standby, which answer through the edge; ended at the end."""
    built = build_shop(home, versions=1)
    shop = replace(built, settings=built.settings.model_copy(update={"prediction_log_seconds": 1.0, **settings}))
    platform = LocalEndpointPlatform(shop.settings)
    try:
        ensure_data_plane(shop.settings)
        for key in (PRIMARY, WARM):
            platform.apply(shop.manifest(key, 1))
        publish_route(plan_route("shop", shop.workload.placement("UK"), PRIMARY, {PRIMARY, WARM}, 1, 1, TIME), shop.settings)
        for key in (PRIMARY, WARM):
            platform.wait_ready(f"shop@{key}", shop.digest(1), READY_SECONDS)
        until(lambda: answered_by(shop) == PRIMARY, "an answer from the primary", READY_SECONDS)
        yield shop
    finally:
        stop_data_plane(shop.settings)


def answered_by(shop: Shop) -> str | None:
    """Who answers now; None for nobody."""
    try:
        return predict(shop.settings, shop.workload, CUSTOMER, "UK").location
    except McmlError:
        return None


def ask(shop: Shop, times: int, headers: dict[str, str] | None = None) -> list[httpx.Response]:
    """Answers to so many predictions, one after the other."""
    with httpx.Client(base_url=edge_url(shop.settings), trust_env=False, timeout=5, headers=headers) as client:
        return [client.post("/UK/v2/models/shop/infer", json=QUESTION) for _ in range(times)]


@contextmanager
def frozen(shop: Shop, location: str) -> Iterator[None]:
    """The location's server hangs meanwhile: SIGSTOP."""
    pid = LocalEndpointPlatform(shop.settings).status(f"shop@{location}").pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
