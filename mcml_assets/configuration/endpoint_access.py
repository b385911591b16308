"""How people write where a location's endpoints run: a region's `endpoints` block, by platform.

What each platform can do is declared in `domain/endpoint_access.py`; the rest of a topology file is `topology.py`'s.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from mcml_assets.configuration.platform_block import judged_block
from mcml_assets.configuration.problems import Problem
from mcml_assets.configuration.yaml_lines import KeyPath
from mcml_assets.domain.endpoint_access import (
    PLATFORM_NAMES,
    ClusterEndpoints,
    EndpointAccess,
    LocalEndpoints,
    SageMakerEndpoints,
    Shift,
)
from mcml_assets.domain.topology import StoreKind

# The form of Kubernetes' own names (RFC 1123 labels).
KubernetesName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
Text = Annotated[str, StringConstraints(min_length=1)]


class LocalModel(BaseModel):
    """Processes of this machine; what a region without the block has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    platform: Literal["local"] = Field(description="The platform.")


class ClusterModel(BaseModel):
    """A Kubernetes cluster with KServe: EKS, GKE, AKS or another."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    platform: Literal["kserve", "kserve-standard"] = Field(description="The platform: KServe on Knative, or on Deployments.")
    context: Text = Field(description="The cluster's context in the kubeconfig file that KUBECONFIG names.")
    namespace: KubernetesName = Field(description="Namespace of the InferenceServices; it exists.")
    service_account: KubernetesName = Field(description="Service account whose identity reads the location's bucket.")
    image: Text = Field(description="The model server's image: registry/mcml-assets:0.1.0.")
    ingress: str | None = Field(
        None, description="Where the cluster takes requests, where its services' own hosts do not resolve: https://ingress."
    )
    authority: str | None = Field(None, description="File of the authority of its certificates, PEM; None: the machine's own.")


class ShiftModel(BaseModel):
    """How an update moves requests to the new version."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # The bounds are SageMaker's: "CapacitySize", "TrafficRoutingConfig" and "BlueGreenUpdatePolicy" of its API.
    percent: int = Field(10, description="Share of the capacity that the canary gets first.", ge=1, le=50)
    wait_seconds: int = Field(300, description="How long the canary is watched.", ge=0, le=3600)
    keep_seconds: int = Field(300, description="How long the former version is kept after that.", ge=0, le=3600)


class SageMakerModel(BaseModel):
    """Amazon SageMaker, in the location's region."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    platform: Literal["sagemaker"] = Field(description="The platform.")
    role_arn: Annotated[str, StringConstraints(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/.+$")] = Field(
        description="Execution role, which reads the package and pulls the image."
    )
    image: Text = Field(description="The model server's image in ECR.")
    instance_type: Annotated[str, StringConstraints(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")] = Field(
        description="Kind of machine: ml.m5.large."
    )
    # An update that nobody can stop would be a blue/green update in name only.
    alarms: list[Text] = Field(description="CloudWatch alarms that roll an update back, 1 to 10.", min_length=1, max_length=10)
    shift: ShiftModel = Field(
        default_factory=lambda: ShiftModel.model_validate({}), description="How an update moves requests."
    )
    address: str | None = Field(None, description="Address of the service, where it is not AWS's own: an emulator on loopback.")


MODELS: Mapping[str, type[BaseModel]] = {
    "local": LocalModel,
    "kserve": ClusterModel,
    "kserve-standard": ClusterModel,
    "sagemaker": SageMakerModel,
}


def endpoint_problems(written: Any, store: StoreKind, region: KeyPath) -> Iterator[Problem]:
    """What is wrong in a region's `endpoints` block, for a location whose bucket is of the kind `store`."""
    path = (*region, "endpoints")
    if written is None:
        return
    model, problems = judged_block(written, path, MODELS, PLATFORM_NAMES)
    yield from problems
    if model is None:
        return
    platform = written["platform"]
    # A server elsewhere cannot read a folder of this machine.
    if store == "local" and platform != "local":
        yield Problem((*path, "platform"), f"{platform!r} reads packages from a bucket, and this location's is a local folder")
    elif platform == "sagemaker" and store != "s3":
        yield Problem(
            (*path, "platform"), f"'sagemaker' reads packages from S3, and this location's store is of kind {store!r}"
        )
    for key in ("address", "ingress"):
        address = getattr(model, key, None)
        if address is not None and not is_address(address):
            yield Problem((*path, key), "must be https://..., or http:// on loopback, without credentials")


def endpoint_access(written: dict[str, Any] | None) -> EndpointAccess:
    """Where the endpoints of one region run, from a block that has no problem."""
    if written is None:
        return LocalEndpoints()
    match MODELS[written["platform"]].model_validate(written):
        case ClusterModel() as cluster:
            return ClusterEndpoints(**cluster.model_dump())
        case SageMakerModel() as sagemaker:
            given = sagemaker.model_dump(exclude={"alarms", "shift", "platform"})
            return SageMakerEndpoints(**given, alarms=tuple(sagemaker.alarms), shift=Shift(**sagemaker.shift.model_dump()))
        case _:
            return LocalEndpoints()


def is_address(text: str) -> bool:
    """Whether it may be sent signed requests: TLS, or nowhere but this machine."""
    address = urlsplit(text)
    if address.username or address.password or address.query or not address.hostname:
        return False
    return address.scheme == "https" or (address.scheme == "http" and address.hostname in ("127.0.0.1", "localhost", "::1"))
