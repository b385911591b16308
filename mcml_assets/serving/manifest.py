"""The manifest of an endpoint: a KServe InferenceService (v1beta1), the same for a cluster and for this machine.

Pure: builds and reads the manifest. Who runs it is `local_platform.py`'s or a cluster's business. In a cluster
KServe's storage initializer brings STORAGE_URI to /mnt/models; on this machine the controller puts the folders in
place of the mount paths.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from mcml_assets.domain.error_budget import Objectives
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.prediction import logged_inputs
from mcml_assets.domain.rollout import RolloutPlan, rollout_order
from mcml_assets.domain.snapshot import canonical_json
from mcml_assets.domain.topology import did_you_mean
from mcml_assets.domain.workload import PlacedLocation, Role, RolloutSteps, Workload
from mcml_assets.serving.interfaces import Manifest

DOMAIN = "mcml.dev"
CONTAINER_PORT = 8080
PACKAGE_MOUNT = "/mnt/models"  # where KServe's storage initializer puts STORAGE_URI
FEATURES_MOUNT = "/mnt/features"
SERVER_MODULE = "mcml_assets.serving.server"
ELSEWHERE = "--elsewhere"  # the argument by which a server is a gateway: the address of the endpoint that it asks


@dataclass(frozen=True, slots=True)
class WantedEndpoint:
    """What the data plane reads from a manifest: identity, the server's arguments, and the folders to mount."""

    workload: str
    location: str
    jurisdiction: str
    role: Role
    version: int
    digest: str
    timeout_seconds: float
    runs: bool
    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    mounts: tuple[tuple[str, str], ...]
    rollout: RolloutPlan | None = None

    @property
    def name(self) -> str:
        """What the platform calls this endpoint."""
        return endpoint_name(self.workload, self.location)

    @property
    def elsewhere(self) -> bool:
        """Whether this is a gateway: a server of this machine whose model answers on another platform."""
        return ELSEWHERE in self.arguments

    @property
    def revision(self) -> str:
        """Changes when the server has to be another process; a change of role or of the rollout alone does not change it."""
        content = [self.version, self.digest, self.arguments, self.environment, self.mounts]
        return sha256(canonical_json(content)).hexdigest()[:16]

    def local_arguments(self) -> list[str]:
        """The server's arguments with folders of this machine in place of mount paths.

        Raises `ConfigurationError` for a package or feature URI that is no folder of this machine.
        """
        folders = {mount: _local_folder(self.name, uri) for mount, uri in self.mounts}
        return [folders.get(argument, argument) for argument in self.arguments]

    def package_folder(self) -> Path:
        """The package's folder on this machine; raises as `local_arguments` does."""
        return Path(self.local_arguments()[self.arguments.index(PACKAGE_MOUNT)])


def endpoint_name(workload: str, location: str) -> str:
    """The name under which a platform knows an endpoint: `online_retail@aws/eu-west-2`."""
    return f"{workload}@{location}"


def inference_service(
    workload: Workload,
    placed: PlacedLocation,
    *,
    package_uri: str,
    features_uri: str | None,
    model_version: int,
    digest: str,
    running: bool | None = None,
    image: str | None = None,
) -> dict[str, object]:
    """The InferenceService of a workload in one of its locations.

    `package_uri` names the model package's folder and `features_uri` the location's Feast folder of this workload
    (`file:///…` on this machine), None for a server that is sent features by its gateway; `digest` is the package's and is
    checked by the server before it answers.
    `running` overrides what the role says (a cold standby that has to take over); `image` defaults to the project's.

    Raises `ConfigurationError` for a compute profile that the location does not offer.
    """
    location = placed.location
    runs = placed.role is not Role.COLD if running is None else running
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": workload.name.replace("_", "-").lower(),
            "labels": {
                f"{DOMAIN}/workload": workload.name,
                f"{DOMAIN}/jurisdiction": location.jurisdiction,
                f"{DOMAIN}/cloud": location.cloud,
                f"{DOMAIN}/region": location.region,
                f"{DOMAIN}/role": placed.role.value,
            },
            "annotations": {
                # A location's key holds a slash and a digest 64 characters: neither may be a label.
                f"{DOMAIN}/location": location.key,
                f"{DOMAIN}/model-version": str(model_version),
                f"{DOMAIN}/digest": digest,
                f"{DOMAIN}/timeout-seconds": str(workload.serving.timeout_seconds),
                **_rollout(workload, placed),
            },
        },
        "spec": {
            "predictor": {
                "minReplicas": 1 if runs else 0,
                "maxReplicas": 1,
                # KServe wants whole seconds; the edge holds the exact bound.
                "timeout": max(1, round(workload.serving.timeout_seconds)),
                "containers": [
                    _container(workload, placed, package_uri, model_version, digest, image, reads=features_uri is not None)
                ],
                **({"volumes": [_features_volume(features_uri)]} if features_uri is not None else {}),
            }
        },
    }


def _rollout(workload: Workload, placed: PlacedLocation) -> dict[str, str]:
    """The steps by which this version takes over from another one; nothing where it does so at once."""
    steps = workload.serving.rollout
    if steps is None:
        return {}
    order = rollout_order(workload.placement_of(placed.key), steps.canaries)
    return {f"{DOMAIN}/rollout": canonical_json(asdict(RolloutPlan(steps, order, workload.serving.objectives))).decode()}


def _container(
    workload: Workload,
    placed: PlacedLocation,
    package_uri: str,
    model_version: int,
    digest: str,
    image: str | None,
    *,
    reads: bool,
) -> dict[str, object]:
    """The server's container; `reads` says that it reads features itself."""
    return {
        "name": "kserve-container",
        "image": image or f"mcml-assets:{installed_version('mcml-assets')}",
        "command": ["python", "-m", SERVER_MODULE],
        "args": [
            *("--package", PACKAGE_MOUNT),
            *(("--features", FEATURES_MOUNT) if reads else ()),
            *("--workload", workload.name),
            *("--location", placed.key),
            *("--jurisdiction", placed.location.jurisdiction),
            *("--model-version", str(model_version)),
            *("--digest", digest),
            *("--log-inputs", logged_inputs(workload)),
            *("--port", str(CONTAINER_PORT)),
        ],
        "env": [
            {"name": "STORAGE_URI", "value": package_uri},
            # One row at a time gains nothing from threads, and servers on one machine would fight for its cores.
            {"name": "OMP_NUM_THREADS", "value": "1"},
            {"name": "OPENBLAS_NUM_THREADS", "value": "1"},
        ],
        "ports": [{"containerPort": CONTAINER_PORT, "protocol": "TCP"}],
        "readinessProbe": {"httpGet": {"path": f"/v2/models/{workload.name}/ready", "port": CONTAINER_PORT}},
        "resources": _resources(workload, placed),
        **({"volumeMounts": [{"name": "features", "mountPath": FEATURES_MOUNT, "readOnly": True}]} if reads else {}),
    }


def _resources(workload: Workload, placed: PlacedLocation) -> dict[str, dict[str, str]]:
    profiles = placed.location.compute_profiles
    wanted = workload.serving.compute_profile
    if wanted not in profiles:
        raise ConfigurationError(
            f"{workload.name} wants compute profile {wanted!r}, which {placed.key} does not offer"
            f"{did_you_mean(wanted, profiles)}"
        )
    profile = profiles[wanted]
    amounts = {"cpu": f"{profile.cpu:g}", "memory": f"{round(profile.memory_gib * 1024)}Mi"}
    return {"requests": dict(amounts), "limits": dict(amounts)}


def _features_volume(features_uri: str) -> dict[str, object]:
    return {"name": "features", "hostPath": {"path": features_uri.removeprefix("file://")}}


def _mounts(package_uri: str, volumes: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
    """Where each folder is mounted, and its URI; `volumes` holds at most what `_features_volume` made."""
    features = tuple((FEATURES_MOUNT, f"file://{volume['hostPath']['path']}") for volume in volumes)
    return ((PACKAGE_MOUNT, package_uri), *features)


def read_manifest(manifest: Manifest) -> WantedEndpoint:
    """The parts of a manifest that the data plane acts on.

    Raises `ConfigurationError` naming what is missing or malformed.
    """
    try:
        metadata = manifest["metadata"]
        predictor = manifest["spec"]["predictor"]
        container = predictor["containers"][0]
        labels, annotations = metadata["labels"], metadata["annotations"]
        environment = {entry["name"]: entry["value"] for entry in container["env"]}
        wanted = WantedEndpoint(
            workload=labels[f"{DOMAIN}/workload"],
            location=annotations[f"{DOMAIN}/location"],
            jurisdiction=labels[f"{DOMAIN}/jurisdiction"],
            role=Role(labels[f"{DOMAIN}/role"]),
            version=int(annotations[f"{DOMAIN}/model-version"]),
            digest=annotations[f"{DOMAIN}/digest"],
            timeout_seconds=float(annotations[f"{DOMAIN}/timeout-seconds"]),
            runs=predictor["minReplicas"] > 0,
            arguments=tuple(container["args"]),
            mounts=_mounts(environment.pop("STORAGE_URI"), predictor.get("volumes", ())),
            environment=tuple(sorted(environment.items())),
            rollout=read_plan(json.loads(annotations[f"{DOMAIN}/rollout"])) if f"{DOMAIN}/rollout" in annotations else None,
        )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"manifest is not an InferenceService of this platform: {type(error).__name__} {error}"
        ) from error
    # The name becomes a path in the data plane's folder.
    if not re.fullmatch(r"[A-Za-z0-9_-]+@[A-Za-z0-9-]+/[A-Za-z0-9-]+", wanted.name):
        raise ConfigurationError(f"manifest has an endpoint name that is no name: {wanted.name!r}")
    return wanted


def read_plan(document: Mapping[str, Any]) -> RolloutPlan:
    """A stored plan. Raises `KeyError`, `TypeError` or `ValueError` for what is none."""
    steps = document["steps"]
    tuples = {name: tuple(steps[name]) for name in ("percents", "canaries")}
    return RolloutPlan(RolloutSteps(**{**steps, **tuples}), tuple(document["order"]), Objectives(**document["objectives"]))


def _local_folder(name: str, uri: str) -> str:
    if not uri.startswith("file:///"):
        raise ConfigurationError(f"{name}: {uri!r} is no folder of this machine; the local platform needs file:///…")
    return uri.removeprefix("file://")
