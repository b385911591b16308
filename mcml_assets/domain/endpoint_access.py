"""Where a location's endpoints run, and what each platform can do: one table that the loader and the platforms ask.

Pure: what a topology says about endpoints, and the capabilities declared once per platform. How a platform does it is
`serving/`'s business; how people write it `configuration/endpoint_access.py`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal, get_args

PlatformName = Literal["local", "kserve", "kserve-standard", "sagemaker"]
"""An endpoint platform as a topology names it. `kserve` is KServe on Knative, `kserve-standard` KServe on plain
Deployments: KServe calls these modes Knative (formerly Serverless) and Standard (RawDeployment), and they differ in what
they can do."""
PLATFORM_NAMES: tuple[PlatformName, ...] = get_args(PlatformName)


class EndpointCapability(Enum):
    """One thing that some platforms can do, as a workload's `serving.needs` names it."""

    ROLLBACK = "rollback"
    BLUE_GREEN = "blue_green"
    COLD_STANDBY = "cold_standby"
    CANARY_WEIGHTS = "canary_weights"
    SCALE_TO_ZERO = "scale_to_zero"
    ALARM_ROLLBACK = "alarm_rollback"
    REFUSAL_REASONS = "refusal_reasons"
    SHADOW = "shadow"


MEANINGS: Mapping[EndpointCapability, str] = {
    EndpointCapability.ROLLBACK: "keeps the manifest that answered before, and its package, to go back to",
    EndpointCapability.BLUE_GREEN: "lets the former version answer until the new one is ready, and if it never is",
    EndpointCapability.COLD_STANDBY: "keeps an endpoint ready to be started, with nothing running",
    EndpointCapability.CANARY_WEIGHTS: "gives a new version a share of the requests, and takes it back",
    EndpointCapability.SCALE_TO_ZERO: "checks a cold standby's package on a server once, and starts one when somebody asks",
    EndpointCapability.ALARM_ROLLBACK: "goes back by itself when an alarm rises during an update",
    EndpointCapability.REFUSAL_REASONS: "says why a server refused its package",
    EndpointCapability.SHADOW: "copies requests to a version whose answers nobody gets",
}

_EVERYWHERE = frozenset({EndpointCapability.ROLLBACK, EndpointCapability.BLUE_GREEN, EndpointCapability.COLD_STANDBY})

# What the conformance suite proves for each; how far each proof goes is on the page of platforms.
_CAPABILITIES: Mapping[PlatformName, frozenset[EndpointCapability]] = {
    "local": _EVERYWHERE | {EndpointCapability.REFUSAL_REASONS},
    # Only Knative shares requests among revisions, and only Knative starts a pod because a request came.
    "kserve": _EVERYWHERE
    | {EndpointCapability.REFUSAL_REASONS, EndpointCapability.CANARY_WEIGHTS, EndpointCapability.SCALE_TO_ZERO},
    "kserve-standard": _EVERYWHERE | {EndpointCapability.REFUSAL_REASONS},
    "sagemaker": _EVERYWHERE | {EndpointCapability.ALARM_ROLLBACK},
}


def endpoint_capabilities(platform: PlatformName) -> frozenset[EndpointCapability]:
    """What a platform can do."""
    return _CAPABILITIES[platform]


@dataclass(frozen=True, slots=True)
class LocalEndpoints:
    """Endpoints are processes of this machine."""

    platform: PlatformName = "local"


@dataclass(frozen=True, slots=True)
class ClusterEndpoints:
    """Endpoints are InferenceServices of a Kubernetes cluster.

    `context` names the cluster in the kubeconfig file, `service_account` whose identity reads the package from the
    location's bucket. `ingress` is where requests for the InferenceService's own host are sent (None: to that host), and
    `authority` the file of the authority behind its certificate, PEM (None: the machine's own).
    """

    platform: PlatformName
    context: str
    namespace: str
    service_account: str
    image: str
    ingress: str | None = None
    authority: str | None = None


@dataclass(frozen=True, slots=True)
class Shift:
    """How SageMaker moves requests to a new version: a canary of `percent` of the capacity for `wait_seconds`, then all;
    the former version is kept for `keep_seconds` after that.
    """

    percent: int
    wait_seconds: int
    keep_seconds: int


@dataclass(frozen=True, slots=True)
class SageMakerEndpoints:
    """Endpoints are SageMaker's, in the location's region and by the location's credentials.

    `role_arn` is the execution role that reads the package, `alarms` the CloudWatch alarms that roll an update back;
    `address` replaces AWS's own, as on loopback.
    """

    role_arn: str
    image: str
    instance_type: str
    alarms: tuple[str, ...]
    shift: Shift
    address: str | None = None
    platform: PlatformName = "sagemaker"


EndpointAccess = LocalEndpoints | ClusterEndpoints | SageMakerEndpoints
