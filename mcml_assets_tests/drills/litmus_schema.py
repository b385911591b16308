"""The fields of a ChaosEngine that experiments use, with the patterns of its CustomResourceDefinition, in our own words.

Transcribed from `deploy/crds/chaosengine_crd.yaml` of litmuschaos/chaos-operator. Unknown fields are forbidden here, where the
cluster would prune them in silence: what the transcription leaves out, nothing rendered may use.
"""

from typing import Any


def closed(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    """An object with these properties and no other."""
    return {"type": "object", "additionalProperties": False, "required": list(required), "properties": properties}


TEXT = {"type": "string"}
VARIABLE = closed(("name", "value"), name={"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}, value=TEXT)
EXPERIMENT = closed(
    ("name", "spec"),
    name=TEXT,
    spec=closed(("components",), components=closed(("env",), env={"type": "array", "items": VARIABLE})),
)
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
        engineState={"type": "string", "pattern": "^(active|stop)$"},
        annotationCheck={"type": "string", "pattern": "^(true|false)$"},
        jobCleanUpPolicy={"type": "string", "pattern": "^(delete|retain)$"},
        chaosServiceAccount=TEXT,
        appinfo=closed(
            ("appns", "applabel", "appkind"),
            appns=TEXT,
            applabel=TEXT,
            appkind={"type": "string", "pattern": "^(^$|deployment|statefulset|daemonset|deploymentconfig|rollout)$"},
        ),
        experiments={"type": "array", "minItems": 1, "items": EXPERIMENT},
    ),
)
