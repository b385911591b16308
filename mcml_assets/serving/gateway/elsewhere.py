"""A model on another platform as a function of rows, as if it were loaded here: KServe over TLS, SageMaker signed.

Which endpoint is asked, and when it may be, are the manifest's and the platform's business. Imports httpx or boto3: late.
"""

import json
import math
import ssl
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mcml_assets.configuration.endpoint_access import is_address
from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.domain.endpoint_access import ClusterEndpoints, SageMakerEndpoints
from mcml_assets.domain.errors import ConfigurationError, LocationUnavailable
from mcml_assets.domain.topology import Location
from mcml_assets.serving.interface import OUTPUT
from mcml_assets.serving.package import ModelPackage
from mcml_assets.serving.row_tensors import row_tensors
from mcml_assets.serving.sagemaker.objects import trace_attributes
from mcml_assets.serving.tracing import onward

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mcml_assets.serving.package import Predict

Ask = Callable[[bytes], bytes]
"""One request of the Open Inference Protocol v2 and its answer. Raises `LocationUnavailable` or another `McmlError`."""

MEDIA_TYPE = "application/json"
RENEWED_SECONDS = 240.0  # the shortest time for which AWS still grants what it hands out anew


def model_elsewhere(package: ModelPackage, digest: str, location: str, address: str, seconds: float) -> "Predict":
    """The package's model where it runs: a frame with its inputs -> scores, as `load_model` has it.

    `address` is what the location's platform says of its endpoint, and an answer may take `seconds`. Asks nobody anything
    yet. The function raises `LocationUnavailable` when another package than this one answers there, or nothing sensible.
    Raises `ConfigurationError` for a location whose endpoints are of this machine, and for an address without TLS.
    """
    settings = Settings()
    ask = _asker(load_topology(settings.topology_file).location(location), package.description.workload, address, seconds)
    inputs = package.schema.model_inputs

    def predict(rows: "pd.DataFrame") -> "np.ndarray":
        import numpy as np  # noqa: PLC0415 - 0.2 s, only when a model is asked

        body = json.dumps({"inputs": row_tensors(rows, inputs)}, allow_nan=False).encode()
        return np.asarray(_scores(ask(body), len(rows), digest, location), dtype="float64")

    return predict


def _asker(location: Location, workload: str, address: str, seconds: float) -> Ask:
    match location.endpoints:
        case ClusterEndpoints() as cluster:
            return ask_cluster(location.key, cluster, workload, address, seconds)
        case SageMakerEndpoints() as sagemaker:
            return ask_sagemaker(location, sagemaker, address, seconds)
        case _:
            raise ConfigurationError(f"{location.key}: its endpoints are of this machine, and need no gateway")


def ask_cluster(location: str, cluster: ClusterEndpoints, workload: str, url: str, seconds: float) -> Ask:
    """Asks the InferenceService of this URL: at its own host, or at the cluster's ingress under the name of that host.

    Raises `ConfigurationError` when features would travel without TLS beyond this machine.
    """
    import httpx  # noqa: PLC0415 - only a gateway asks

    target = cluster.ingress or url
    if not is_address(target):
        raise ConfigurationError(
            f"{location}: its InferenceService is at {target}, and features travel by TLS only: "
            "set `ingress` in its `endpoints` to where the cluster takes https"
        )
    host = urlsplit(url)
    trust: ssl.SSLContext | bool = True
    if cluster.authority is not None:
        trust = ssl.create_default_context(cafile=cluster.authority)
    client = httpx.Client(base_url=target, verify=trust, timeout=seconds, trust_env=False)
    path = f"/v2/models/{workload}/infer"
    headers = {"host": host.netloc, "content-type": MEDIA_TYPE}

    def ask(body: bytes) -> bytes:
        try:
            # The certificate is judged by the service's own name, wherever the ingress is.
            named = {"sni_hostname": host.hostname}
            answer = client.post(path, content=body, headers=headers | onward(), extensions=named)
        except httpx.HTTPError as error:
            raise LocationUnavailable(location, f"its InferenceService does not answer ({type(error).__name__})") from None
        if answer.status_code != httpx.codes.OK:
            raise LocationUnavailable(location, f"its InferenceService answers with HTTP status {answer.status_code}")
        return answer.content

    return ask


def ask_sagemaker(location: Location, sagemaker: SageMakerEndpoints, arn: str, seconds: float) -> Ask:
    """Asks the SageMaker endpoint of this ARN, signed with the location's credentials, which are had anew in time."""
    from mcml_assets.clouds.aws.service import aws_client, typed  # noqa: PLC0415 - boto3, 0.3 s

    name = arn.rpartition("/")[2]
    held: tuple[float, Any] | None = None

    def client() -> Any:
        nonlocal held
        now = time.monotonic()
        if held is None or now - held[0] > RENEWED_SECONDS:
            # Asked again by the edge, elsewhere, and not by this client.
            made = aws_client("sagemaker-runtime", location, location.region, sagemaker.address, seconds=seconds, attempts=1)
            held = (now, made)
        return held[1]

    def ask(body: bytes) -> bytes:
        with typed(location.key, f"SageMaker endpoint {name}"):
            answer = client().invoke_endpoint(
                EndpointName=name, Body=body, ContentType=MEDIA_TYPE, Accept=MEDIA_TYPE, **trace_attributes(onward())
            )
            return answer["Body"].read()

    return ask


def _scores(answer: bytes, rows: int, digest: str, location: str) -> list[float]:
    """The scores of an answer, once it is known whose they are."""
    try:
        document: Mapping[str, Any] = json.loads(answer)
        answering = document["parameters"]["digest"]
        (tensor,) = document["outputs"]
        name, scores = tensor["name"], [float(score) for score in tensor["data"]]
    except (ValueError, KeyError, TypeError) as error:
        raise LocationUnavailable(location, f"its endpoint gives no scores ({type(error).__name__})") from None
    if answering != digest:
        raise LocationUnavailable(location, f"package {str(answering)[:12]} answers there, and not {digest[:12]}")
    if name != OUTPUT or len(scores) != rows or not all(map(math.isfinite, scores)):
        raise LocationUnavailable(location, f"its endpoint gives no {rows} scores")
    return scores
