"""What heavy work promises wherever it runs: the same result, its errors by their type, the next profile when one is not to
be had, and no model from there that nobody compared.

With MCML_KUBERNETES naming a folder that holds kube-apiserver and etcd, as `make test-k8s` does, pods are those of a real API
server; without it of the small one of `pods_api.py`. Neither has a scheduler or a kubelet: the one of the tests runs them.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from mcml_assets.assets import failures
from mcml_assets.build import DEFS
from mcml_assets.compute import work
from mcml_assets.configuration.settings import TOPOLOGIES, Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.domain.compute_access import ClusterCompute
from mcml_assets.domain.topology import Topology
from mcml_assets_tests.assets.conftest import Bench, checks_of, failure_of
from mcml_assets_tests.compute.pods_api import NO_GPU, Kubelet, pods_server
from mcml_assets_tests.serving.platforms.kubernetes_api import TOKEN, kubeconfig
from mcml_assets_tests.serving.platforms.real_kubernetes import real_api_server

PRIMARY, CONTEXT, NAMESPACE = "azure/westeurope", "aks-westeurope", "mcml-westeurope"
KUBERNETES = os.environ.get("MCML_KUBERNETES")
GPU = "  gpu: {cpu: 1, memory_gib: 1, accelerator: l4, fallback: [small]}\n"


@pytest.fixture
def retail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A copy of an example in the EU, over a topology whose locations also have a profile with an accelerator."""
    folder = tmp_path / "defs" / "online_retail"
    shutil.copytree(DEFS / "online_retail", folder, ignore=shutil.ignore_patterns("__pycache__"))
    topology = (TOPOLOGIES / "local.yaml").read_text()
    topology = topology.replace("\nclouds:", f"\n{GPU}\nclouds:", 1).replace("[small, medium]", "[small, medium, gpu]")
    (tmp_path / "topology.yaml").write_text(topology)
    monkeypatch.setenv("MCML_TOPOLOGY", str(tmp_path / "topology.yaml"))
    made = Bench(folder / "defs.yaml", Settings(home=tmp_path / "home"))
    assert made.run("EU", "landing").success
    result = made.run(PRIMARY, "raw_data", "feature_snapshot")
    assert result.success, failure_of(result)
    return made


def on(bench: Bench, profile: str) -> Bench:
    """The same workload over the same clouds, with training on another profile."""
    file = bench.workload.directory / "defs.yaml"
    text = file.read_text().replace(
        "    compute_profile: small ", f"    compute_profile: {profile}\n    equivalence_tolerance: 0.05 #"
    )
    file.write_text(text)
    return Bench(file, bench.settings, bench.instance)


def recorded(result: dg.ExecuteInProcessResult) -> dict[str, object]:
    """The metadata of the training that a run materialized."""
    (event,) = result.get_asset_materialization_events()
    return {name: value.value for name, value in event.materialization.metadata.items()}


def test_without_its_accelerator_a_model_is_compared_before_it_counts(retail: Bench) -> None:
    """With nothing to compare it with it is refused; later it is taken, and who had to do without what is on record."""
    refused = on(retail, "gpu").run("EU", "training_run")
    assert not refused.success
    assert "as 'gpu' could not be had, and there is nothing to compare it with: no model is served" in failure_of(refused)
    file = retail.workload.directory / "defs.yaml"
    file.write_text(file.read_text().replace("compute_profile: gpu\n", "compute_profile: small\n"))
    plain = Bench(file, retail.settings, retail.instance)
    trained = plain.run("EU", "training_run")
    assert trained.success, failure_of(trained)
    assert recorded(trained)["compute_profile"] == "small"
    assert plain.run(PRIMARY, "model").success
    file.write_text(file.read_text().replace("compute_profile: small\n", "compute_profile: gpu\n"))
    again = Bench(file, retail.settings, retail.instance).run("EU", "training_run")
    assert again.success, failure_of(again)
    assert recorded(again)["compute_profile"] == "small"
    assert recorded(again)["profiles_not_to_be_had"] == "- `gpu`: this machine has no l4"
    (check,) = [found for found in again.get_asset_check_evaluations() if found.check_name == "quality"]
    assert "golden predictions the furthest is" in str(check.metadata["decision"].value)


def test_an_error_keeps_its_type_from_one_process_to_the_other(retail: Bench) -> None:
    """What a person has to mend is not tried again, and says the user's file and line, as if the run itself had met it."""
    train = retail.workload.directory / "train.py"
    train.write_text(
        train.read_text().replace("def train(", "def train(x, y):\n    raise ValueError('spoilt')\n\n\ndef former(")
    )
    result = retail.run("EU", "training_run")
    assert not result.success
    assert "ConfigurationError: online_retail: train.py:train failed" in failure_of(result)
    assert "spoilt" in failure_of(result)


def test_a_worker_that_dies_without_a_word_is_tried_again(retail: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a spot node is taken away: a transient error, bounded by the retries, and the pointer never moved."""
    monkeypatch.setattr(work.sys, "executable", "/bin/false")
    monkeypatch.setattr(failures, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(failures, "RETRIES", 1)  # Dagster waits ten seconds for the last words of each
    result = retail.run("EU", "training_run")
    assert not result.success
    assert "the work ended without a result" in failure_of(result)
    retried = [event for event in result.all_events if event.event_type_value == "STEP_RESTARTED"]
    assert len(retried) == failures.RETRIES
    assert retail.current(PRIMARY, "training_run") is None


@pytest.mark.live
def test_a_canary_trains_where_its_models_train(retail: Bench) -> None:
    """In a worker's process and not in the run's, by the same profile; its judgement, its evidence and its errors come back."""
    train = retail.workload.directory / "train.py"
    who = "    __import__('pathlib').Path(__file__).with_name(f'trainer.{__import__(\"os\").getpid()}').touch()\n"
    text = train.read_text()
    assert "    model = make_pipeline(" in text
    train.write_text(text.replace("    model = make_pipeline(", f"{who}    model = make_pipeline(", 1))
    assert retail.run("EU", "training_run").success
    assert retail.run(PRIMARY, "model").success
    of_training = trainers(retail)
    canary = retail.run(PRIMARY, "canary_training")
    assert canary.success, failure_of(canary)
    (of_canary,) = trainers(retail) - of_training
    assert of_canary != str(os.getpid())
    told = recorded(canary)
    assert (told["compute_profile"], told["agreement"]) == ("small", "agrees")
    assert checks_of(canary) == {"quality": True, "agreement": True}
    manifest = retail.stores.snapshots(retail.workload, PRIMARY, "canary_training").current()
    assert manifest is not None
    assert manifest.annotations["against"] == retail.current(PRIMARY, "model")
    assert list(retail.stores.bucket(PRIMARY).list("mcml-work")) == []
    train.write_text(train.read_text().replace(who, f"{who}    raise ValueError('spoilt')\n", 1))
    spoilt = retail.run(PRIMARY, "canary_training")
    assert "ConfigurationError: online_retail: train.py:train failed" in failure_of(spoilt)


def trainers(bench: Bench) -> set[str]:
    """The processes that called the user's `train`."""
    return {file.suffix[1:] for file in bench.workload.directory.glob("trainer.*")}


@pytest.fixture
def cluster(retail: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kubelet]:
    """The primary's work runs in a cluster; the kubelet's machine is this one."""
    access = ClusterCompute(CONTEXT, NAMESPACE, "work", "registry.example.com/mcml:1", "home", wait_seconds=2)

    def with_cluster(path: Path) -> Topology:
        topology = load_topology(path)
        location = replace(topology.location(PRIMARY), compute=access)
        return replace(topology, locations={**topology.locations, PRIMARY: location})

    # A topology file with a cluster over a local folder is refused; here both are this machine.
    monkeypatch.setattr("mcml_assets.resources.stores.load_topology", with_cluster)
    file = tmp_path / "kubeconfig"
    with ExitStack() as stack:
        if KUBERNETES is not None:
            file.write_text(stack.enter_context(real_api_server(Path(KUBERNETES), tmp_path, (NAMESPACE,), CONTEXT)))
        else:
            server = stack.enter_context(pods_server())
            file.write_text(kubeconfig(f"http://127.0.0.1:{server.server_port}", TOKEN, CONTEXT))
        monkeypatch.setenv("KUBECONFIG", str(file))
        yield stack.enter_context(Kubelet(file, CONTEXT, NAMESPACE, retail.settings.home))


@pytest.mark.live
def test_work_runs_as_a_pod_of_the_locations_cluster(retail: Bench, cluster: Kubelet) -> None:
    """Features and training of both profiles: pods with the location's identity, results through its bucket, no pod left."""
    file = retail.workload.directory / "defs.yaml"
    file.write_text(file.read_text().replace("  features:\n", "  features:\n    compute_profile: gpu\n", 1))
    bench = Bench(file, retail.settings, retail.instance)
    before = bench.current(PRIMARY, "feature_snapshot")
    features = bench.run(PRIMARY, "feature_snapshot")
    assert features.success, failure_of(features)
    assert bench.current(PRIMARY, "feature_snapshot") == before, "a pod computes what the run computed"
    assert NO_GPU in str(recorded(features)["profiles_not_to_be_had"])
    trained = bench.run("EU", "training_run")
    assert trained.success, failure_of(trained)
    assert [pod.spec.service_account_name for pod in cluster.ran] == ["work", "work"]
    assert cluster.ran[0].spec.containers[0].command == ["python", "-m", "mcml_assets.worker"]
    assert cluster.api.list_namespaced_pod(NAMESPACE).items == []
