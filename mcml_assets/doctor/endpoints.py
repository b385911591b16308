"""What `mcml doctor` asks of a location's endpoint platform: does it answer, has it what we need, and may we.

Changes nothing. Buckets are `examination.py`'s business; printing is `commands/doctor.py`'s.
"""

from collections.abc import Iterator

from mcml_assets.doctor.checks import Check, State
from mcml_assets.domain.endpoint_access import ClusterEndpoints, SageMakerEndpoints
from mcml_assets.domain.errors import ConfigurationError, McmlError
from mcml_assets.domain.topology import Location


def endpoint_checks(location: Location) -> Iterator[Check]:
    """The checks `platform` and `platform_rights` of a location whose endpoints run elsewhere. Raises nothing about it."""
    match location.endpoints:
        case ClusterEndpoints() as cluster:
            yield from _cluster_checks(location, cluster)
        case SageMakerEndpoints() as sagemaker:
            yield from _sagemaker_checks(location, sagemaker)
        case _:
            return  # processes of this machine, which `mcml status` tells of


def _cluster_checks(location: Location, access: ClusterEndpoints) -> Iterator[Check]:
    from mcml_assets.serving.kserve.cluster import VERBS, Cluster  # noqa: PLC0415 - only where a cluster is named

    cluster = Cluster(location.key, access)
    role = f"kubectl --context {access.context} --namespace {access.namespace} apply -f deploy/kubernetes/endpoint-role.yaml"
    try:
        version = cluster.version()
        if cluster.serves_kserve():
            yield Check("platform", State.OK, f"Kubernetes {version} with KServe")
        else:
            said = f"Kubernetes {version} knows no InferenceServices of serving.kserve.io/v1beta1"
            yield Check("platform", State.ERROR, said, "install KServe in the cluster")
        refused = [verb for verb in VERBS if not cluster.may(verb)]
    except ConfigurationError as error:
        yield Check("platform", State.ERROR, str(error), "correct `endpoints` in the topology, or the kubeconfig file")
    except McmlError as error:
        yield Check("platform", State.ERROR, str(error), f"kubectl --context {access.context} get --raw /readyz")
    else:
        if refused:
            said = f"we may not {', '.join(refused)} InferenceServices in namespace {access.namespace!r}"
            yield Check("platform_rights", State.ERROR, said, role)
        else:
            yield Check("platform_rights", State.OK, f"we may {', '.join(VERBS)} InferenceServices")


def _sagemaker_checks(location: Location, access: SageMakerEndpoints) -> Iterator[Check]:
    from mcml_assets.serving.sagemaker.platform import SageMakerPlatform  # noqa: PLC0415 - only where SageMaker is named

    try:
        SageMakerPlatform(location, access).status(f"mcml-doctor@{location.key}")
    except McmlError as error:
        remedy = "allow the sagemaker: actions of topologies/production.yaml to the location's role"
        yield Check("platform", State.ERROR, str(error), remedy)
    else:
        yield Check("platform", State.OK, f"SageMaker of {location.region} answers")
        said = "AWS tells nobody what they may change without their changing it"
        yield Check("platform_rights", State.NOT_APPLICABLE, said)
