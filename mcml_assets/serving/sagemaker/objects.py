"""From an endpoint's manifest to SageMaker's model and endpoint configuration, and from its answers to a status. Pure.

A model and a configuration are immutable there, so each revision of a manifest has its own pair; an endpoint names one
configuration. The manifest itself lies in the model's environment: what a server runs, and what was asked for, are told
by the same record.
"""

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any

from mcml_assets.domain.endpoint_access import SageMakerEndpoints
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.snapshot import canonical_json
from mcml_assets.serving.interfaces import EndpointState, EndpointStatus, Manifest
from mcml_assets.serving.manifest import PACKAGE_MOUNT, WantedEndpoint, read_manifest
from mcml_assets.serving.tracing import TRACEPARENT

VARIANT = "main"
ARGUMENTS, MANIFEST = "MCML_ARGUMENTS", "MCML_MANIFEST_"
WANTED_TAG, FORMER_TAG = "mcml:wanted", "mcml:former"
NONE = "none"
# Of the custom attributes: SageMaker passes these on with an invocation, and drops a caller's headers.
TRACE_PREFIX = f"{TRACEPARENT}="
PACKAGE_FOLDER = "/opt/ml/model"  # where SageMaker puts the model's data
VALUE_LENGTH = 1000  # of the 1,024 characters that a variable may have

Json = dict[str, Any]


def endpoint_name_at(name: str) -> str:
    """SageMaker's name for an endpoint: the workload's. An account and region hold one location's endpoints."""
    return f"mcml-{name.partition('@')[0]}".replace("_", "-")[:63]


def revision_name(wanted: WantedEndpoint) -> str:
    """The name of the model and of the configuration of this revision."""
    return f"{endpoint_name_at(wanted.name)[:50]}-{wanted.revision[:12]}"


def model_request(manifest: Manifest, access: SageMakerEndpoints) -> Json:
    """What `CreateModel` is asked with. Raises `ConfigurationError` for a package that is not in S3."""
    wanted = read_manifest(manifest)
    package = dict(wanted.mounts)[PACKAGE_MOUNT]
    if not package.startswith("s3://"):
        raise ConfigurationError(f"{wanted.name}: SageMaker reads packages from S3, not from {package.partition('://')[0]}")
    arguments = [PACKAGE_FOLDER if argument == PACKAGE_MOUNT else argument for argument in wanted.arguments]
    # SageMaker gives containers no arguments.
    environment = {ARGUMENTS: json.dumps(arguments), **dict(wanted.environment), **_chunks(manifest)}
    container = {
        "Image": access.image,
        "Environment": environment,
        "ModelDataSource": {"S3DataSource": _prefix(package)},
    }
    return {"ModelName": revision_name(wanted), "PrimaryContainer": container, "ExecutionRoleArn": access.role_arn}


def config_request(wanted: WantedEndpoint, access: SageMakerEndpoints) -> Json:
    """What `CreateEndpointConfig` is asked with: one variant, on one machine."""
    variant = {
        "VariantName": VARIANT,
        "ModelName": revision_name(wanted),
        "InstanceType": access.instance_type,
        "InitialInstanceCount": 1,
        "InitialVariantWeight": 1.0,
    }
    return {"EndpointConfigName": revision_name(wanted), "ProductionVariants": [variant]}


def deployment(access: SageMakerEndpoints) -> Json:
    """How `UpdateEndpoint` moves requests: a canary first, all of them later, and back when an alarm rises meanwhile."""
    shift = access.shift
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "CANARY",
                "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": shift.percent},
                "WaitIntervalInSeconds": shift.wait_seconds,
            },
            "TerminationWaitInSeconds": shift.keep_seconds,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in access.alarms]},
    }


def stored_manifest(model: Json) -> dict[str, Any]:
    """The manifest that a described model was made of.

    Raises `ConfigurationError` when it is none of this platform's.
    """
    environment = model.get("PrimaryContainer", {}).get("Environment", {})
    parts = sorted(
        (int(name.removeprefix(MANIFEST)), value) for name, value in environment.items() if name.startswith(MANIFEST)
    )
    try:
        return json.loads(zlib.decompress(base64.b64decode("".join(value for _, value in parts))))
    except (ValueError, zlib.error) as error:
        raise ConfigurationError(f"SageMaker model {model.get('ModelName')!r} was not made by this platform") from error


def endpoint_status(wanted: WantedEndpoint, answering: WantedEndpoint | None, described: Json) -> EndpointStatus:
    """What a described endpoint says; `wanted` is what was asked for last, `answering` the configuration in use."""
    state, message = _state(wanted, answering, described)
    serves = answering if described["EndpointStatus"] not in ("Creating", "Failed", "Deleting") else None
    changed = described.get("LastModifiedTime")
    return EndpointStatus(
        wanted.name,
        state,
        changed.isoformat() if changed is not None else "",
        message,
        wanted_version=wanted.version,
        wanted_digest=wanted.digest,
        version=serves.version if serves is not None else None,
        digest=serves.digest if serves is not None else None,
        # What answers there is signed by AWS: an address of the API, not of a server.
        address=described["EndpointArn"] if serves is not None else None,
    )


def _state(wanted: WantedEndpoint, answering: WantedEndpoint | None, described: Json) -> tuple[EndpointState, str]:
    status, reason = described["EndpointStatus"], described.get("FailureReason", "")
    same = answering is not None and answering.revision == wanted.revision
    match status:
        case "InService" if same:
            return EndpointState.READY, ""
        case "InService":
            return EndpointState.FAILED, f"rolled back, the version before answers: {reason or 'SageMaker does not say why'}"
        case "Creating" | "Updating" | "SystemUpdating":
            return EndpointState.STARTING, f"SageMaker is {status.lower()}"
        case "RollingBack":
            return EndpointState.FAILED, f"an alarm rose, or the update failed: it rolls back; {reason}"
        case _:
            return EndpointState.FAILED, f"{status}: {reason or 'SageMaker does not say why'}"


def _prefix(uri: str) -> Json:
    return {"S3Uri": uri if uri.endswith("/") else f"{uri}/", "S3DataType": "S3Prefix", "CompressionType": "None"}


def _chunks(manifest: Manifest) -> dict[str, str]:
    packed = base64.b64encode(zlib.compress(canonical_json(dict(manifest)), 9)).decode()
    parts = [packed[start : start + VALUE_LENGTH] for start in range(0, len(packed), VALUE_LENGTH)]
    return {f"{MANIFEST}{number}": part for number, part in enumerate(parts)}


def trace_attributes(headers: Mapping[str, str]) -> dict[str, str]:
    """The argument of an invocation by which a request's trace goes on; none where there is no trace."""
    parent = headers.get(TRACEPARENT)
    return {"CustomAttributes": TRACE_PREFIX + parent} if parent is not None else {}
