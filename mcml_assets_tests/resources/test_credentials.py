"""A user's asset reaches a location's bucket through the integration's own resource, as the topology says."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest
from dagster_aws.s3 import S3Resource
from dagster_azure.blob import AzureBlobStorageResource

from mcml_assets.clouds.aws.credentials import credential_provider as aws_provider
from mcml_assets.clouds.azure.credentials import credential_provider as azure_provider
from mcml_assets.clouds.registry import open_store
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.topology import Credentials, Location, SecretReference, StoreAccess, StoreKind
from mcml_assets.emulation.servers import Emulators
from mcml_assets.resources.credentials import azure_blob_resource, gcs_resource, s3_resource
from mcml_assets_tests.clouds.emulated_buckets import AZURE_KEY, S3_SECRET, make_bucket


def location(kind: StoreKind, method: str, **values: str | SecretReference) -> Location:
    access = StoreAccess(kind, None, False, "account", Credentials(method, values))
    return Location("aws", "eu-west-2", "UK", "bucket", Decimal(0), "USD", {}, access)


@pytest.mark.live
def test_an_asset_reads_what_the_platform_stored_on_s3(emulators: Emulators, monkeypatch: pytest.MonkeyPatch):
    """dagster-aws's client, entered as the location is, reads the platform's object; the secret stays a name."""
    place = make_bucket("s3", emulators, monkeypatch.setenv)
    open_store(place, Settings()).put("a/object", b"content")
    resource = s3_resource(place)

    @dg.asset
    def reader(s3: S3Resource) -> str:
        return s3.get_client().get_object(Bucket=place.bucket, Key="a/object")["Body"].read().decode()

    assert dg.materialize([reader], resources={"s3": resource}).output_for_node("reader") == "content"
    assert S3_SECRET in repr(resource)
    assert emulators.owner_keys.secret_access_key not in repr(resource)


@pytest.mark.live
def test_an_asset_reads_what_the_platform_stored_on_azure(emulators: Emulators, monkeypatch: pytest.MonkeyPatch):
    """dagster-azure's client, entered as the location is, reads the platform's object; the secret stays a name."""
    place = make_bucket("azure", emulators, monkeypatch.setenv)
    open_store(place, Settings()).put("a/object", b"content")
    resource = azure_blob_resource(place)

    @dg.asset
    def reader(blobs: AzureBlobStorageResource) -> str:
        with blobs.get_client() as client:
            return client.get_blob_client(place.bucket, "a/object").download_blob().readall().decode()

    assert dg.materialize([reader], resources={"blobs": resource}).output_for_node("reader") == "content"
    assert AZURE_KEY in repr(resource)


@pytest.mark.parametrize("method", ["keys", "session", "profile", "workload_identity"])
def test_s3_is_entered_with_the_same_keys_by_both(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What the platform's store shows S3 is what dagster-aws's client shows, whichever way the topology names."""
    secrets = {"access_key_id": SecretReference("TEST_ID"), "secret_access_key": SecretReference("TEST_SECRET")}
    (tmp_path / "config").write_text("[profile uk]\naws_access_key_id = of-uk\naws_secret_access_key = secret-of-uk\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    ambient = {"AWS_ACCESS_KEY_ID": "ambient", "AWS_SECRET_ACCESS_KEY": "ambient-secret", "AWS_SESSION_TOKEN": "ambient-token"}
    for name, value in {"TEST_ID": "id", "TEST_SECRET": "secret", "TEST_TOKEN": "token", **ambient}.items():
        monkeypatch.setenv(name, value)
    place, expected = {
        "keys": (location("s3", "keys", **secrets), ("id", "secret", None)),
        "session": (location("s3", "keys", **secrets, session_token=SecretReference("TEST_TOKEN")), ("id", "secret", "token")),
        "profile": (location("s3", "profile", profile="uk"), ("of-uk", "secret-of-uk", None)),
        "workload_identity": (location("s3", "workload_identity"), tuple(ambient.values())),
    }[method]
    if method == "profile":
        for name in ambient:
            monkeypatch.delenv(name)
    ours = aws_provider(place)()
    assert (ours["access_key_id"], ours["secret_access_key"], ours.get("token")) == expected
    with dg.build_resources({"s3": s3_resource(place)}) as resources:
        theirs = resources.s3._request_signer._credentials.get_frozen_credentials()
    assert (theirs.access_key, theirs.secret_key, theirs.token) == expected


@pytest.mark.parametrize("method", ["key", "sas"])
def test_azure_is_entered_with_the_same_secret_by_both(method: str, monkeypatch: pytest.MonkeyPatch):
    """What the platform's store shows Azure is what dagster-azure's client shows."""
    monkeypatch.setenv("TEST_VALUE", "c2VjcmV0" if method == "key" else "sv=1&sig=secret")
    name = {"key": "account_key", "sas": "token"}[method]
    place = location("azure", method, **{name: SecretReference("TEST_VALUE")})
    ours = azure_provider(place)()
    with dg.build_resources({"blobs": azure_blob_resource(place)}) as resources, resources.blobs.get_client() as client:
        shown = client.credential.account_key if method == "key" else client.url.partition("?")[2]
    assert (ours.get("access_key") or ours.get("sas_token")) == shown


@pytest.mark.parametrize(
    ("make", "place", "told"),
    [
        (s3_resource, location("s3", "role", role_arn="arn"), "knows no method 'role'; write the role into a profile"),
        (s3_resource, location("gcs", "key_file"), "its store is of kind 'gcs', not 's3'"),
        (gcs_resource, location("gcs", "key_file", path="key.json"), "knows no method 'key_file'; use workload_identity"),
        (gcs_resource, location("gcs", "workload_identity", service_account="a@b"), "takes neither a service account"),
    ],
)
def test_what_an_integration_cannot_do_is_told(make: Callable[[Location], object], place: Location, told: str):
    """Where an integration's resource has no way to enter a location, it says so and what to use."""
    with pytest.raises(ConfigurationError, match=told):
        make(place)


def test_identities_are_handed_to_the_default_chain():
    """An identity's client and tenant reach azure-identity under the names its default chain takes."""
    managed = azure_blob_resource(location("azure", "managed_identity", client_id="one"))
    assert managed.credential.model_dump()["kwargs"] == {"managed_identity_client_id": "one"}
    assert managed.account_url == "https://account.blob.core.windows.net"
    assert gcs_resource(location("gcs", "workload_identity")).project is None
