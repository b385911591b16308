"""The endpoint platform of one location's SageMaker: an `EndpointPlatform` whose controller is AWS.

Requests are here, their content is `objects.py`'s. What is wanted is a tag of the endpoint, because after a roll-back
its own configuration is the former one; a cold standby is a model and a configuration without an endpoint.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from mcml_assets.domain.endpoint_access import SageMakerEndpoints
from mcml_assets.domain.errors import ConfigurationError, LocationUnavailable, TransientError
from mcml_assets.domain.topology import Location
from mcml_assets.serving.interfaces import EndpointState, EndpointStatus, Manifest
from mcml_assets.serving.manifest import WantedEndpoint, read_manifest
from mcml_assets.serving.sagemaker.objects import (
    FORMER_TAG,
    NONE,
    WANTED_TAG,
    Json,
    config_request,
    deployment,
    endpoint_name_at,
    endpoint_status,
    model_request,
    revision_name,
    stored_manifest,
)

POLL_SECONDS = 5.0


class SageMakerPlatform:
    """SageMaker endpoints of one location, by the location's own credentials."""

    def __init__(self, location: Location, access: SageMakerEndpoints, poll_seconds: float = POLL_SECONDS) -> None:
        self.location, self.access, self.poll_seconds = location, access, poll_seconds

    def apply(self, manifest: Manifest) -> None:
        """Want this manifest from now on; see `EndpointPlatform.apply`.

        Raises `PreconditionFailed` while SageMaker is busy with another change, which it does not interrupt.
        """
        wanted = read_manifest(manifest)
        name, config = endpoint_name_at(wanted.name), revision_name(wanted)
        described = self._endpoint(wanted.name)
        with self._asking(f"endpoint {name}"):
            self._make(manifest, wanted)
            if not wanted.runs:
                self._keep_cold(name, config, described)
            elif described is None:
                self._create(name, config)
            else:
                self._move(name, config, described)

    def status(self, name: str) -> EndpointStatus:
        """What SageMaker says now; see `EndpointPlatform.status`."""
        described = self._endpoint(name)
        if described is None:
            cold = self._newest_config(name)
            if cold is None:
                return EndpointStatus(name, EndpointState.STOPPED, "", "nothing is wanted here")
            wanted = self._manifest_of(cold)
            said = "the model and its configuration are there, as wanted"
            # One that is wanted to run has an endpoint, or somebody removed it.
            state = EndpointState.COLD if not wanted.runs else EndpointState.STOPPED
            return EndpointStatus(name, state, "", said if not wanted.runs else "its endpoint is gone",
                                  wanted_version=wanted.version, wanted_digest=wanted.digest)  # fmt: skip
        wanted = self._manifest_of(self._tags(described)[WANTED_TAG])
        return endpoint_status(wanted, self._manifest_of(described["EndpointConfigName"]), described)

    def delete(self, name: str) -> None:
        """Want nothing under this name; see `EndpointPlatform.delete`. `PreconditionFailed` while SageMaker is busy with it."""
        with self._asking(f"endpoint {endpoint_name_at(name)}"):
            if self._endpoint(name) is not None:
                self._client.delete_endpoint(EndpointName=endpoint_name_at(name))
            for config in self._configs(name):
                self._remove(config)

    def former(self, name: str) -> Manifest | None:
        """The manifest that answered before the present one; see `EndpointPlatform.former`."""
        described = self._endpoint(name)
        former = self._tags(described).get(FORMER_TAG, NONE) if described is not None else NONE
        return None if former == NONE else stored_manifest(self._model(former))

    def kept_packages(self, name: str) -> frozenset[str]:
        """The digests of the packages that are needed here; see `EndpointPlatform.kept_packages`."""
        return frozenset(self._manifest_of(config).digest for config in self._configs(name))

    def wait_ready(self, name: str, digest: str, timeout: float) -> EndpointStatus:
        """Wait until the endpoint answers with this package; see `EndpointPlatform.wait_ready`.

        SageMaker does not say why a container ended, so a refused package is no `ModelRejected` here but a
        `LocationUnavailable`, whose message names where its log is.
        """
        deadline = time.monotonic() + timeout
        while True:
            status = self.status(name)
            if status.wanted_digest != digest:
                raise ConfigurationError(
                    f"{name}: waiting for package {digest[:12]}, its manifest wants {str(status.wanted_digest)[:12]}"
                )
            if status.healthy:
                return status
            said = f"{name} version {status.wanted_version} is {status.state}: {status.message}"
            if status.state is EndpointState.FAILED:
                log = f"its log is CloudWatch's /aws/sagemaker/Endpoints/{endpoint_name_at(name)}"
                raise LocationUnavailable(self.location.key, f"{said}; {log}")
            if time.monotonic() > deadline:
                raise TransientError(f"not ready after {timeout:g} s; {said}")
            time.sleep(self.poll_seconds)

    def _make(self, manifest: Manifest, wanted: WantedEndpoint) -> None:
        """The model and configuration of this revision, made where they are not there yet."""
        if revision_name(wanted) in self._configs(wanted.name):
            return
        if self._describe(self._client.describe_model, ModelName=revision_name(wanted)) is None:
            self._client.create_model(**model_request(manifest, self.access))
        self._client.create_endpoint_config(**config_request(wanted, self.access))

    def _create(self, name: str, config: str) -> None:
        tags = [{"Key": WANTED_TAG, "Value": config}, {"Key": FORMER_TAG, "Value": NONE}]
        self._client.create_endpoint(EndpointName=name, EndpointConfigName=config, Tags=tags)

    def _move(self, name: str, config: str, described: Json) -> None:
        """Move to another configuration; the one that answers now is what there is to go back to.

        One that is on its way there is left alone, and one that was rolled back is tried again.
        """
        answering, tags = described["EndpointConfigName"], self._tags(described)
        if described["EndpointStatus"] == "Failed":
            # Nothing else may be done with it, says the description of `EndpointStatus`.
            self._client.delete_endpoint(EndpointName=name)
            self._create(name, config)
            return
        if tags.get(WANTED_TAG) == config and (answering == config or described["EndpointStatus"] != "InService"):
            return
        former = answering if answering != config else tags.get(FORMER_TAG, NONE)
        # Told first: an update that was begun and not told would look like one that was rolled back.
        marks = [{"Key": WANTED_TAG, "Value": config}, {"Key": FORMER_TAG, "Value": former}]
        self._client.add_tags(ResourceArn=described["EndpointArn"], Tags=marks)
        if answering != config:
            self._client.update_endpoint(EndpointName=name, EndpointConfigName=config, DeploymentConfig=deployment(self.access))
        for old in self._configs_of(name):
            if old not in (config, former, answering):
                self._remove(old)

    def _keep_cold(self, name: str, config: str, described: Json | None) -> None:
        if described is not None:
            self._client.delete_endpoint(EndpointName=name)
        for old in self._configs_of(name):
            if old != config:
                self._remove(old)

    def _remove(self, config: str) -> None:
        self._client.delete_endpoint_config(EndpointConfigName=config)
        if self._describe(self._client.describe_model, ModelName=config) is not None:
            self._client.delete_model(ModelName=config)

    def _endpoint(self, name: str) -> Json | None:
        with self._asking(f"endpoint {endpoint_name_at(name)}"):
            return self._describe(self._client.describe_endpoint, EndpointName=endpoint_name_at(name))

    def _describe(self, ask: Any, **named: str) -> Json | None:
        """What there is under a name, or None: SageMaker's answer for a missing thing is a ValidationException."""
        try:
            return ask(**named)
        except self._client.exceptions.ClientError as error:
            said = error.response["Error"]
            if said["Code"] == "ResourceNotFound" or "Could not find" in said["Message"]:
                return None
            raise

    def _tags(self, described: Json) -> dict[str, str]:
        with self._asking("tags"):
            tags = self._client.list_tags(ResourceArn=described["EndpointArn"])["Tags"]
        return {tag["Key"]: tag["Value"] for tag in tags}

    def _model(self, config: str) -> Json:
        with self._asking(f"model {config}"):
            model = self._describe(self._client.describe_model, ModelName=config)
        if model is None:
            raise ConfigurationError(f"{self.location.key}: SageMaker has no model {config!r}, which its endpoint names")
        return model

    def _manifest_of(self, config: str) -> WantedEndpoint:
        return read_manifest(stored_manifest(self._model(config)))

    def _newest_config(self, name: str) -> str | None:
        configs = self._configs(name)
        return configs[0] if configs else None

    def _configs(self, name: str) -> list[str]:
        return self._configs_of(endpoint_name_at(name))

    def _configs_of(self, endpoint: str) -> list[str]:
        """The configurations of an endpoint, newest first."""
        with self._asking("configurations"):
            pages = self._client.get_paginator("list_endpoint_configs").paginate(
                NameContains=endpoint[:50], SortBy="CreationTime", SortOrder="Descending"
            )
            found = [one["EndpointConfigName"] for page in pages for one in page["EndpointConfigs"]]
        # Another workload's name may contain this one's.
        return [config for config in found if config.rpartition("-")[0] == endpoint[:50]]

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        from mcml_assets.clouds.aws.service import typed  # noqa: PLC0415 - boto3, 0.3 s

        with typed(self.location.key, f"SageMaker, {what}", _is_busy):
            yield

    @cached_property
    def _client(self) -> Any:
        from mcml_assets.clouds.aws.service import aws_client  # noqa: PLC0415 - boto3, 0.3 s

        return aws_client("sagemaker", self.location, self.location.region, self.access.address)


def _is_busy(code: str, message: str) -> bool:
    """SageMaker refuses a change of an endpoint that is changing ("Cannot update in-progress endpoint") or ends."""
    return code == "ValidationException" and ("in-progress" in message or "already existing" in message)
