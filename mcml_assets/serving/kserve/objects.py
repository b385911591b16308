"""From an endpoint's manifest to the object a cluster stores, and from that object to a status. Pure.

The manifest is the same as on a laptop; a cluster adds where it runs, as whom, and the address to listen on. What was
wanted, and what answered before, are annotations of the object itself: a cluster that outlives the control plane knows
both.
"""

import json
from copy import deepcopy
from typing import Any

from mcml_assets.domain.endpoint_access import ClusterEndpoints
from mcml_assets.domain.errors import ConfigurationError, CorruptSnapshot, ModelRejected
from mcml_assets.domain.snapshot import canonical_json
from mcml_assets.serving.interfaces import EndpointState, EndpointStatus, Manifest
from mcml_assets.serving.manifest import DOMAIN, WantedEndpoint, read_manifest

WANTED, FORMER = f"{DOMAIN}/manifest", f"{DOMAIN}/former"
MODE = "serving.kserve.io/deploymentMode"
STOP = "serving.kserve.io/stop"
# KServe's older words, which its newer versions (Knative, Standard) still take.
MODES = {"kserve": "Serverless", "kserve-standard": "RawDeployment"}
FULL = 100
REFUSALS = {error.__name__: error for error in (ModelRejected, CorruptSnapshot, ConfigurationError)}

Object = dict[str, Any]


def object_name(endpoint: str) -> str:
    """The object's name: the workload's, as Kubernetes writes names. A namespace holds one location's endpoints."""
    return endpoint.partition("@")[0].replace("_", "-").lower()


def cluster_object(manifest: Manifest, access: ClusterEndpoints, *, percent: int = FULL, former: Manifest | None) -> Object:
    """The InferenceService to store. `percent` is the share of requests that this version gets, the version before it the
    rest; `former` is the manifest that answered before.

    Raises `ConfigurationError` for a manifest that is none of this platform.
    """
    wanted = read_manifest(manifest)
    stored: Object = deepcopy(dict(manifest))
    metadata, predictor = stored["metadata"], stored["spec"]["predictor"]
    metadata["namespace"] = access.namespace
    metadata["annotations"] |= {MODE: MODES[access.platform], WANTED: canonical_json(dict(manifest)).decode()}
    if former is not None:
        metadata["annotations"][FORMER] = canonical_json(dict(former)).decode()
    if access.platform == "kserve-standard":
        # Deployments do not start because a request comes: KServe takes them away as long as this stands.
        metadata["annotations"][STOP] = "false" if wanted.runs else "true"
        predictor["minReplicas"] = 1
    if percent != FULL:
        predictor["canaryTrafficPercent"] = percent
    predictor["serviceAccountName"] = access.service_account
    (container,) = predictor["containers"]
    # Given again, an argument replaces the manifest's. A refusal is told by the container's termination message.
    container["args"] += ["--host", "0.0.0.0", "--termination-log", "/dev/termination-log"]  # noqa: S104 - within its pod
    container["terminationMessagePath"] = "/dev/termination-log"
    return stored


def updated(present: Object, wanted: Object) -> Object:
    """The stored object with everything of `wanted`; what others wrote beside it (labels, finalizers) stays."""
    after = deepcopy(present)
    after["spec"] = wanted["spec"]
    metadata, given = after["metadata"], wanted["metadata"]
    ours = (f"{DOMAIN}/", MODE, STOP)
    kept = {key: value for key, value in metadata.get("annotations", {}).items() if not key.startswith(ours)}
    metadata["annotations"] = kept | given["annotations"]
    metadata["labels"] = metadata.get("labels", {}) | given["labels"]
    return after


def holds(present: Any, wanted: Any) -> bool:
    """Whether everything of `wanted` is so in `present`, which may say more: what the cluster filled in."""
    if isinstance(wanted, dict):
        return isinstance(present, dict) and all(key in present and holds(present[key], value) for key, value in wanted.items())
    if isinstance(wanted, list):
        same = isinstance(present, list) and len(present) == len(wanted)
        return same and all(map(holds, present, wanted))
    return present == wanted


def stored_manifest(present: Object, annotation: str) -> dict[str, Any] | None:
    """The manifest that an annotation holds (`WANTED`, `FORMER`); None where there is none.

    Raises `ConfigurationError` when somebody made the annotation unreadable.
    """
    text = present["metadata"].get("annotations", {}).get(annotation)
    if text is None:
        return None
    try:
        manifest = json.loads(text)
        read_manifest(manifest)
    except ValueError as error:
        name = present["metadata"]["name"]
        raise ConfigurationError(f"InferenceService {name!r}: annotation {annotation} is not readable: {error}") from error
    return manifest


def percent_of(present: Object) -> int:
    """The share of requests that the newest version is to get."""
    return int(present["spec"]["predictor"].get("canaryTrafficPercent", FULL))


def endpoint_status(name: str, present: Object) -> EndpointStatus:
    """What the object says about the endpoint.

    The server is ready only after it checked the package's digest and gave its golden predictions, and KServe says ready
    only when the server does: so a ready object, for its newest generation, is the wanted package answering.
    """
    manifest = stored_manifest(present, WANTED)
    if manifest is None:
        raise ConfigurationError(f"InferenceService {present['metadata']['name']!r} was not made by this platform")
    wanted = read_manifest(manifest)
    former = stored_manifest(present, FORMER)
    before = read_manifest(former) if former is not None else None
    status = present.get("status", {})
    if status.get("observedGeneration", 0) < present["metadata"].get("generation", 1):
        since = present["metadata"].get("creationTimestamp", "")
        return _status(wanted, EndpointState.PENDING, since, "KServe has not taken it up yet", answering=before)
    ready = _condition(status, "Ready")
    since = ready.get("lastTransitionTime", "")
    address = status.get("url")
    if not wanted.runs and _condition(status, "Stopped").get("status") == "True":
        return _status(wanted, EndpointState.COLD, since, "stopped, as wanted")
    refusal = _refusal(wanted, status)
    if refusal is not None:
        return _status(wanted, EndpointState.FAILED, since, refusal[1], error=refusal[0], answering=before, address=address)
    if ready.get("status") != "True":
        said = f"{ready.get('reason', 'not ready yet')}: {ready.get('message', 'KServe does not say why')}"
        return _status(wanted, EndpointState.STARTING, since, said, answering=before, address=address)
    share = percent_of(present)
    if share == FULL:
        state = EndpointState.READY if wanted.runs else EndpointState.COLD
        return _status(wanted, state, since, "", answering=wanted if wanted.runs else None, address=address)
    if share == 0:
        return _status(
            wanted, EndpointState.FAILED, since, "rolled back: the version before answers", answering=before, address=address
        )
    said = f"a canary of {share} %; the version before answers the rest"
    return _status(wanted, EndpointState.READY, since, said, answering=before if share < FULL / 2 else wanted, address=address)


def _refusal(wanted: WantedEndpoint, status: Object) -> tuple[str | None, str] | None:
    """Why the server refused to start: the name of the error, None where it left no word, and what it said."""
    model = status.get("modelStatus", {})
    transition, failure = model.get("transitionStatus"), model.get("lastFailureInfo", {})
    if transition == "InvalidSpec":
        return ConfigurationError.__name__, f"KServe refuses the specification: {failure.get('message', 'no reason given')}"
    if transition != "BlockedByFailedLoad":
        return None
    try:
        word = json.loads(failure.get("message", ""))
        error, message, digest = word["error"], word["message"], word["digest"]
    except (ValueError, KeyError, TypeError):
        return None, f"{failure.get('reason', 'its server ends')}: {failure.get('message', 'no reason given')}"
    # What the version before left behind says nothing about this one.
    return (error if error in REFUSALS else None, message) if digest == wanted.digest else None


def _condition(status: Object, kind: str) -> Object:
    return next((one for one in status.get("conditions", ()) if one.get("type") == kind), {})


def _status(
    wanted: WantedEndpoint,
    state: EndpointState,
    since: str,
    message: str,
    *,
    error: str | None = None,
    answering: WantedEndpoint | None = None,
    address: str | None = None,
) -> EndpointStatus:
    return EndpointStatus(
        wanted.name,
        state,
        since,
        message,
        error,
        wanted_version=wanted.version,
        wanted_digest=wanted.digest,
        version=answering.version if answering is not None else None,
        digest=answering.digest if answering is not None else None,
        address=address if answering is not None else None,
    )
