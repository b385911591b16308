"""Promises of an endpoint's manifest: Kubernetes would take it, and the data plane reads from it what was meant."""

from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.workload import PlacedLocation, Workload
from mcml_assets.serving.manifest import inference_service, read_manifest
from mcml_assets_tests.serving.kserve_schema import inference_service_schema
from mcml_assets_tests.serving.served_shop import COLD, PRIMARY, WARM, shop_workload

DIGEST = "a" * 64


@pytest.fixture(scope="module")
def kserve() -> Draft202012Validator:
    return Draft202012Validator(inference_service_schema())


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    return shop_workload(tmp_path_factory.mktemp("shop"))


def manifest(workload: Workload, key: str = PRIMARY, **changes: Any) -> dict[str, Any]:
    arguments = {
        "package_uri": "file:///packages/3",
        "features_uri": "file:///features/shop",
        "model_version": 3,
        "digest": DIGEST,
    }
    return inference_service(workload, workload.placed(key), **(arguments | changes))


@pytest.mark.parametrize("key", [PRIMARY, WARM, COLD])
def test_kserve_would_accept_it(workload: Workload, kserve: Draft202012Validator, key: str) -> None:
    """Every role's manifest fulfils KServe's own schema, with no field that KServe does not know."""
    kserve.validate(manifest(workload, key))
    in_cluster = {"package_uri": "s3://models/shop/3", "features_uri": None}
    kserve.validate(manifest(workload, key, **in_cluster))


def test_the_schema_notices_a_misspelt_field(workload: Workload, kserve: Draft202012Validator) -> None:
    """The check above has teeth: a misspelt field of the predictor fails it."""
    wrong = manifest(workload)
    wrong["spec"]["predictor"]["minReplica"] = 1
    with pytest.raises(ValidationError, match="minReplica"):
        kserve.validate(wrong)


def test_labels_are_valid_for_kubernetes(workload: Workload) -> None:
    """Labels hold no slash and at most 63 characters; what does not fit is an annotation."""
    metadata = manifest(workload)["metadata"]
    assert all("/" not in value and len(value) <= 63 for value in metadata["labels"].values())
    assert metadata["annotations"]["mcml.dev/location"] == PRIMARY
    assert metadata["annotations"]["mcml.dev/digest"] == DIGEST


@pytest.mark.parametrize(("key", "replicas"), [(PRIMARY, 1), (WARM, 1), (COLD, 0)])
def test_only_cold_standbys_run_nothing(workload: Workload, key: str, replicas: int) -> None:
    """A primary and a warm standby run one replica, a cold one none, until it is told to run."""
    assert manifest(workload, key)["spec"]["predictor"]["minReplicas"] == replicas
    assert manifest(workload, key, running=True)["spec"]["predictor"]["minReplicas"] == 1


def test_what_was_written_is_read(workload: Workload) -> None:
    """The data plane reads the identity from the manifest and mounts this machine's folders."""
    wanted = read_manifest(manifest(workload))
    assert (wanted.name, wanted.jurisdiction, wanted.version, wanted.digest) == (f"shop@{PRIMARY}", "UK", 3, DIGEST)
    assert wanted.timeout_seconds == 2.0
    arguments = wanted.local_arguments()
    assert arguments[arguments.index("--package") + 1] == "/packages/3"
    assert arguments[arguments.index("--features") + 1] == "/features/shop"


def test_a_change_of_role_needs_no_other_server(workload: Workload) -> None:
    """The revision follows version, package and arguments, not the role: a failover restarts nothing."""
    placed = workload.placed(WARM)
    promoted = replace(workload.placed(PRIMARY), location=placed.location)

    def revision(where: PlacedLocation, version: int = 3) -> str:
        manifest = inference_service(
            workload, where, package_uri="file:///p", features_uri="file:///f", model_version=version, digest=DIGEST
        )
        return read_manifest(manifest).revision

    assert revision(placed) == revision(promoted) != revision(placed, version=4)


def test_a_compute_profile_that_is_not_offered_is_named(workload: Workload) -> None:
    """Asking for a compute profile that the location lacks fails with the nearest one it has."""
    wrong = replace(workload, serving=replace(workload.serving, compute_profile="smal"))
    with pytest.raises(ConfigurationError, match="did you mean 'small'"):
        manifest(wrong)


def test_a_package_elsewhere_cannot_run_here(workload: Workload) -> None:
    """The local platform says that it needs a folder when a manifest names a bucket."""
    with pytest.raises(ConfigurationError, match="no folder of this machine"):
        read_manifest(manifest(workload, package_uri="s3://models/shop")).local_arguments()


@pytest.mark.parametrize("location", ["../../etc", "aws/eu-west-2/x", "aws"])
def test_a_manifest_cannot_name_a_path(workload: Workload, location: str) -> None:
    """A name that would lead out of the data plane's folder is refused."""
    wrong = manifest(workload)
    wrong["metadata"]["annotations"]["mcml.dev/location"] = location
    with pytest.raises(ConfigurationError, match="no name"):
        read_manifest(wrong)


def test_a_foreign_manifest_is_refused() -> None:
    """A manifest without the platform's annotations fails with what is missing."""
    with pytest.raises(ConfigurationError, match="metadata"):
        read_manifest({"kind": "InferenceService"})
