"""What the kserve platform does when the cluster, its rights or its objects are not as they should be."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft202012Validator

from mcml_assets.configuration.settings import PROJECT_ROOT
from mcml_assets.domain.endpoint_access import ClusterEndpoints
from mcml_assets.domain.errors import (
    ConfigurationError,
    CredentialsRejected,
    LocationUnavailable,
    PreconditionFailed,
    TransientError,
)
from mcml_assets.serving.interfaces import EndpointState
from mcml_assets.serving.kserve.cluster import VERBS, Cluster
from mcml_assets.serving.kserve.objects import cluster_object
from mcml_assets.serving.kserve.platform import KServePlatform
from mcml_assets_tests.serving.kserve_schema import inference_service_schema
from mcml_assets_tests.serving.platforms.benches import CONTEXT, ClusterBench
from mcml_assets_tests.serving.platforms.kubernetes_api import KEPT_EVENTS, READER, TOKEN, api_server, kubeconfig
from mcml_assets_tests.serving.served_shop import PRIMARY, shop_workload

NAMESPACE = "london"
NAME = f"shop@{PRIMARY}"


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with api_server(NAMESPACE) as running:
        yield running


@pytest.fixture
def enter(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ClusterBench]:
    """The platform of an empty namespace, entered with a token."""
    server.store.objects.clear()
    server.has_kserve, server.out_of_order = True, False
    workload = shop_workload(tmp_path / "shop")

    def make(token: str = TOKEN, namespace: str = NAMESPACE, port: int = server.server_port) -> ClusterBench:
        file = tmp_path / "kubeconfig"
        file.write_text(kubeconfig(f"http://127.0.0.1:{port}", token, CONTEXT))
        monkeypatch.setenv("KUBECONFIG", str(file))
        return ClusterBench("kserve", workload, namespace)

    return make


@pytest.mark.live
def test_a_refusal_says_who_may_act(server: Any, enter: Callable[..., ClusterBench]) -> None:
    """Lacking rights are a location that is down for us, a missing namespace a mistake, an outage an outage."""
    for token in ("unknown", READER):
        bench = enter(token)
        with pytest.raises(CredentialsRejected, match=r"endpoint-role\.yaml"):
            bench.platform.apply(bench.manifest(1))
    bench = enter(namespace="paris")
    with pytest.raises(ConfigurationError, match="no namespace 'paris', or no KServe"):
        bench.platform.apply(bench.manifest(1))
    server.out_of_order = True
    with pytest.raises(LocationUnavailable, match="HTTP 503"):
        enter().platform.status(NAME)
    with pytest.raises(LocationUnavailable, match="does not answer"):
        enter(port=1).platform.status(NAME)


@pytest.mark.live
def test_an_unknown_context_is_named(enter: Callable[..., ClusterBench]) -> None:
    """A context that the kubeconfig file lacks is told with what lists them, and the file's content is not."""
    enter("secret-token")
    lost = KServePlatform(PRIMARY, ClusterEndpoints("kserve", "gke-london", NAMESPACE, "mcml-server", "image"))
    with pytest.raises(ConfigurationError, match="no usable context 'gke-london'") as raised:
        lost.status(NAME)
    assert "secret-token" not in str(raised.value)


@pytest.mark.live
def test_two_writers_never_overwrite_each_other_unseen(
    enter: Callable[..., ClusterBench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write between our reading and our writing is noticed, and the wish is made again upon what is there now; who
    never stops writing is told of.
    """
    bench = enter()
    bench.platform.apply(bench.manifest(1))
    read, others = Cluster.get, [3]

    def overtaken(cluster: Cluster, name: str) -> dict[str, Any] | None:
        present = read(cluster, name)
        if present is not None and others[0]:
            others[0] -= 1
            changed = read(cluster, name)
            assert changed is not None
            changed["metadata"].setdefault("labels", {})["team"] = f"team-{others[0]}"
            cluster.replace(name, changed)
        return present

    monkeypatch.setattr(Cluster, "get", overtaken)
    bench.platform.apply(bench.manifest(2))
    stored = read(bench.kserve.cluster, "shop")
    assert stored is not None
    assert stored["metadata"]["labels"]["team"] == "team-0"
    assert bench.platform.status(NAME).wanted_version == 2
    others[0] = 1000
    with pytest.raises(PreconditionFailed):
        bench.platform.apply(bench.manifest(1))


@pytest.mark.live
def test_wanting_the_same_again_writes_nothing(server: Any, enter: Callable[..., ClusterBench]) -> None:
    """Repeating a manifest leaves the object's version as it is; a field that somebody changed is set right."""
    bench = enter()
    bench.platform.apply(bench.manifest(1))
    version = server.store.version
    bench.platform.apply(bench.manifest(1))
    assert server.store.version == version
    changed = bench.kserve.cluster.get("shop")
    assert changed is not None
    changed["spec"]["predictor"]["containers"][0]["image"] = "somebody/else"
    bench.kserve.cluster.replace("shop", changed)
    bench.platform.apply(bench.manifest(1))
    mended = bench.kserve.cluster.get("shop")
    assert mended is not None
    assert (
        mended["spec"]["predictor"]["containers"][0]["image"]
        == bench.manifest(1)["spec"]["predictor"]["containers"][0]["image"]
    )


@pytest.mark.live
def test_an_object_of_somebody_else_is_left_alone(enter: Callable[..., ClusterBench]) -> None:
    """An InferenceService that another location or nobody of the platform made is neither changed nor deleted."""
    bench = enter()
    bench.platform.apply(bench.manifest(1))
    other = f"shop@{PRIMARY.replace('2', '1')}"
    for act in (bench.platform.status, bench.platform.delete, bench.platform.former):
        with pytest.raises(ConfigurationError, match="belongs to shop@aws/eu-west-2; give each location a namespace"):
            act(other)
    foreign = bench.kserve.cluster.get("shop")
    assert foreign is not None
    del foreign["metadata"]["annotations"]["mcml.dev/manifest"]
    bench.kserve.cluster.replace("shop", foreign)
    with pytest.raises(ConfigurationError, match="nobody of this platform"):
        bench.platform.apply(bench.manifest(2))


@pytest.mark.live
def test_what_is_being_deleted_is_not_wanted(server: Any, enter: Callable[..., ClusterBench]) -> None:
    """An object that KServe has not let go of yet answers for nobody, and is not made anew before it is gone."""
    bench = enter()
    bench.platform.apply(bench.manifest(1))
    bench.controller.ready("shop")
    server.store.objects[NAMESPACE, "shop"]["metadata"]["deletionTimestamp"] = "2024-07-01T00:00:00Z"
    assert bench.platform.status(NAME).state is EndpointState.STOPPED
    assert bench.platform.kept_packages(NAME) == frozenset()
    with pytest.raises(PreconditionFailed):
        bench.platform.apply(bench.manifest(1))
    server.store.objects.clear()
    bench.platform.apply(bench.manifest(1))
    assert bench.platform.status(NAME).state is EndpointState.PENDING


@pytest.mark.live
def test_a_forgotten_version_is_read_anew(server: Any, enter: Callable[..., ClusterBench]) -> None:
    """A watch from a version that the server no longer has ends as a change, not as an error."""
    bench = enter()
    bench.platform.apply(bench.manifest(1))
    first = server.store.version
    for _ in range(KEPT_EVENTS):
        bench.controller.starting("shop")
        bench.controller.ready("shop")
    bench.kserve.cluster.wait_for_change("shop", str(first), 5)
    assert bench.platform.wait_ready(NAME, "1" * 64, 5).healthy


@pytest.mark.live
def test_what_the_version_before_left_behind_is_not_believed(enter: Callable[..., ClusterBench]) -> None:
    """A refusal counts for the package that it names, so a new version is not refused for the old one's sake; one that
    ends without a word is an outage.
    """
    bench = enter()
    bench.platform.apply(bench.manifest(3))
    bench.controller.refused("shop", "CorruptSnapshot", "3" * 64)
    assert bench.platform.status(NAME).error == "CorruptSnapshot"
    bench.platform.apply(bench.manifest(1))
    bench.controller.refused("shop", "CorruptSnapshot", "3" * 64)
    assert bench.platform.status(NAME).state is EndpointState.STARTING
    bench.controller.failed("shop")
    with pytest.raises(LocationUnavailable, match="OOMKilled"):
        bench.platform.wait_ready(NAME, "1" * 64, 0)
    bench.controller.starting("shop")
    with pytest.raises(TransientError, match="PredictorNotReady: containers are starting"):
        bench.platform.wait_ready(NAME, "1" * 64, 0)


@pytest.mark.parametrize("platform", ["kserve", "kserve-standard"])
@pytest.mark.parametrize("running", [True, False])
def test_kserve_and_kubernetes_would_take_the_object(tmp_path: Path, platform: Any, running: bool) -> None:
    """What is stored in a cluster fulfils KServe's schema with no field unknown to it, and its container is one that
    Kubernetes takes in a pod.
    """
    bench = ClusterBench(platform, shop_workload(tmp_path / "shop"), NAMESPACE)
    manifest = bench.manifest(1, running=running)
    percent = 20 if platform == "kserve" else 100
    stored = cluster_object(manifest, bench.access, percent=percent, former=bench.manifest(2))
    Draft202012Validator(inference_service_schema()).validate(stored)
    predictor = stored["spec"]["predictor"]
    of_pods = ("containers", "serviceAccountName")
    spec = {key: value for key, value in predictor.items() if key in of_pods}
    assert len(spec) == len(of_pods)
    kubernetes_validate.validate(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": spec}, "1.37", strict=True
    )
    assert predictor["containers"][0]["args"][-4:-2] == ["--host", "0.0.0.0"]  # noqa: S104 - within its pod
    # Kubernetes' own bound on all annotations of an object.
    assert sum(map(len, stored["metadata"]["annotations"].values())) < 256 * 1024


def test_the_role_is_what_the_platform_asks_for() -> None:
    """The role that people are to grant is valid, and grants the verbs that the client uses on InferenceServices only."""
    documents = list(yaml.safe_load_all((PROJECT_ROOT / "deploy" / "kubernetes" / "endpoint-role.yaml").read_text()))
    for document in documents:
        kubernetes_validate.validate(document, "1.37", strict=True)
    role, binding, account = documents
    assert role["rules"] == [{"apiGroups": ["serving.kserve.io"], "resources": ["inferenceservices"], "verbs": list(VERBS)}]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert account["automountServiceAccountToken"] is False
