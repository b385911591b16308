"""Promises of gateways: the edge of this machine is answered by models elsewhere as by its own, and nothing else changes."""

import json
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

import pandas as pd
import pytest

from mcml_assets.domain.endpoint_access import ClusterEndpoints
from mcml_assets.domain.errors import ConfigurationError, CredentialsRejected, LocationUnavailable
from mcml_assets.domain.route import plan_route
from mcml_assets.domain.topology import Location
from mcml_assets.serving.data_plane import ensure_data_plane, stop_data_plane
from mcml_assets.serving.folder import DataPlaneFolder
from mcml_assets.serving.gateway.elsewhere import ask_cluster, ask_sagemaker
from mcml_assets.serving.golden import ask_golden
from mcml_assets.serving.instance import find_instances
from mcml_assets.serving.interfaces import EndpointState
from mcml_assets.serving.kserve.platform import KServePlatform
from mcml_assets.serving.manifest import inference_service
from mcml_assets.serving.package import held_package_folder, load_model, read_package
from mcml_assets.serving.platforms import PlacedPlatforms, placed_platforms
from mcml_assets.serving.routes import publish_route
from mcml_assets.serving.sagemaker.objects import model_request
from mcml_assets_tests.ports import free_ports
from mcml_assets_tests.serving.collector import Collected, Span, collector
from mcml_assets_tests.serving.edge.certificates import Authority
from mcml_assets_tests.serving.platforms.benches import REGION, SageMakerBench, s3_location
from mcml_assets_tests.serving.platforms.elsewhere import container, ingress, runtime, sagemaker_container
from mcml_assets_tests.serving.platforms.kserve_controller import KServeController
from mcml_assets_tests.serving.platforms.kubernetes_api import TOKEN, api_server, kubeconfig
from mcml_assets_tests.serving.platforms.sagemaker_api import SageMaker, sagemaker
from mcml_assets_tests.serving.served_shop import CUSTOMER, FEATURE_SNAPSHOT, PRIMARY, TIME, WARM, Shop, build_shop
from mcml_assets_tests.serving.test_data_plane import traffic
from mcml_assets_tests.serving.waiting import until
from mcml_assets_tests.serving.watched_shop import ask

KEY, SECRET = "AKIATEST", "a-secret-of-nobody"
HOST = "shop-mcml.gke.example.com"
NAMESPACE, CONTEXT = "mcml", "gke-london"
TOPOLOGY = """\
compute_profiles:
  small: {{cpu: 1, memory_gib: 1}}
clouds:
  aws:
    store: {{kind: s3}}
    regions:
      eu-west-2:
        jurisdiction: UK
        bucket: one
        credentials: {{method: keys, access_key_id: {{env: TEST_KEY}}, secret_access_key: {{env: TEST_SECRET}}}}
        compute_profiles: [small]
        egress_price: 0.09
        currency: USD
        endpoints:
          platform: sagemaker
          role_arn: "arn:aws:iam::000000000000:role/mcml-sagemaker"
          image: "000000000000.dkr.ecr.eu-west-2.amazonaws.com/mcml-assets:1"
          instance_type: ml.m5.large
          alarms: [errors-high]
          address: "{runtime}"
  gcp:
    store: {{kind: gcs}}
    regions:
      europe-west2:
        jurisdiction: UK
        bucket: two
        credentials: {{method: workload_identity}}
        compute_profiles: [small]
        egress_price: 0.12
        currency: USD
        endpoints:
          platform: kserve
          context: gke-london
          namespace: mcml
          service_account: mcml-server
          image: "registry.example.com/mcml-assets:1"
          ingress: "{ingress}"
          authority: "{authority}"
"""


@dataclass(frozen=True)
class Elsewhere:
    """The shop, its platforms, and what the platforms' own doors saw; SageMaker's containers by version, and the ports of
    those that answer or did.
    """

    shop: Shop
    platforms: PlacedPlatforms
    invoked: list[tuple[str, bytes]]
    names: list[str]
    aws: SageMaker
    sagemaker: list[Popen[bytes]]
    behind: list[int]
    second_port: int
    collected: Collected


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    """SageMaker first and KServe behind it, each with its own model server, behind one edge of this machine."""
    home = tmp_path_factory.mktemp("home")
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        first_port, second_port, pod_port, ingress_port, runtime_port = free_ports(5)
        authority = Authority(home)
        topology = home / "topology.yaml"
        named = {"runtime": f"http://127.0.0.1:{runtime_port}", "ingress": f"https://127.0.0.1:{ingress_port}"}
        topology.write_text(TOPOLOGY.format(**named, authority=authority.file))
        built = build_shop(home, versions=2)
        collected = stack.enter_context(collector())
        traces = {"otlp_endpoint": collected.address, "trace_share": 0.0}
        shop = Shop(built.workload, built.settings.model_copy(update={"topology": topology, **traces}), built.packages)
        tracing = {"MCML_OTLP_ENDPOINT": collected.address, "MCML_TRACE_SHARE": "0"}
        server = stack.enter_context(api_server(NAMESPACE))
        (home / "kubeconfig").write_text(kubeconfig(f"http://127.0.0.1:{server.server_port}", TOKEN, CONTEXT))
        for name, value in (("KUBECONFIG", str(home / "kubeconfig")), ("TEST_KEY", KEY), ("TEST_SECRET", SECRET)):
            patch.setenv(name, value)
        aws = stack.enter_context(sagemaker(REGION))
        platforms = placed_platforms(shop.settings)
        manifests = {key: _manifest(shop, platforms.topology.location(key), 1) for key in (PRIMARY, WARM)}
        behind = [first_port]
        invoked = stack.enter_context(runtime(runtime_port, aws.address, behind, KEY, SECRET, REGION))
        names = stack.enter_context(ingress(HOST, authority.issue("ingress", host=HOST), ingress_port, pod_port))
        access = platforms.topology.location(PRIMARY).endpoints
        containers = list[Popen[bytes]]()
        for version, port in ((1, first_port), (2, second_port)):
            manifest = _manifest(shop, platforms.topology.location(PRIMARY), version)
            environment = tracing | model_request(manifest, access)["PrimaryContainer"]["Environment"]  # pyright: ignore[reportArgumentType] - by the topology above
            log = home / f"sagemaker-{version}.log"
            containers.append(stack.enter_context(sagemaker_container(environment, shop.packages[version], port, log)))
        arguments = manifests[WARM]["spec"]["predictor"]["containers"][0]["args"]
        stack.enter_context(container(arguments, shop.packages[1], pod_port, home / "pod.log", tracing))
        stack.callback(stop_data_plane, shop.settings)
        ensure_data_plane(shop.settings)
        for key in (PRIMARY, WARM):
            _hold(shop, key, 1)
            platforms.apply(manifests[key])
        cluster = platforms.topology.location(WARM).endpoints
        assert isinstance(cluster, ClusterEndpoints)
        KServeController(KServePlatform(WARM, cluster).cluster).ready("shop", f"http://{HOST}")
        placement = shop.workload.placement("UK")
        publish_route(plan_route("shop", placement, PRIMARY, {PRIMARY, WARM}, 1, 1, TIME), shop.settings)
        for key in (PRIMARY, WARM):
            assert platforms.wait_ready(f"shop@{key}", shop.digest(1), 90).state is EndpointState.READY
        yield Elsewhere(shop, platforms, invoked, names, aws, containers, behind, second_port, collected)


def _manifest(shop: Shop, location: Location, version: int) -> dict[str, Any]:
    return inference_service(
        shop.workload, shop.workload.placed(location.key), package_uri=f"s3://{location.bucket}/endpoints/shop/{version}",
        features_uri=None, model_version=version, digest=shop.digest(version),
    )  # fmt: skip


def _hold(shop: Shop, key: str, version: int) -> None:
    """The location holds the package, as the `endpoint` asset sees to before it wants one."""
    held = held_package_folder(shop.settings.location_folder(key), "shop", shop.digest(version))
    shutil.copytree(shop.packages[version], held)


@pytest.mark.live
def test_a_model_elsewhere_answers_through_the_edge(elsewhere: Elsewhere) -> None:
    """SageMaker is asked by a signed request that holds features and no customer, gives the score that the model gives here,
    and the location's own log keeps the answer.
    """
    shop = elsewhere.shop
    with traffic(shop.settings) as seen:
        until(lambda: seen.locations[-3:] == [PRIMARY] * 3, "SageMaker answers")
    assert {path for path, _ in elsewhere.invoked} == {"/endpoints/mcml-shop/invocations"}
    assert not any(str(CUSTOMER).encode() in body or b"customer" in body for _, body in elsewhere.invoked)
    spool = DataPlaneFolder.of(shop.settings).predictions / "shop" / PRIMARY.replace("/", "__")
    row = json.loads(next(spool.glob("*.jsonl")).read_text().splitlines()[0])
    features = pd.DataFrame([{"visits": 7, "spent": 40.5, "city": "York"}])
    here = load_model(read_package(shop.packages[1]))(features)[0]
    assert row["score"] == pytest.approx(here)
    assert (row["location"], row["model_digest"], row["feature_snapshot"], row["route_epoch"]) == (
        PRIMARY, shop.digest(1), FEATURE_SNAPSHOT, 1,
    )  # fmt: skip


def traced_to_the_model(elsewhere: Elsewhere, key: str) -> None:
    """Of one prediction it holds that its trace goes from the edge through the location's gateway to the model."""
    trace, caller = secrets.token_hex(16), secrets.token_hex(8)
    (answer,) = ask(elsewhere.shop, 1, headers={"traceparent": f"00-{trace}-{caller}-01"})
    assert (answer.status_code, answer.headers.get("x-mcml-location")) == (200, key)
    services = ("mcml-edge", "mcml-edge", *["mcml-endpoint"] * 4)
    names = ("endpoint infer", "model", "endpoint infer", "model")

    def gone() -> bool:
        ways = [way_to(span, elsewhere.collected.trace(trace), caller) for span in elsewhere.collected.trace(trace)]
        return any(
            tuple(span.service for span in way) == services
            and tuple(span.name for span in way[2:]) == names
            and {span.attributes["mcml.location"] for span in way[2:]} == {key}
            for way in ways
        )

    until(gone, "a way from the caller to the model elsewhere")


def way_to(span: Span, spans: Sequence[Span], caller: str) -> list[Span]:
    """The spans from the caller's to this one; none when one of them is not there."""
    by_id, way = {one.id: one for one in spans}, [span]
    while way[0].parent != caller:
        above = by_id.get(way[0].parent)
        if above is None:
            return []
        way.insert(0, above)
    return way


@pytest.mark.live
def test_a_trace_goes_on_to_sagemaker(elsewhere: Elsewhere) -> None:
    """SageMaker drops a caller's headers; its model's span stands below the gateway's all the same."""
    traced_to_the_model(elsewhere, PRIMARY)


@pytest.mark.live
def test_parity_asks_the_models_elsewhere(elsewhere: Elsewhere) -> None:
    """What each location's gateway gives as golden predictions was computed there just now, and is the package's."""
    before = len(elsewhere.invoked), len(elsewhere.names)
    for key in (PRIMARY, WARM):
        address = elsewhere.platforms.status(f"shop@{key}").address
        assert address is not None
        answer = ask_golden(key, address, "shop")
        golden = read_package(elsewhere.shop.packages[1]).golden.predictions
        assert (answer.digest, answer.predictions) == (elsewhere.shop.digest(1), pytest.approx(golden))
    assert len(elsewhere.invoked) > before[0]
    assert elsewhere.names[0] == HOST


@pytest.mark.live
def test_no_request_is_lost_while_a_version_changes_elsewhere(elsewhere: Elsewhere) -> None:
    """SageMaker shifts to another version in its own time, and the gateway of that version waits beside the former; in
    between KServe answers, no answer is of another version than it says, and SageMaker answers again by itself.
    """
    shop, platforms, name = elsewhere.shop, elsewhere.platforms, f"shop@{PRIMARY}"
    folder = DataPlaneFolder.of(shop.settings)
    _hold(shop, PRIMARY, 2)
    with traffic(shop.settings) as seen:
        until(lambda: seen.locations[-3:] == [PRIMARY] * 3, "SageMaker answers")
        platforms.apply(_manifest(shop, platforms.topology.location(PRIMARY), 2))
        until(lambda: 2 in {one.version for one in find_instances(folder)}, "the gateway of version 2 starts")
        assert "2" not in seen.versions
        elsewhere.behind.append(elsewhere.second_port)
        elsewhere.aws.ready("mcml-shop")
        assert platforms.wait_ready(name, shop.digest(2), 90).version == 2
        until(lambda: seen.versions[-20:] == ["2"] * 20, "version 2 answers")
    assert seen.lost == []
    pairs = set(zip(seen.locations, seen.versions, strict=True))
    assert pairs == {(PRIMARY, "1"), (WARM, "1"), (PRIMARY, "2")}


@pytest.mark.live
def test_no_request_is_lost_with_a_model_elsewhere(elsewhere: Elsewhere) -> None:
    """SageMaker's container is killed under load: KServe answers, over TLS under the service's own name; nothing is lost, the
    endpoint is not healthy any more, and its gateway is not taken for hung.
    """
    platforms = elsewhere.platforms
    gateway = platforms.status(f"shop@{PRIMARY}").pid
    with traffic(elsewhere.shop.settings) as seen:
        until(lambda: seen.locations[-3:] == [PRIMARY] * 3, "SageMaker answers")
        for one in elsewhere.sagemaker:
            one.kill()
        until(lambda: seen.locations[-20:] == [WARM] * 20, "KServe answers")
    assert seen.lost == []
    until(lambda: platforms.status(f"shop@{PRIMARY}").state is EndpointState.FAILED, "it is told")
    status = platforms.status(f"shop@{PRIMARY}")
    assert (status.error, status.pid, status.healthy) == ("LocationUnavailable", gateway, False)


@pytest.mark.live
def test_a_trace_goes_on_to_a_cluster(elsewhere: Elsewhere) -> None:
    """The pod's span stands below the gateway's, through the cluster's ingress."""
    assert None not in [one.poll() for one in elsewhere.sagemaker]
    traced_to_the_model(elsewhere, WARM)


def test_features_travel_under_tls_alone(tmp_path: Path) -> None:
    """No request leaves without TLS for another machine, and none for a server that has no certificate of this name."""
    cluster = ClusterEndpoints("kserve", CONTEXT, NAMESPACE, "mcml-server", "image")
    with pytest.raises(ConfigurationError, match="features travel by TLS only"):
        ask_cluster(WARM, cluster, "shop", f"http://{HOST}", 2)
    authority, (port, nobody) = Authority(tmp_path), free_ports(2)
    trusted = ClusterEndpoints(
        "kserve", CONTEXT, NAMESPACE, "mcml-server", "image", f"https://127.0.0.1:{port}", str(authority.file)
    )
    with ingress("other.example.com", authority.issue("other", host="other.example.com"), port, nobody):
        with pytest.raises(LocationUnavailable, match="ConnectError"):
            ask_cluster(WARM, trusted, "shop", f"http://{HOST}", 2)(b"{}")
        with pytest.raises(LocationUnavailable, match="HTTP status 503"):
            ask_cluster(WARM, trusted, "shop", "http://other.example.com", 2)(b"{}")


def test_a_wrong_signature_is_told() -> None:
    """Credentials that SageMaker refuses are an error of their own, so that nobody takes them for an outage; those that it
    takes reach the container, which is not there.
    """
    port, nobody = free_ports(2)
    access = SageMakerBench.access_at(f"http://127.0.0.1:{port}")

    def ask() -> None:
        ask_sagemaker(s3_location(access), access, "arn:aws:sagemaker:eu-west-2:000000000000:endpoint/mcml-shop", 2)(b"{}")

    with (
        runtime(port, f"http://127.0.0.1:{nobody}", [nobody], "AKIATEST", "another", REGION),
        pytest.raises(CredentialsRejected, match="mcml-shop"),
    ):
        ask()
    with (
        runtime(port, f"http://127.0.0.1:{nobody}", [nobody], "AKIATEST", "test", REGION) as invoked,
        pytest.raises(LocationUnavailable, match="503"),
    ):
        ask()
    assert [path for path, _ in invoked] == ["/endpoints/mcml-shop/invocations"]
