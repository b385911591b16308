"""Promises of a location's registry: each package once, and `current` names the one that is served."""

from pathlib import Path

from mcml_assets.training.registry import register_version
from mcml_assets.training.tracking_database import open_client
from mcml_assets_tests.training.synthetic import make_workload


def register(uri: str, folder: Path, region: str, version: int, digest: str) -> str:
    return register_version(
        uri,
        workload=make_workload(folder),
        region=region,
        source=str(folder / "package" / "model"),
        version=version,
        digest=digest,
        snapshots={"raw_data": "a" * 64},
        mlflow_run_id="c" * 32,
    )


def test_a_version_is_registered_with_its_origin(mlflow_uri: str, tmp_path: Path) -> None:
    """The registry's version carries the platform's version, digest and snapshots, and points to the location's own copy."""
    number = register(mlflow_uri, tmp_path, "eu-west-1", version=7, digest="d" * 64)
    found = open_client(mlflow_uri).get_model_version_by_alias("shop.eu-west-1", "current")
    assert str(found.version) == number
    assert found.source == str(tmp_path / "package" / "model")
    expected = {
        "mcml.version": "7",
        "mcml.digest": "d" * 64,
        "mcml.mlflow_run_id": "c" * 32,
        "mcml.snapshot.raw_data": "a" * 64,
    }
    assert found.tags.items() >= expected.items()


def test_the_same_package_is_registered_once(mlflow_uri: str, tmp_path: Path) -> None:
    """Repeating a registration changes nothing, and going back to a former package moves the alias only."""
    client = open_client(mlflow_uri)
    numbers = [
        register(mlflow_uri, tmp_path, "eu-west-2", version, digest)
        for version, digest in ((1, "1" * 64), (1, "1" * 64), (2, "2" * 64), (1, "1" * 64))
    ]
    assert numbers == ["1", "1", "2", "1"]
    assert len(client.search_model_versions("name = 'shop.eu-west-2'")) == 2
    assert str(client.get_model_version_by_alias("shop.eu-west-2", "current").version) == "1"


def test_locations_of_one_cloud_have_registries_of_their_own(mlflow_uri: str, tmp_path: Path) -> None:
    """Two regions share their cloud's MLflow, and each has its own versions of the same package."""
    assert register(mlflow_uri, tmp_path, "eu-central-1", 1, "5" * 64) == "1"
    assert register(mlflow_uri, tmp_path, "us-east-1", 1, "5" * 64) == "1"
