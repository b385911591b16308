"""What `mcml doctor` promises about clusters: what is missing is named with what mends it, and nothing is changed."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mcml_assets.doctor.checks import State
from mcml_assets.doctor.endpoints import endpoint_checks
from mcml_assets.domain.endpoint_access import ClusterEndpoints
from mcml_assets_tests.serving.platforms.benches import CONTEXT, SageMakerBench, s3_location
from mcml_assets_tests.serving.platforms.kubernetes_api import READER, TOKEN, api_server, kubeconfig
from mcml_assets_tests.serving.platforms.sagemaker_api import sagemaker
from mcml_assets_tests.serving.served_shop import PRIMARY, location

pytestmark = pytest.mark.live


@pytest.fixture
def server() -> Iterator[Any]:
    with api_server("london") as running:
        yield running


def found(context: str = CONTEXT) -> dict[str, tuple[State, str, str | None]]:
    access = ClusterEndpoints("kserve", context, "london", "mcml-server", "image", "features")
    checks = endpoint_checks(replace(location(PRIMARY), endpoints=access))
    return {check.name: (check.state, check.detail, check.remedy) for check in checks}


def test_a_cluster_is_asked_what_we_need(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster with KServe and our rights passes; a missing definition, lacking rights, a dead cluster and an unknown
    context are each told, with what mends them.
    """
    file = tmp_path / "kubeconfig"
    monkeypatch.setenv("KUBECONFIG", str(file))

    def enter(token: str, port: int = server.server_port) -> None:
        file.write_text(kubeconfig(f"http://127.0.0.1:{port}", token, CONTEXT))

    enter(TOKEN)
    assert {name: state for name, (state, _, _) in found().items()} == {"platform": State.OK, "platform_rights": State.OK}
    enter(READER)
    state, detail, remedy = found()["platform_rights"]
    assert (state, detail) == (State.ERROR, "we may not create, update, delete InferenceServices in namespace 'london'")
    assert remedy == f"kubectl --context {CONTEXT} --namespace london apply -f deploy/kubernetes/endpoint-role.yaml"
    enter(TOKEN)
    server.has_kserve = False
    state, detail, remedy = found()["platform"]
    assert (state, remedy) == (State.ERROR, "install KServe in the cluster")
    assert "knows no InferenceServices" in detail
    assert found("gke-london")["platform"][0] is State.ERROR
    enter(TOKEN, port=1)
    assert "does not answer" in found()["platform"][1]
    assert server.store.version == 1, "something was written"


def test_sagemaker_is_asked_whether_it_answers() -> None:
    """SageMaker that answers passes, and one that does not is told."""
    with sagemaker("eu-west-2") as aws:
        reached = list(endpoint_checks(s3_location(SageMakerBench.access_at(aws.address))))
    assert [(check.name, check.state) for check in reached] == [
        ("platform", State.OK),
        ("platform_rights", State.NOT_APPLICABLE),
    ]
    (lost,) = endpoint_checks(s3_location(SageMakerBench.access_at("http://127.0.0.1:1")))
    assert (lost.name, lost.state) == ("platform", State.ERROR)


def test_a_location_of_this_machine_is_not_asked() -> None:
    """Endpoints of this machine have no platform to test."""
    assert list(endpoint_checks(location(PRIMARY))) == []
