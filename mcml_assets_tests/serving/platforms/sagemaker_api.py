"""SageMaker on loopback: moto's server, with the update of an endpoint that moto lacks, and its states.

moto answers an endpoint's creation with InService at once, keeps what it is told, and knows no `UpdateEndpoint`. Added
here, after AWS's description of `EndpointStatus`: an update is refused while another is under way, and an endpoint goes
on with its former configuration until a test says how the update ended. Nothing here runs a container, raises an alarm,
or shifts a request.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sagemaker.exceptions import ValidationError
from moto.sagemaker.models import sagemaker_backends
from moto.sagemaker.responses import SageMakerResponse
from moto.server import ThreadedMotoServer

from mcml_assets_tests.ports import free_ports

Json = dict[str, Any]


def _update_endpoint(self: SageMakerResponse) -> str:
    name, config = self._get_param("EndpointName"), self._get_param("EndpointConfigName")
    endpoint = self.sagemaker_backend.endpoints.get(name)
    if endpoint is None:
        raise ValidationError(message=f"Could not find endpoint '{name}'.")
    if endpoint.endpoint_status != "InService":
        raise ValidationError(message=f"Cannot update in-progress endpoint '{endpoint.arn}'.")
    if config not in self.sagemaker_backend.endpoint_configs:
        raise ValidationError(message=f"Could not find endpoint configuration '{config}'.")
    endpoint.endpoint_status = "Updating"
    # Beside moto's own fields, which are what it answers with.
    UPDATES[name] = {"config": config, "deployment": self._get_param("DeploymentConfig")}
    return json.dumps({"EndpointArn": endpoint.arn})


UPDATES: dict[str, Json] = {}


class SageMaker:
    """AWS's side of the endpoints of one region, for tests to move on."""

    def __init__(self, address: str, region: str) -> None:
        self.address, self.region = address, region

    def ready(self, name: str) -> None:
        """The containers answer: a creation, or an update, ended well."""
        endpoint = self._endpoint(name)
        if name in UPDATES:
            endpoint.endpoint_config_name = UPDATES.pop(name)["config"]
        endpoint.endpoint_status, endpoint.failure_reason = "InService", None

    def starting(self, name: str) -> None:
        """A creation takes its time."""
        self._endpoint(name).endpoint_status = "Creating"

    def alarm(self, name: str) -> None:
        """An alarm rose during the update: the former configuration goes on."""
        UPDATES.pop(name)
        self._endpoint(name).endpoint_status = "RollingBack"

    def rolled_back(self, name: str) -> None:
        endpoint = self._endpoint(name)
        endpoint.endpoint_status, endpoint.failure_reason = "InService", "alarm errors-high rose"

    def failed(self, name: str) -> None:
        """The first containers never answered a ping."""
        endpoint = self._endpoint(name)
        endpoint.endpoint_status, endpoint.failure_reason = "Failed", "the primary container did not pass the ping health check"

    def update_of(self, name: str) -> Json:
        """What the update that is under way was asked with."""
        return UPDATES[name]

    def _endpoint(self, name: str) -> Any:
        return sagemaker_backends[DEFAULT_ACCOUNT_ID][self.region].endpoints[name]


@contextmanager
def sagemaker(region: str) -> Iterator[SageMaker]:
    """A server that ends with the block, with nothing in it; several may run at once."""
    (port,) = free_ports(1)
    known = getattr(SageMakerResponse, "update_endpoint", None)
    assert known in (None, _update_endpoint), "moto knows UpdateEndpoint now: use its own"
    SageMakerResponse.update_endpoint = _update_endpoint  # pyright: ignore[reportAttributeAccessIssue] - what moto lacks
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    try:
        yield SageMaker(f"http://127.0.0.1:{port}", region)
    finally:
        server.stop()
        if known is None:  # whoever added it takes it away
            del SageMakerResponse.update_endpoint  # pyright: ignore[reportAttributeAccessIssue] - the same
        sagemaker_backends[DEFAULT_ACCOUNT_ID][region].reset()
        UPDATES.clear()
