"""What KServe's controller and a kubelet would do, done by the tests: no cluster here runs a container.

It writes the status of an InferenceService on the API server, through the client, as KServe reports it. What is true of
a status (that a ready object's server gave its golden predictions) rests on the readiness probe in the manifest, which
the model server's own tests cover; no test here shows that a kubelet ran it.
"""

import json
from collections.abc import Mapping
from typing import Any

from mcml_assets.serving.kserve.cluster import GROUP, PLURAL, VERSION, Cluster

TIME = "2024-07-01T00:00:00Z"


class KServeController:
    """The controller of one namespace, over the platform's own connection to the cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def ready(self, name: str, url: str | None = None) -> None:
        """The pods of the newest generation passed their readiness probes."""
        self._report(name, {"conditions": [condition("Ready", "True")], "url": url or f"http://{name}.example.com"})

    def starting(self, name: str) -> None:
        self._report(name, {"conditions": [condition("Ready", "False", "PredictorNotReady", "containers are starting")]})

    def stopped(self, name: str) -> None:
        """What follows from KServe's annotation `stop`."""
        self._report(name, {"conditions": [condition("Ready", "False", "Stopped"), condition("Stopped", "True")]})

    def refused(self, name: str, error: str, digest: str) -> None:
        """The server ended, and left this word as its container's termination message."""
        word = {"error": error, "message": "as the server said", "digest": digest}
        self._failed(name, json.dumps(word))

    def failed(self, name: str) -> None:
        """The container ended without a word, as one without memory does."""
        self._failed(name, "OOMKilled")

    def _failed(self, name: str, message: str) -> None:
        failure = {"reason": "ModelLoadFailed", "message": message, "exitCode": 1}
        states = {"activeModelState": "Pending", "targetModelState": "FailedToLoad"}
        model = {"transitionStatus": "BlockedByFailedLoad", "lastFailureInfo": failure, "states": states}
        self._report(name, {"conditions": [condition("Ready", "False", "RevisionFailed")], "modelStatus": model})

    def _report(self, name: str, status: Mapping[str, Any]) -> None:
        present = self.cluster.get(name)
        assert present is not None
        present["status"] = {"observedGeneration": present["metadata"]["generation"], **status}
        at = {"group": GROUP, "version": VERSION, "plural": PLURAL, "namespace": self.cluster.access.namespace, "name": name}
        self.cluster._objects.replace_namespaced_custom_object_status(body=present, **at)


def condition(kind: str, status: str, reason: str = "", message: str = "") -> dict[str, str]:
    said = {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": TIME}
    # The server of `make test-k8s` takes an empty text for null, and refuses it.
    return {key: value for key, value in said.items() if value}
