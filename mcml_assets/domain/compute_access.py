"""Where a location's heavy work runs, and with what: compute profiles, their fallbacks, and the way in.

Pure. How people write it is `configuration/compute_access.py`'s business, how work gets there `compute/`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

ComputeName = Literal["local", "kubernetes"]
COMPUTE_NAMES: tuple[ComputeName, ...] = get_args(ComputeName)


@dataclass(frozen=True, slots=True)
class ComputeProfile:
    """What one piece of work or one server may use: cores, memory in GiB, and an accelerator's name or none.

    `node_selector` has the labels of the nodes it may run on, `spot` whether those may be taken away at any time, and
    `fallback` the names of the profiles to be tried in turn when this one cannot be had.
    """

    name: str
    cpu: float
    memory_gib: float
    accelerator: str | None = None
    node_selector: Mapping[str, str] = field(default_factory=dict[str, str])
    spot: bool = False
    fallback: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LocalCompute:
    """Work is a process of this machine, which has cores and memory, and no accelerator that it knows of.

    `ray` is the address of a Ray cluster that features are computed and models fitted on, None for the process itself.
    """

    platform: ComputeName = "local"
    ray: str | None = None


@dataclass(frozen=True, slots=True)
class ClusterCompute:
    """Work is a pod of a Kubernetes cluster in the location itself.

    `context` names the cluster in the kubeconfig file, `service_account` whose identity enters the location's bucket,
    `home_claim` the persistent volume claim that is MCML_HOME there. `wait_seconds` is how long a pod may find no node
    until its profile counts as not to be had. `ray` is as for `LocalCompute`. Three names are of objects in the namespace:
    `topology_config_map` has the topology's file, `secret` the variables that the topology names, `ray_token_secret` what the
    Ray cluster asks for; without one the image or the pod's identity has it, or nothing asks.
    """

    context: str
    namespace: str
    service_account: str
    image: str
    home_claim: str
    wait_seconds: float
    platform: ComputeName = "kubernetes"
    ray: str | None = None
    topology_config_map: str | None = None
    secret: str | None = None
    ray_token_secret: str | None = None


ComputeAccess = LocalCompute | ClusterCompute


def in_order(wanted: str, profiles: Mapping[str, ComputeProfile]) -> tuple[ComputeProfile, ...]:
    """The wanted profile and what is tried after it; a fallback's own fallbacks are not followed."""
    return tuple(profiles[name] for name in (wanted, *profiles[wanted].fallback))
