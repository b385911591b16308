"""Promises of the chart to a real kube-apiserver, and of the instance's own launcher with the rights that the chart gives it.

Run by `make test-k8s`. The server is Debian's, of Kubernetes 1.20, with no kubelet, scheduler or controller: a Job's end is
written to it as the Job controller would. Kinds that are younger than it are named below and validated by schema elsewhere.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.launcher.base import LaunchRunContext, WorkerStatus
from kubernetes import client, config, utils

from mcml_assets_tests.deploy.chart import ENDPOINTS, NAMESPACE, named, pods, rendered
from mcml_assets_tests.serving.platforms.real_kubernetes import real_api_server

pytestmark = pytest.mark.live
# collect_ignore keeps this module away where the variable is not set.
BINARIES = Path(os.environ["MCML_KUBERNETES"])
CONTEXT = "chart"
YOUNGER = {"PodDisruptionBudget", "HorizontalPodAutoscaler"}
IMAGE = "registry.example.com/mcml-assets:0.1.0"


@dg.op
def nothing() -> None:
    """What the launched run would do."""


@dg.job
def launched() -> None:
    """A job, to be found again by its code's origin."""
    nothing()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cluster with the chart's objects in it; gives the administrator's kubeconfig."""
    home = tmp_path_factory.mktemp("cluster")
    with ExitStack() as stack:
        stack.enter_context(real_api_server(BINARIES, home, (NAMESPACE, ENDPOINTS), CONTEXT))
        file = home / "admin.kubeconfig"
        admin = config.new_client_from_config(str(file), CONTEXT)
        for one in rendered("aws"):
            if one["kind"] not in YOUNGER:
                utils.create_from_dict(admin, one, namespace=NAMESPACE)
        yield file


def test_a_real_server_takes_every_object(cluster: Path) -> None:
    """What was applied is there, as it was written; nothing but kinds that are younger than the server was left out."""
    admin = config.new_client_from_config(str(cluster), CONTEXT)
    apps, core = _api("AppsV1Api", admin), _api("CoreV1Api", admin)
    deployments = {one.metadata.name for one in apps.list_namespaced_deployment(NAMESPACE).items}
    assert deployments == {"mcml-daemon", "mcml-webserver", "mcml-code-location", "mcml-edge"}
    assert len(_api("NetworkingV1Api", admin).list_namespaced_network_policy(NAMESPACE).items) == 8
    instance = core.read_namespaced_config_map("mcml-instance", NAMESPACE).data["dagster.yaml"]
    assert instance == named(rendered("aws"), "ConfigMap", "mcml-instance")["data"]["dagster.yaml"]
    stored = apps.read_namespaced_deployment("mcml-edge", NAMESPACE).spec.template.spec
    assert stored.containers[0].security_context.read_only_root_filesystem is True
    classes = {one.metadata.name for one in _api("SchedulingV1Api", admin).list_priority_class().items}
    assert classes >= {"mcml-edge", "mcml-control-plane", "mcml-runs"}


def test_the_chart_s_rights_are_enough_and_no_more(cluster: Path, tmp_path: Path) -> None:
    """As the control plane's service account one may launch Jobs here, and neither read secrets, nor make pods, nor do
    anything in another namespace; the edge's may nothing at all.
    """
    may = _reviewer(_client_of(cluster, "mcml-control-plane", tmp_path))
    assert may(NAMESPACE, "create", "batch", "jobs")
    assert may(NAMESPACE, "delete", "batch", "jobs")
    assert may(NAMESPACE, "get", "", "pods", "log")
    assert may(ENDPOINTS, "create", "serving.kserve.io", "inferenceservices")
    assert not may(NAMESPACE, "get", "", "secrets")
    assert not may(NAMESPACE, "create", "", "pods")
    assert not may("default", "create", "batch", "jobs")
    assert not may(ENDPOINTS, "create", "batch", "jobs")
    edge = _reviewer(_client_of(cluster, "mcml-edge", tmp_path))
    assert not edge(NAMESPACE, "get", "", "pods")
    assert not edge(ENDPOINTS, "get", "serving.kserve.io", "inferenceservices")


def test_the_instance_s_launcher_launches_asks_and_terminates(
    cluster: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`K8sRunLauncher`, configured by deploy/instance/dagster.yaml and bounded by the chart's role, makes a Job with the
    chart's settings, identity and instance, tells how it is, notices that it failed, and takes it away.
    """
    file = _kubeconfig_of(cluster, "mcml-control-plane", tmp_path)
    objects = rendered("aws")
    for name, value in named(objects, "ConfigMap", "mcml-settings")["data"].items():
        if name.startswith("MCML_"):
            monkeypatch.setenv(name, value)
    instance_file = yaml.safe_load(named(objects, "ConfigMap", "mcml-instance")["data"]["dagster.yaml"])
    # Alone where it finds the cluster differs: a pod is in it.
    instance_file["run_launcher"]["config"] |= {"load_incluster_config": False, "kubeconfig_file": str(file)}
    overrides = {"run_launcher": instance_file["run_launcher"], "run_monitoring": {"enabled": True}}
    jobs = _api("BatchV1Api", config.new_client_from_config(str(cluster), CONTEXT))
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=overrides) as instance:
        run = _created(instance)
        launcher = instance.run_launcher
        launcher.launch_run(LaunchRunContext(run, workspace=None))
        name = f"dagster-run-{run.run_id}"
        job = jobs.read_namespaced_job(name, NAMESPACE)
        pod = job.spec.template.spec
        assert pod.service_account_name == "mcml-runs"
        assert pod.security_context.run_as_non_root is True
        (container,) = pod.containers
        assert container.image == IMAGE
        assert {each.config_map_ref.name for each in container.env_from if each.config_map_ref} == {"mcml-settings"}
        assert {each.secret_ref.name for each in container.env_from if each.secret_ref} == {"mcml-secrets"}
        # By the code server's container context: what every process of the platform shares, and the instance.
        assert {each.name for each in pod.volumes} == {"tmp", "topology", "state", "dagster-home", "instance"}
        mounts = {each.mount_path: each for each in container.volume_mounts}
        assert mounts.keys() >= {"/var/lib/mcml", "/etc/mcml/topology"}
        (home,) = (each.value for each in container.env if each.name == "DAGSTER_HOME")
        assert (mounts[f"{home}/dagster.yaml"].name, mounts[f"{home}/dagster.yaml"].sub_path) == ("instance", "dagster.yaml")
        (instance_volume,) = (each for each in pod.volumes if each.name == "instance")
        assert instance_volume.config_map.name == os.environ["MCML_INSTANCE_CONFIG_MAP"]
        assert pod.priority_class_name == "mcml-runs"
        assert job.spec.template.metadata.labels["app.kubernetes.io/component"] == "run"
        assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING

        _end_as_failed(jobs, name)
        assert launcher.check_run_worker_health(_known(instance, run.run_id)).status is WorkerStatus.FAILED

        second = _created(instance)
        launcher.launch_run(LaunchRunContext(second, workspace=None))
        instance.handle_new_event(_started(second))
        assert launcher.terminate(second.run_id)
        assert _known(instance, second.run_id).status is dg.DagsterRunStatus.CANCELING
        remaining = {
            each.metadata.name for each in jobs.list_namespaced_job(NAMESPACE).items if not each.metadata.deletion_timestamp
        }
        assert f"dagster-run-{second.run_id}" not in remaining
        assert name in remaining


def _api(name: str, entered: client.ApiClient) -> Any:
    """An API of the generated client, whose types say of every answer that it may be anything."""
    return getattr(client, name)(entered)


def _created(instance: dg.DagsterInstance) -> dg.DagsterRun:
    from dagster._core.definitions.reconstruct import reconstructable
    from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin

    origin = reconstructable(launched).get_python_origin()
    # What the chart's code server says of the containers of its runs: the image, and their context.
    (container,) = pods(rendered("aws"))["code-location"]["spec"]["containers"]
    said = dict(part[2:].split("=", 1) for part in container["args"] if part.startswith("--container"))
    repository = origin.repository_origin
    located = RepositoryPythonOrigin(
        repository.executable_path,
        repository.code_pointer,
        container_image=said["container-image"],
        container_context=json.loads(said["container-context"]),
    )
    return instance.create_run_for_job(launched, job_code_origin=JobPythonOrigin(origin.job_name, located))


def _started(run: dg.DagsterRun) -> Any:
    from dagster._core.events import DagsterEvent, DagsterEventType
    from dagster._core.events.log import EventLogEntry

    event = DagsterEvent(DagsterEventType.RUN_START.value, run.job_name, message="started")
    return EventLogEntry(None, "info", "", run.run_id, time.time(), job_name=run.job_name, dagster_event=event)


def _known(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRun:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run


def _end_as_failed(jobs: Any, name: str) -> None:
    """Write what the Job controller writes when a Job's only pod failed."""
    condition = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "its pod failed"}
    jobs.patch_namespaced_job_status(name, NAMESPACE, {"status": {"failed": 1, "conditions": [condition]}})


def _kubeconfig_of(cluster: Path, account: str, home: Path) -> Path:
    """A kubeconfig with a token of this service account, as a pod of it has."""
    core = _api("CoreV1Api", config.new_client_from_config(str(cluster), CONTEXT))
    request = {"spec": {"audiences": ["https://kubernetes.default.svc"], "expirationSeconds": 3600}}
    token = core.create_namespaced_service_account_token(account, NAMESPACE, request).status.token
    written = yaml.safe_load(cluster.read_text())
    written["current-context"] = CONTEXT
    for user in written["users"]:
        user["user"] = {"token": token}
    file = home / f"{account}.kubeconfig"
    file.write_text(yaml.safe_dump(written))
    return file


def _client_of(cluster: Path, account: str, home: Path) -> client.ApiClient:
    return config.new_client_from_config(str(_kubeconfig_of(cluster, account, home)), CONTEXT)


def _reviewer(as_account: client.ApiClient) -> Callable[..., bool]:
    reviews = _api("AuthorizationV1Api", as_account)

    def may(namespace: str, verb: str, group: str, resource: str, subresource: str = "") -> bool:
        attributes = {"namespace": namespace, "verb": verb, "group": group, "resource": resource, "subresource": subresource}
        review = {"spec": {"resourceAttributes": attributes}}
        return reviews.create_self_subject_access_review(review).status.allowed

    return may
