"""Empty buckets on the emulators for one test each, made with the rights of their clouds' administrators."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from secrets import token_hex
from typing import Any

from mcml_assets.clouds.secrets import credential_value
from mcml_assets.domain.topology import Credentials, Location, SecretReference, StoreAccess, StoreKind
from mcml_assets.emulation.servers import Emulators

KEY = "aws/eu-west-2"
# The variables that the locations below name; they are the tests' own, next to those of the emulated topology.
S3_KEY, S3_SECRET, AZURE_KEY, GCS_KEY_FILE = "TEST_S3_KEY", "TEST_S3_SECRET", "TEST_AZURE_KEY", "TEST_GCS_KEY_FILE"


def make_bucket(kind: StoreKind, emulators: Emulators, setenv: Callable[[str, str], None]) -> Location:
    """A location of this kind with a new and empty bucket, versioned where the emulator can; `setenv` gets its secrets."""
    return MAKERS[kind](emulators, f"mcml-test-{token_hex(6)}", setenv)


def without_bucket(location: Location) -> Location:
    """The same location, naming a bucket that nobody made."""
    return replace(location, bucket="mcml-never-made")


def anonymous_location(kind: StoreKind, endpoint: str, setenv: Callable[[str, str], None]) -> Location:
    """A location whose service is at `endpoint` and believes whoever asks; its secrets are in `setenv`'s variables."""
    setenv(S3_KEY, "AKIAEXAMPLE")
    setenv(S3_SECRET, "no secret")
    setenv(AZURE_KEY, b64encode(b"no secret").decode())
    credentials: Mapping[str, Credentials] = {
        "s3": Credentials("keys", {"access_key_id": SecretReference(S3_KEY), "secret_access_key": SecretReference(S3_SECRET)}),
        "azure": Credentials("key", {"account_key": SecretReference(AZURE_KEY)}),
        "gcs": Credentials("emulator"),
    }
    account = "account" if kind == "azure" else None
    return _location("mcml-test", StoreAccess(kind, endpoint, True, account, credentials[kind]))


def stranger_key_file(location: Location) -> str:
    """A key file of a service account that may enter other buckets only, on this location's emulator."""
    owner = Path(credential_value(location, "path"))
    return str(next(path for path in sorted(owner.parent.glob("*.json")) if path.name not in (owner.name, "accounts.json")))


def at_endpoint(location: Location, endpoint: str) -> Location:
    """The same location, whose service answers somewhere else."""
    return replace(location, store=replace(location.store, endpoint=endpoint))


def with_values(location: Location, values: Mapping[str, str | SecretReference]) -> Location:
    """The same location, entered with other values."""
    credentials = Credentials(location.store.credentials.method, {**location.store.credentials.values, **values})
    return replace(location, store=replace(location.store, credentials=credentials))


def s3_client(emulators: Emulators) -> Any:
    """A client of S3's administrator."""
    import boto3

    keys = emulators.owner_keys
    return boto3.client(
        "s3",
        region_name="eu-west-2",
        endpoint_url=emulators.endpoints["s3"],
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
    )


def _location(bucket: str, store: StoreAccess) -> Location:
    return Location("aws", "eu-west-2", "UK", bucket, Decimal(0), "USD", {}, store)


def _s3_bucket(emulators: Emulators, bucket: str, setenv: Callable[[str, str], None]) -> Location:
    keys = emulators.owner_keys
    setenv(S3_KEY, keys.access_key_id)
    setenv(S3_SECRET, keys.secret_access_key)
    client = s3_client(emulators)
    client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    values = {"access_key_id": SecretReference(S3_KEY), "secret_access_key": SecretReference(S3_SECRET)}
    return _location(bucket, StoreAccess("s3", emulators.endpoints["s3"], True, None, Credentials("keys", values)))


def _azure_container(emulators: Emulators, bucket: str, setenv: Callable[[str, str], None]) -> Location:
    from azure.storage.blob import BlobServiceClient

    emulated = next(one for one in emulators.topology.locations.values() if one.store.kind == "azure")
    account, reference = emulated.store.account or "", emulated.store.credentials.values["account_key"]
    assert isinstance(reference, SecretReference)
    key = emulators.environment[reference.variable]
    setenv(AZURE_KEY, key)
    credential = {"account_name": account, "account_key": key}
    with BlobServiceClient(f"{emulators.endpoints['azure']}/{account}", credential) as client:
        client.create_container(bucket)
    values = {"account_key": SecretReference(AZURE_KEY)}
    endpoint = f"{emulators.endpoints['azure']}/{account}"
    return _location(bucket, StoreAccess("azure", endpoint, True, account, Credentials("key", values)))


def _gcs_bucket(emulators: Emulators, bucket: str, setenv: Callable[[str, str], None]) -> Location:
    from google.cloud.storage import Bucket, Client
    from google.oauth2.service_account import Credentials as KeyFile

    setenv(GCS_KEY_FILE, str(emulators.owner_key_file))
    credentials = KeyFile.from_service_account_file(str(emulators.owner_key_file))
    client = Client("emulated", credentials, client_options={"api_endpoint": emulators.endpoints["gcs"]})
    made = Bucket(client, bucket)
    made.versioning_enabled = True
    made.create()
    values = {"path": SecretReference(GCS_KEY_FILE)}
    return _location(bucket, StoreAccess("gcs", emulators.endpoints["gcs"], True, None, Credentials("key_file", values)))


MAKERS: Mapping[StoreKind, Callable[[Emulators, str, Callable[[str, str], None]], Location]] = {
    "s3": _s3_bucket,
    "azure": _azure_container,
    "gcs": _gcs_bucket,
}
