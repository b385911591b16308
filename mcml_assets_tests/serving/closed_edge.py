"""A real edge that asks who calls, over TLS, before one real model server; and the callers that may ask it."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from mcml_assets.domain.errors import ConfigurationError, LocationUnavailable, TransientError
from mcml_assets.domain.route import Route, RouteLocation, plan_route
from mcml_assets.serving.client import answering_location
from mcml_assets.serving.data_plane import edge_url, ensure_data_plane, stop_data_plane
from mcml_assets.serving.edge.callers import Caller, file_name, new_token, write_caller
from mcml_assets.serving.local_platform import LocalEndpointPlatform
from mcml_assets.serving.routes import publish_route
from mcml_assets_tests.serving.edge.certificates import Authority, Issued
from mcml_assets_tests.serving.served_shop import CUSTOMER, PRIMARY, TIME, Shop, build_shop
from mcml_assets_tests.serving.waiting import until

INFER = "/UK/v2/models/shop/infer"
QUESTION = {"inputs": [{"name": "customer_id", "datatype": "INT64", "shape": [1], "data": [CUSTOMER]}]}
BATCH = "spiffe://mcml/batch"
READY_SECONDS = 90


@dataclass
class ClosedEdge:
    """The shop, its authority, and what callers need to ask."""

    shop: Shop
    authority: Authority
    folder: Path

    def add(self, name: str, **changes: object) -> str:
        """A caller of the shop in the UK with a token, and the token."""
        token, public_key = new_token(name, datetime.now(UTC) + timedelta(hours=1))
        caller = Caller(
            name, "token", public_key, datetime.now(UTC) + timedelta(hours=1), ("shop",), ("UK",), 1000, False,
            self.folder / file_name(name),
        )  # fmt: skip
        write_caller(self.folder, replace(caller, **changes))  # pyright: ignore[reportArgumentType] - fields by name
        return token

    def add_certificate(self, uri: str) -> Issued:
        """A caller of the shop in the UK with a certificate, and the certificate."""
        file = self.folder / file_name(uri)
        write_caller(self.folder, Caller(uri, "certificate", None, None, ("shop",), ("UK",), 1000, False, file))
        return self.authority.issue(file.stem, uri=uri)

    def client(self, token: str | None = None, shown: Issued | None = None) -> httpx.Client:
        """A client of the edge with a token, a certificate, or neither."""
        context = ssl.create_default_context(cafile=self.authority.file)
        if shown is not None:
            context.load_cert_chain(shown.certificate, shown.key)
        headers = {"authorization": f"Bearer {token}"} if token is not None else {}
        return httpx.Client(base_url=edge_url(self.shop.settings), verify=context, headers=headers, trust_env=False, timeout=30)

    @contextmanager
    def known(self, name: str, **changes: object) -> Iterator[httpx.Client]:
        """A client with the token of a new caller, once the edge knows it."""
        with self.client(self.add(name, **changes)) as client:
            until(lambda: client.get("/routes").status_code == 200, f"the edge knows {name}")
            yield client


@contextmanager
def closed_edge(home: Path) -> Iterator[ClosedEdge]:
    """Version 1 in one location, and a route of `loans` in the US which no location answers."""
    shop = build_shop(home, versions=1)
    authority = Authority(home)
    own = authority.issue("edge")
    settings = shop.settings.model_copy(
        update={
            "edge_callers": home / "callers",
            "edge_tls_certificate": own.certificate,
            "edge_tls_key": own.key,
            "edge_client_authority": authority.file,
            "edge_authority": authority.file,
        }
    )
    shop = replace(shop, settings=settings)
    platform = LocalEndpointPlatform(settings)
    try:
        ensure_data_plane(settings)
        platform.apply(shop.manifest(PRIMARY, 1))
        publish_route(plan_route("shop", shop.workload.placement("UK"), PRIMARY, {PRIMARY}, 1, 1, TIME), settings)
        publish_route(Route("loans", "US", 1, 1, (RouteLocation("aws/us-east-1", 100, 0),), TIME), settings)
        platform.wait_ready(f"shop@{PRIMARY}", shop.digest(1), READY_SECONDS)
        until(lambda: _answers(shop), "the edge answers")
        yield ClosedEdge(shop, authority, home / "callers")
    finally:
        stop_data_plane(settings)


def _answers(shop: Shop) -> bool:
    try:
        return answering_location(shop.settings, shop.workload, "UK") == PRIMARY
    except (ConfigurationError, LocationUnavailable, TransientError):
        return False
