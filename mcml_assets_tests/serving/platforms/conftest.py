"""The platforms that the conformance suite runs over.

With MCML_KUBERNETES naming a folder that holds kube-apiserver and etcd, as `make test-k8s` does, the clusters are real
API servers; without it they are the small one of `kubernetes_api.py`.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mcml_assets.domain.endpoint_access import PLATFORM_NAMES, PlatformName
from mcml_assets.serving.data_plane import ensure_data_plane, stop_data_plane
from mcml_assets_tests.serving.platforms.benches import CONTEXT, REGION, Bench, ClusterBench, LocalBench, SageMakerBench
from mcml_assets_tests.serving.platforms.kubernetes_api import TOKEN, api_server, kubeconfig
from mcml_assets_tests.serving.platforms.real_kubernetes import real_api_server
from mcml_assets_tests.serving.platforms.sagemaker_api import sagemaker
from mcml_assets_tests.serving.served_shop import build_shop, shop_workload

KUBERNETES = os.environ.get("MCML_KUBERNETES")
NAMESPACES = ("kserve", "kserve-standard")


@pytest.fixture(scope="session")
def benches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Bench]]:
    """Benches by platform, each made when it is first asked for, and ended with the session."""
    home = tmp_path_factory.mktemp("platforms")
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        made: dict[str, Bench] = {}

        def cluster() -> None:
            file = home / "kubeconfig"
            if "KUBECONFIG" in os.environ and os.environ["KUBECONFIG"] == str(file):
                return
            if KUBERNETES is not None:
                file.write_text(stack.enter_context(real_api_server(Path(KUBERNETES), home, NAMESPACES, CONTEXT)))
            else:
                server = stack.enter_context(api_server(*NAMESPACES))
                file.write_text(kubeconfig(f"http://127.0.0.1:{server.server_port}", TOKEN, CONTEXT))
            patch.setenv("KUBECONFIG", str(file))

        def make(name: str) -> Bench:
            if name == "local":
                shop = build_shop(home / "local", versions=2)
                stack.callback(stop_data_plane, shop.settings)
                ensure_data_plane(shop.settings)
                return LocalBench(shop)
            if name == "sagemaker":
                return SageMakerBench(shop_workload(home / "sagemaker"), stack.enter_context(sagemaker(REGION)))
            cluster()
            platform: PlatformName = next(one for one in PLATFORM_NAMES if one == name)
            return ClusterBench(platform, shop_workload(home / name), namespace=name)

        def bench(name: str) -> Bench:
            if name not in made:
                made[name] = make(name)
            return made[name]

        yield bench


@pytest.fixture(params=PLATFORM_NAMES)
def bench(request: pytest.FixtureRequest, benches: Callable[[str], Bench]) -> Iterator[Bench]:
    """A platform on which nothing is wanted; what a test wants is deleted after it."""
    made = benches(request.param)
    yield made
    made.clean()
