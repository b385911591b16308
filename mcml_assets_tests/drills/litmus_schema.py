"""The published schema of a ChaosEngine, as far as experiments use it, and the variables that the hub's faults know.

Transcribed from `deploy/crds/chaosengine_crd.yaml` of litmuschaos/chaos-operator (af8244e5) and from
`faults/kubernetes/<fault>/fault.yaml` of litmuschaos/chaos-charts (b2662c23), both under the Apache License 2.0. The CRD
preserves unknown fields and a fault ignores unknown variables: a misspelt one would be lost in silence. So unknown ones are
forbidden here, and what the transcription leaves out nothing rendered may use.
"""

from typing import Any

TEXT = {"type": "string"}


def closed(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    """An object with these properties and no other."""
    return {"type": "object", "additionalProperties": False, "required": list(required), "properties": properties}


def experiment(fault: str, variables: tuple[str, ...]) -> dict[str, Any]:
    """One fault of the hub, with variables that it reads."""
    variable = closed(("name", "value"), name={"enum": list(variables)}, value=TEXT)
    env = {"type": "array", "items": variable, "minItems": 1}
    return closed(("name", "spec"), name={"const": fault}, spec=closed(("components",), components=closed(("env",), env=env)))


OF_EVERY_FAULT = (
    "TOTAL_CHAOS_DURATION", "RAMP_TIME", "PODS_AFFECTED_PERC", "TARGET_CONTAINER", "TARGET_PODS", "DEFAULT_HEALTH_CHECK",
    "NODE_LABEL", "SEQUENCE",
)  # fmt: skip
OF_THE_NETWORK = (
    "LIB_IMAGE", "NETWORK_INTERFACE", "TC_IMAGE", "CONTAINER_RUNTIME", "SOCKET_PATH", "DESTINATION_IPS", "DESTINATION_HOSTS",
)  # fmt: skip
FAULTS = {
    "pod-delete": (*OF_EVERY_FAULT, "FORCE", "CHAOS_INTERVAL"),
    "pod-network-loss": (*OF_EVERY_FAULT, *OF_THE_NETWORK, "NETWORK_PACKET_LOSS_PERCENTAGE"),
    "pod-network-latency": (*OF_EVERY_FAULT, *OF_THE_NETWORK, "NETWORK_LATENCY", "JITTER"),
}
# The CRD requires nothing; without these an engine does nothing.
CHAOS_ENGINE = closed(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "litmuschaos.io/v1alpha1"},
    kind={"const": "ChaosEngine"},
    metadata=closed(
        ("name", "namespace"),
        # Kubernetes' own rule for names that become labels (RFC 1123).
        name={"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63},
        namespace=TEXT,
        annotations={"type": "object", "additionalProperties": TEXT},
    ),
    spec=closed(
        ("appinfo", "chaosServiceAccount", "engineState", "experiments"),
        jobCleanUpPolicy={"type": "string", "pattern": "^(delete|retain)$"},
        defaultHealthCheck={"type": "boolean"},
        appinfo=closed(
            ("appns", "applabel", "appkind"),
            appkind={"type": "string", "pattern": "^(^$|deployment|statefulset|daemonset|deploymentconfig|rollout)$"},
            applabel=TEXT,
            appns=TEXT,
        ),
        auxiliaryAppInfo=TEXT,
        engineState={"type": "string", "pattern": "^(active|stop)$"},
        chaosServiceAccount=TEXT,
        terminationGracePeriodSeconds={"type": "integer"},
        experiments={
            "type": "array",
            "minItems": 1,
            "items": {"oneOf": [experiment(fault, variables) for fault, variables in FAULTS.items()]},
        },
    ),
)
