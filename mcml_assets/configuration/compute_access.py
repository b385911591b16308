"""How people write compute profiles, and where a location's heavy work runs: a region's `compute` block, by platform.

What a profile means is in `domain/compute_access.py`; the rest of a topology file is `topology.py`'s.
"""

from collections.abc import Iterator, Mapping, Sequence
from re import fullmatch
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from mcml_assets.configuration.endpoint_access import KubernetesName, Text
from mcml_assets.configuration.platform_block import judged_block
from mcml_assets.configuration.problems import Problem
from mcml_assets.configuration.yaml_lines import KeyPath
from mcml_assets.domain.compute_access import (
    COMPUTE_NAMES,
    ClusterCompute,
    ComputeAccess,
    ComputeProfile,
    LocalCompute,
)
from mcml_assets.domain.topology import StoreKind, did_you_mean


def _ray_address(written: str) -> str:
    if fullmatch(r"local|auto|(ray://)?(\[[0-9a-fA-F:.]+\]|[^\s:/]+):[0-9]{1,5}", written) is None:
        raise ValueError("must be head:6379, ray://head:10001, auto or local")
    return written


RayAddress = Annotated[str, AfterValidator(_ray_address)]
RAY = "Address of the location's Ray cluster, for features and fits: ray://head:10001. Absent: the work itself."


class ComputeProfileModel(BaseModel):
    """What one piece of work or one server may use."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cpu: float = Field(description="Cores.", gt=0)
    memory_gib: float = Field(description="Memory in GiB.", gt=0)
    accelerator: str | None = Field(None, description="Name of the accelerator; a pod asks for one nvidia.com/gpu.")
    node_selector: dict[Text, Text] = Field({}, description="Labels of the nodes it may run on, as this cloud has them.")
    spot: bool = Field(False, description="Whether its nodes may be taken away at any time.")
    fallback: list[str] = Field([], description="Profiles to be tried in turn when this one cannot be had.")


class LocalModel(BaseModel):
    """Processes of this machine; what a region without the block has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    platform: Literal["local"] = Field(description="The platform.")
    ray: RayAddress | None = Field(None, description=RAY)


class ClusterModel(BaseModel):
    """A Kubernetes cluster of the location: EKS, GKE, AKS or another."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    platform: Literal["kubernetes"] = Field(description="The platform.")
    context: Text = Field(description="The cluster's context in the kubeconfig file that KUBECONFIG names.")
    namespace: KubernetesName = Field(description="Namespace of the pods; it exists.")
    service_account: KubernetesName = Field(description="Service account whose identity enters the location's bucket.")
    image: Text = Field(description="The platform's image: registry/mcml-assets:0.1.0.")
    home_claim: KubernetesName = Field(description="Persistent volume claim that is MCML_HOME in the pods.")
    wait_seconds: float = Field(600, description="How long a pod may find no node until the next profile is tried.", gt=0)
    ray: RayAddress | None = Field(None, description=RAY)
    topology_config_map: KubernetesName | None = Field(
        None, description="ConfigMap whose key topology.yaml is this file. Absent: the image has what MCML_TOPOLOGY names."
    )
    secret: KubernetesName | None = Field(
        None, description="Secret whose keys are the variables that this file names. Absent: the service account suffices."
    )
    ray_token_secret: KubernetesName | None = Field(
        None, description="Secret whose key auth_token is the Ray cluster's, as KubeRay makes it. Absent: Ray asks for none."
    )


MODELS: Mapping[str, type[BaseModel]] = {"local": LocalModel, "kubernetes": ClusterModel}


def compute_problems(written: Any, store: StoreKind, region: KeyPath) -> Iterator[Problem]:
    """What is wrong in a region's `compute` block, for a location whose bucket is of the kind `store`."""
    path = (*region, "compute")
    if written is None:
        return
    model, problems = judged_block(written, path, MODELS, COMPUTE_NAMES)
    yield from problems
    if model is None:
        return
    platform = written["platform"]
    # A pod elsewhere cannot read a folder of this machine.
    if store == "local" and platform != "local":
        yield Problem((*path, "platform"), f"{platform!r} works on a bucket, and this location's is a local folder")
    if isinstance(model, ClusterModel) and model.ray_token_secret is not None and model.ray in (None, "local"):
        said = "there is no Ray cluster to give it to: ray is missing" if model.ray is None else "a local Ray asks for no token"
        yield Problem((*path, "ray_token_secret"), f'{said}; add ray: "ray://head:10001", or remove this key')


def profile_problems(profiles: Mapping[str, ComputeProfileModel], offered: Sequence[str], region: KeyPath) -> Iterator[Problem]:
    """Profiles that a region offers and nobody declares, and fallbacks that cannot be had there."""
    for index, name in enumerate(offered):
        path = (*region, "compute_profiles", index)
        if name not in profiles:
            yield Problem(path, f"unknown compute profile {name!r}{did_you_mean(name, list(profiles))}")
            continue
        for other in profiles[name].fallback:
            if other == name:
                yield Problem(path, f"compute profile {name!r} falls back to itself: remove it from its fallback")
            elif other not in offered:
                said = f"compute profile {name!r} falls back to {other!r}, which is not offered here"
                yield Problem(path, f"{said}: add it, or choose another")


def profile_facts(profiles: Mapping[str, ComputeProfileModel], offered: Sequence[str]) -> dict[str, ComputeProfile]:
    """The profiles of a region that has no problem."""
    return {
        name: ComputeProfile(name, **{**profiles[name].model_dump(), "fallback": tuple(profiles[name].fallback)})
        for name in offered
    }


def compute_access(written: dict[str, Any] | None) -> ComputeAccess:
    """Where the heavy work of one region runs, from a block that has no problem."""
    if written is None:
        return LocalCompute()
    made = LocalCompute if written["platform"] == "local" else ClusterCompute
    return made(**MODELS[written["platform"]].model_validate(written).model_dump())
