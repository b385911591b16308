"""A piece of work as a pod of the location's cluster: what the pod asks for, and when it counts as not to be had.

Creating, watching and deleting the pod is dagster-k8s's business.
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dagster_k8s import PipesK8sClient
from dagster_k8s.client import DagsterKubernetesClient

from mcml_assets.domain.compute_access import ClusterCompute, ComputeProfile

HOME_MOUNT = "/var/lib/mcml"
TOPOLOGY_MOUNT, TOPOLOGY_FILE = "/etc/mcml/topology", "topology.yaml"
"""As the chart has them, so that one ConfigMap does for both."""
RAY_TOKEN_KEY = "auth_token"  # noqa: S105 - the key's name, as KubeRay makes the Secret
LOOK_SECONDS = 2.0
# How each provider marks nodes that it may take away, and keeps other pods off them: "Spot VMs" of GKE's, "Add a Spot node
# pool" of AKS's, "Managed node group capacity types" of EKS's documentation.
SPOT: Mapping[str, tuple[str, str]] = {
    "aws": ("eks.amazonaws.com/capacityType", "SPOT"),
    "gcp": ("cloud.google.com/gke-spot", "true"),
    "azure": ("kubernetes.azure.com/scalesetpriority", "spot"),
}


class NotToBeHad(Exception):
    """No node for a profile within the time that the topology allows; never leaves `compute/`."""


class SchedulingPipesClient(PipesK8sClient):
    """Dagster's client, which by itself would wait a day for a pod that no node takes."""

    def __init__(self, access: ClusterCompute, reader: Any) -> None:
        # The client reads the variable when it is imported, which may be before it is set.
        super().__init__(
            message_reader=reader, kubeconfig_file=os.environ.get("KUBECONFIG"), kube_context=access.context,
            poll_interval=LOOK_SECONDS,
        )  # fmt: skip
        self._wait_seconds = access.wait_seconds

    @contextmanager
    def consume_pod_logs(
        self,
        context: Any,
        client: DagsterKubernetesClient,
        namespace: str,
        pod_name: str,
        enable_multi_container_logs: bool = False,
        ignore_containers: set[str] | None = None,
    ) -> Iterator[None]:
        """Wait until the pod has a node. Messages come by the bucket, so that logs stay where they are."""
        began = time.monotonic()
        while (why := _unscheduled(client.core_api.read_namespaced_pod_status(pod_name, namespace))) is not None:
            if time.monotonic() - began > self._wait_seconds:
                raise NotToBeHad(f"no node within {self._wait_seconds:g} s: {why}")
            time.sleep(LOOK_SECONDS)
        yield


def _unscheduled(pod: Any) -> str | None:
    """Why the pod has no node yet; None when it has one, or is past that."""
    if pod.status.phase != "Pending" or pod.spec.node_name:
        return None
    for condition in pod.status.conditions or ():
        if condition.type == "PodScheduled" and condition.status == "False":
            return condition.message or condition.reason or "it is not scheduled"
    return "the scheduler has not said why"


def pod_spec(access: ClusterCompute, profile: ComputeProfile, cloud: str) -> dict[str, Any]:
    """The pod of a piece of work: its profile's resources and nodes, the location's identity, and no privileges."""
    amounts = {"cpu": f"{profile.cpu:g}", "memory": f"{round(profile.memory_gib * 1024)}Mi"}
    limits = amounts | ({"nvidia.com/gpu": "1"} if profile.accelerator is not None else {})
    selector, tolerations = dict(profile.node_selector), []
    if profile.spot:
        label, value = SPOT[cloud]
        selector[label] = value
        tolerations = [{"key": label, "operator": "Equal", "value": value, "effect": "NoSchedule"}]
    mounts: list[dict[str, Any]] = [{"name": "home", "mount_path": HOME_MOUNT}]
    volumes: list[dict[str, Any]] = [{"name": "home", "persistent_volume_claim": {"claim_name": access.home_claim}}]
    if access.topology_config_map is not None:
        mounts.append({"name": "topology", "mount_path": TOPOLOGY_MOUNT, "read_only": True})
        volumes.append({"name": "topology", "config_map": {"name": access.topology_config_map}})
    return {
        "service_account_name": access.service_account,
        "node_selector": selector,
        "tolerations": tolerations,
        "security_context": {"run_as_non_root": True, "seccomp_profile": {"type": "RuntimeDefault"}},
        "volumes": volumes,
        "containers": [
            {
                "image": access.image,
                "resources": {"requests": dict(amounts), "limits": limits},
                "security_context": {"allow_privilege_escalation": False, "capabilities": {"drop": ["ALL"]}},
                "volume_mounts": mounts,
                "env_from": [] if access.secret is None else [{"secret_ref": {"name": access.secret}}],
                "env": _ray_token(access),
            }
        ],
    }


def pod_labels(cloud: str) -> dict[str, str]:
    """What a pod says of itself. Azure's webhook gives an identity's token only to pods that ask for it."""
    return {"azure.workload.identity/use": "true"} if cloud == "azure" else {}


def settings(access: ClusterCompute, environment: Mapping[str, str]) -> dict[str, str]:
    """What a pod is told of our settings: neither folders of this machine nor any secret, which the pod's own Secret has."""
    told = {name: environment[name] for name in ("MCML_PROFILE", "MCML_TOPOLOGY") if name in environment}
    if access.topology_config_map is not None:
        told["MCML_TOPOLOGY"] = f"{TOPOLOGY_MOUNT}/{TOPOLOGY_FILE}"
    return told | {"MCML_HOME": HOME_MOUNT}


def _ray_token(access: ClusterCompute) -> list[dict[str, Any]]:
    if access.ray_token_secret is None:
        return []
    held = {"secret_key_ref": {"name": access.ray_token_secret, "key": RAY_TOKEN_KEY}}
    return [{"name": "RAY_AUTH_MODE", "value": "token"}, {"name": "RAY_AUTH_TOKEN", "value_from": held}]
