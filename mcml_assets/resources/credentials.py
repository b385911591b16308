"""The integrations' own resources for a location, entered as its topology says: for users' assets that want such a client.

The platform's stores sit on the same chains (boto3's, azure-identity's, google-auth's) and do not go through these, for
reasons that `deploy/docs/adding-a-cloud.md` has with their figures. Secrets stay `EnvVar`s, so the UI shows their names.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import dagster as dg

from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.topology import Location, SecretReference

if TYPE_CHECKING:
    from dagster_aws.s3 import S3Resource
    from dagster_azure.blob import AzureBlobStorageResource
    from dagster_gcp import GCSResource


def s3_resource(location: Location) -> "S3Resource":
    """dagster-aws's resource for an S3 location. Raises `ConfigurationError` for a role, which it cannot assume."""
    from dagster_aws.s3 import S3Resource  # noqa: PLC0415 - only who wants it pays for it

    _check(location, "s3", ("keys", "profile", "workload_identity"), "write the role into a profile of ~/.aws/config")
    values = _values(location)
    return S3Resource(
        region_name=location.region,
        endpoint_url=location.store.endpoint,
        profile_name=values.get("profile"),
        aws_access_key_id=values.get("access_key_id"),
        aws_secret_access_key=values.get("secret_access_key"),
        aws_session_token=values.get("session_token"),
    )


def azure_blob_resource(location: Location) -> "AzureBlobStorageResource":
    """dagster-azure's resource for an Azure location."""
    from dagster_azure.blob import (  # noqa: PLC0415 - only who wants it pays for it
        AzureBlobStorageDefaultCredential,
        AzureBlobStorageKeyCredential,
        AzureBlobStorageResource,
        AzureBlobStorageSASTokenCredential,
    )

    _check(location, "azure", ("key", "sas", "managed_identity", "workload_identity"), "")
    method, values = location.store.credentials.method, _values(location)
    if method == "key":
        credential = AzureBlobStorageKeyCredential(key=values["account_key"])
    elif method == "sas":
        credential = AzureBlobStorageSASTokenCredential(token=values["token"])
    else:
        # The names under which azure-identity's default chain takes the two identities' values.
        names = {f"{method}_{name}": value for name, value in values.items()}
        credential = AzureBlobStorageDefaultCredential(kwargs=names)
    endpoint = location.store.endpoint or f"https://{location.store.account}.blob.core.windows.net"
    return AzureBlobStorageResource(account_url=endpoint, credential=credential)


def gcs_resource(location: Location) -> "GCSResource":
    """dagster-gcp's resource for a Google location.

    Raises `ConfigurationError` unless the location is entered by the machine's own identity at Google's own address:
    the resource takes neither key file nor account nor endpoint.
    """
    from dagster_gcp import GCSResource  # noqa: PLC0415 - only who wants it pays for it

    _check(location, "gcs", ("workload_identity",), "use workload_identity, without `service_account`, and no endpoint")
    if location.store.credentials.values or location.store.endpoint is not None:
        raise ConfigurationError(f"{location.key}: dagster-gcp's resource takes neither a service account nor an endpoint")
    return GCSResource()


def _check(location: Location, kind: str, methods: tuple[str, ...], remedy: str) -> None:
    store = location.store
    if store.kind != kind:
        raise ConfigurationError(f"{location.key}: its store is of kind {store.kind!r}, not {kind!r}")
    if store.credentials.method not in methods:
        raise ConfigurationError(
            f"{location.key}: the integration's resource knows no method {store.credentials.method!r}; {remedy}"
        )


def _values(location: Location) -> Mapping[str, str]:
    """The values of the credentials, a secret as the `EnvVar` of its variable (a `str` by type)."""
    return {
        name: dg.EnvVar(value.variable) if isinstance(value, SecretReference) else value
        for name, value in location.store.credentials.values.items()
    }
