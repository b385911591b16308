"""One cluster's InferenceServices in one namespace, through the Kubernetes API; imports the client late.

Only requests and their errors: what an object holds is `objects.py`'s, what is done with it `platform.py`'s. The client
reads the kubeconfig file itself, and so knows every way that EKS, GKE and AKS let somebody in.
"""

import json
import os
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeVar

from mcml_assets.domain.endpoint_access import ClusterEndpoints
from mcml_assets.domain.errors import (
    ConfigurationError,
    CredentialsRejected,
    LocationUnavailable,
    McmlError,
    PreconditionFailed,
    TransientError,
)

T = TypeVar("T")

GROUP, VERSION, PLURAL = "serving.kserve.io", "v1beta1", "inferenceservices"
# What our identity must be allowed to do to them; granted by deploy/kubernetes/endpoint-role.yaml.
VERBS = ("get", "list", "watch", "create", "update", "delete")
REQUEST_SECONDS = 20.0
GONE = 410
Object = dict[str, Any]


class Cluster:
    """The InferenceServices of a location. Every method raises the errors of `_refusal` and `_no_answer`."""

    def __init__(self, location: str, access: ClusterEndpoints) -> None:
        self.location, self.access = location, access

    def get(self, name: str) -> Object | None:
        """The object of this name as it is stored now; None when there is none."""
        return self._ask(lambda: self._objects.get_namespaced_custom_object(**self._at(name)), absent=None)

    def create(self, wanted: Object) -> None:
        """Store a new object. Raises `PreconditionFailed` when there is one of this name."""
        self._ask(lambda: self._objects.create_namespaced_custom_object(body=wanted, **self._at(None)))

    def replace(self, name: str, wanted: Object) -> None:
        """Store the object in place of the one whose `resourceVersion` it names. Raises `PreconditionFailed` otherwise."""
        self._ask(lambda: self._objects.replace_namespaced_custom_object(body=wanted, **self._at(name)))

    def delete(self, name: str) -> None:
        """Have the object removed, and with it what KServe made for it; a missing one is not an error.

        It may stay for a while, marked as being deleted, until KServe has let go of it.
        """
        self._ask(lambda: self._objects.delete_namespaced_custom_object(**self._at(name)), absent=None)

    def wait_for_change(self, name: str, since: str, seconds: float) -> None:
        """Return when the object has changed since this `resourceVersion`, or after about `seconds`.

        A watch that breaks off, or whose version the server has forgotten, is a change: the caller looks again.
        """
        from kubernetes.client import ApiException  # noqa: PLC0415 - the client, 0.4 s
        from kubernetes.watch import Watch  # noqa: PLC0415 - the same

        watch = Watch()
        asked = {
            **self._at(None),
            "field_selector": f"metadata.name={name}",
            "resource_version": since,
            "timeout_seconds": max(1, round(seconds)),
            "_request_timeout": (REQUEST_SECONDS, seconds + REQUEST_SECONDS),
        }

        def first() -> None:
            try:
                for _ in watch.stream(self._objects.list_namespaced_custom_object, **asked):
                    watch.stop()
            except ApiException as error:
                if error.status != GONE:
                    raise

        self._ask(first)

    def serves_kserve(self) -> bool:
        """Whether the cluster knows InferenceServices of the version that we write."""
        from kubernetes.client import CustomObjectsApi  # noqa: PLC0415 - the client, 0.4 s

        api = CustomObjectsApi(self._client)
        resources: Any = self._ask(lambda: api.get_api_resources(GROUP, VERSION, _request_timeout=REQUEST_SECONDS), absent=None)
        return resources is not None and any(one.name == PLURAL for one in resources.resources)

    def may(self, verb: str) -> bool:
        """Whether we may do this to InferenceServices here, as the cluster itself judges (SelfSubjectAccessReview)."""
        from kubernetes.client import AuthorizationV1Api  # noqa: PLC0415 - the client, 0.4 s

        attributes = {"group": GROUP, "resource": PLURAL, "namespace": self.access.namespace, "verb": verb}
        review: Any = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        api = AuthorizationV1Api(self._client)
        # The client's own types allow for every kind of call at once.
        answer: Any = self._ask(lambda: api.create_self_subject_access_review(review, _request_timeout=REQUEST_SECONDS))
        return answer.status is not None and answer.status.allowed

    def version(self) -> str:
        """The cluster's own version, as it tells everybody."""
        from kubernetes.client import VersionApi  # noqa: PLC0415 - the client, 0.4 s

        answer: Any = self._ask(lambda: VersionApi(self._client).get_code(_request_timeout=REQUEST_SECONDS))
        return answer.git_version

    def _at(self, name: str | None) -> dict[str, Any]:
        named = {} if name is None else {"name": name}
        return {
            "group": GROUP,
            "version": VERSION,
            "namespace": self.access.namespace,
            "plural": PLURAL,
            "_request_timeout": REQUEST_SECONDS,
            **named,
        }

    @cached_property
    def _objects(self) -> Any:
        from kubernetes.client import CustomObjectsApi  # noqa: PLC0415 - the client, 0.4 s

        return CustomObjectsApi(self._client)

    @cached_property
    def _client(self) -> Any:
        from kubernetes.config import ConfigException, new_client_from_config  # noqa: PLC0415 - the client, 0.4 s

        try:
            # The client reads the variable when it is imported, which may be before it is set.
            return new_client_from_config(config_file=os.environ.get("KUBECONFIG"), context=self.access.context)
        except ConfigException as error:
            # What the client says may quote the file, and the file may hold a token.
            raise ConfigurationError(
                f"{self.location}: the kubeconfig file has no usable context {self.access.context!r} "
                f"({type(error).__name__}); list them with `kubectl config get-contexts`, and name the file by KUBECONFIG"
            ) from None

    def _ask(self, request: Callable[[], T], **absent: Any) -> T:
        """The answer of one request; `absent` instead of a 404 where it is given."""
        from kubernetes.client import ApiException  # noqa: PLC0415 - the client, 0.4 s
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 - comes with it

        try:
            return request()
        except ApiException as error:
            if error.status == 404 and "absent" in absent:
                return absent["absent"]
            raise self._refusal(error.status or 0, error.reason or "", error.body) from None
        except HTTPError as error:
            raise LocationUnavailable(
                self.location,
                f"the cluster of context {self.access.context!r} does not answer ({type(error).__name__}); "
                "check the network, and that the cluster runs",
            ) from None

    def _refusal(self, status: int, reason: str, body: object) -> McmlError:
        """What an answer other than success means here."""
        said = f"{self.location}: the cluster answers HTTP {status} {reason}"
        where = f"namespace {self.access.namespace!r}"
        if status in (401, 403):
            return CredentialsRejected(
                self.location,
                f"its cluster answers HTTP {status}: our identity is not known, or may not do this in {where}; "
                "see the role in deploy/kubernetes/endpoint-role.yaml",
            )
        if status == 409:
            return PreconditionFailed(f"{said}: somebody else wrote the InferenceService meanwhile")
        if status == 429:
            return TransientError(f"{said}: it asks to slow down")
        if status == 404:
            return ConfigurationError(
                f"{said}: there is no {where}, or no KServe ({GROUP}/{VERSION}); `mcml doctor` tells which"
            )
        if status >= 500 or status == 0:
            return LocationUnavailable(self.location, f"its cluster answers HTTP {status} {reason}")
        return ConfigurationError(f"{said}: {_message(body)}")


def _message(body: object) -> str:
    """The sentence of a Kubernetes Status, which names fields and no values of secrets."""
    try:
        status: Mapping[str, Any] = json.loads(body) if isinstance(body, str | bytes) else {}
    except ValueError:
        status = {}
    return str(status.get("message") or "it does not say why")
