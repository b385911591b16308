"""What Azure says about a container, by its blob client. Import this module only where a container is inspected.

Versioning is a setting of the account that only its management service tells; but a blob that is written while it is on
is given a version, so the blob is asked.
"""

from functools import cached_property
from typing import Any

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.blob import ContainerClient

from mcml_assets.clouds.azure.client import account_address, container_client
from mcml_assets.clouds.azure.credentials import credential_provider
from mcml_assets.clouds.inspection import Fact, Protection
from mcml_assets.domain.topology import Location

EMULATOR = "Azurite"


class AzureInspector:
    """A `BucketInspector` of a blob container, with the location's own credentials."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._server = ""

    @property
    def address(self) -> str:
        """The account's URL."""
        return account_address(self._location)

    def protection(self, key: str) -> Protection:
        """What the container and the blob `key` say."""
        try:
            blob = self._client.get_blob_client(key).get_blob_properties(raw_response_hook=self._note_server)
        except AzureError as error:
            reason = f"Azure does not say: {type(error).__name__}"
            unknown = Fact("unknown", reason, "grant blobs/read on the container")
            return Protection(self._region(), unknown, unknown, self._public_access())
        account = self._location.store.account
        enable = f"az storage account blob-service-properties update --account-name {account} --enable-versioning true"
        if self._server.startswith(EMULATOR):
            # It calls every blob encrypted, and stores all of them as they are.
            encryption = Fact("not_applicable", f"{EMULATOR} is as encrypted as its disk")
            versioning = Fact("not_applicable", f"{EMULATOR} has no versioning")
        else:
            mend = "Azure encrypts every blob: check that the endpoint is Azure's"
            encrypted = Fact("on", "the probe is stored encrypted") if blob.server_encrypted else None
            encryption = encrypted or Fact("off", "the probe is not stored encrypted", mend)
            versioned = Fact("on", "blob versioning: the probe was given a version") if blob.version_id else None
            versioning = versioned or Fact("off", "blob versioning is off: the probe was given no version", enable)
        return Protection(self._region(), encryption, versioning, self._public_access())

    def purge(self, key: str) -> int:
        """Remove every version of the blob, which needs deleteBlobVersion on it."""
        left = 0
        try:
            versions = [blob for blob in self._client.list_blobs(name_starts_with=key, include=["versions"]) if blob.version_id]
        except AzureError:
            return 1
        for version in versions:
            try:
                self._client.get_blob_client(version.name).delete_blob(version_id=version.version_id)
            except ResourceNotFoundError:
                continue
            except AzureError:
                left += 1
        return left

    def _region(self) -> Fact:
        # A container does not tell its account's region, and a location's identity has no business with management.
        return Fact(
            "not_applicable",
            f"only Azure's management service tells: compare `az storage account show --name {self._location.store.account} "
            f"--query primaryLocation` with {self._location.region}",
        )

    def _public_access(self) -> Fact:
        container, account = self._location.bucket, self._location.store.account
        try:
            access = self._client.get_container_properties().public_access
        except AzureError as error:
            return Fact("unknown", f"Azure does not say: {type(error).__name__}", "grant containers/read on the container")
        if access is None:
            return Fact("on", "the container is private")
        command = f"az storage container set-permission --account-name {account} --name {container} --public-access off"
        return Fact("off", f"anybody may read: {access}", command)

    @cached_property
    def _client(self) -> ContainerClient:
        return container_client(self._location, credential_provider(self._location)())

    def _note_server(self, response: Any) -> None:
        self._server = response.http_response.headers.get("server", "")
