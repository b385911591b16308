"""A scenario as LitmusChaos experiments: one ChaosEngine for each fault that strikes pods of a cluster.

The faults are those of Litmus' public hub (`pod-delete`, `pod-network-loss`, `pod-network-latency`: `faults/kubernetes/` of
litmuschaos/chaos-charts), which the cluster has to have installed. An object store is no pod: a fault of a bucket is rendered
as seen from the location's model servers only.
"""

from typing import Any

from mcml_assets.domain.endpoint_access import ClusterEndpoints
from mcml_assets.domain.faults import AMOUNTS, FaultKind
from mcml_assets.domain.scenario import ProcessFault, Scenario
from mcml_assets.domain.topology import Topology
from mcml_assets.domain.workload import Workload
from mcml_assets.drills.rendering import Rendered, Strike, Tool, finished, strikes, why_not
from mcml_assets.serving.kserve.objects import object_name
from mcml_assets.serving.manifest import endpoint_name

API = "litmuschaos.io/v1alpha1"
SERVICE_LABEL = "serving.kserve.io/inferenceservice"
"""What KServe puts on the pods of an InferenceService."""
SERVICE_ACCOUNT = "litmus-admin"
"""The hub's account for every fault (`service-accounts/` of chaos-charts); it has to be in the engine's namespace."""
OF_ALL = {"PODS_AFFECTED_PERC": "100"}
"""Without it one pod of the endpoint is struck, chosen by chance (`pkg/utils/common/pods.go` of litmuschaos/litmus-go)."""


def render_litmus(scenario: Scenario, workload: Workload, jurisdiction: str, acting: str, topology: Topology) -> Rendered:
    """The experiments of a scenario. Raises `NotRenderable` where it strikes no pod."""
    documents: list[dict[str, Any]] = []
    found, lacks = strikes(scenario, workload, jurisdiction, acting, topology)
    told = list(lacks)
    for strike in found:
        access = strike.placed.location.endpoints
        if not isinstance(access, ClusterEndpoints):
            told.append(f"{strike.placed.key}: its endpoints are no pods ({access.platform})")
            continue
        fault = _fault(strike, told)
        if fault is not None:
            documents.append(_engine(scenario, workload, strike, access, *fault))
    return finished(Tool.LITMUS, scenario, documents, told)


def _fault(strike: Strike, lacks: list[str]) -> tuple[str, dict[str, str]] | None:
    """The hub's fault and its variables; what it leaves out is added to `lacks`."""
    kind, where = strike.injection.kind, strike.placed.key
    parameters = strike.injection.parameters
    match kind:
        case ProcessFault.SERVER_KILLED:
            return "pod-delete", {"FORCE": "true", "CHAOS_INTERVAL": str(strike.seconds)}
        case ProcessFault.SERVER_FROZEN:
            lacks.append(f"{where}: a server that stands still is rendered as one whose packets are all lost")
            return "pod-network-loss", {"NETWORK_PACKET_LOSS_PERCENTAGE": "100"}
        case FaultKind.OUTAGE:
            lacks.append(f"{where}: its bucket goes on answering; only its endpoints are dark")
            return "pod-network-loss", {"NETWORK_PACKET_LOSS_PERCENTAGE": "100"}
        case FaultKind.LATENCY:
            lacks.append(f"{where}: only its endpoints' traffic is late, all of it, and not what runs ask of the bucket")
            amounts = AMOUNTS[FaultKind.LATENCY]
            late, jitter = (round(float(parameters.get(name, amounts[name].default))) for name in ("ms", "jitter_ms"))
            return "pod-network-latency", {"NETWORK_LATENCY": str(late), "JITTER": str(jitter)}
        case _:
            lacks.append(f"{kind} {why_not(kind)}")
            return None


def _engine(
    scenario: Scenario, workload: Workload, strike: Strike, access: ClusterEndpoints, fault: str, variables: dict[str, str]
) -> dict[str, Any]:
    service = object_name(endpoint_name(workload.name, strike.placed.key))
    region = strike.placed.location.region
    name = f"{scenario.name}-{fault}-{strike.placed.location.cloud}-{region}".replace("_", "-").lower()
    return {
        "apiVersion": API,
        "kind": "ChaosEngine",
        "metadata": {
            "name": name[:63].rstrip("-"),
            "namespace": access.namespace,
            "annotations": {
                "mcml/scenario": scenario.name,
                "mcml/location": strike.placed.key,
                "mcml/starts-after-seconds": f"{strike.injection.at_seconds:g}",
            },
        },
        "spec": {
            "engineState": "active",
            "appinfo": {"appns": access.namespace, "applabel": f"{SERVICE_LABEL}={service}", "appkind": "deployment"},
            "chaosServiceAccount": SERVICE_ACCOUNT,
            "jobCleanUpPolicy": "delete",
            "experiments": [
                {
                    "name": fault,
                    "spec": {
                        "components": {
                            "env": [
                                {"name": key, "value": value}
                                for key, value in ({"TOTAL_CHAOS_DURATION": str(strike.seconds)} | OF_ALL | variables).items()
                            ]
                        }
                    },
                }
            ],
        },
    }
