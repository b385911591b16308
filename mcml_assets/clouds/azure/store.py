"""A container of Azure Blob Storage. Imports obstore: import this module only where a store is opened."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from obstore.store import AzureStore as AzureClient

from mcml_assets.clouds.azure.credentials import credential_provider
from mcml_assets.clouds.interfaces import ObjectMeta
from mcml_assets.clouds.remote_store import RETRY, RemoteStore, client_options
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.topology import Location

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Client

    from mcml_assets.clouds.azure.copying import AzureCopier

QUOTE = '"'


class AzureStore(RemoteStore):
    """An `ObjectStore` in a blob container; every write gets an ETag of its own."""

    def __init__(self, location: Location) -> None:
        super().__init__(location, partial(_client, location))
        self._place = location

    def copy_from(self, location: str, key: str, size: int) -> str | None:
        """Have Azure copy a blob from that location's container; it tells no digest."""
        self._copier.copy(self._origins[location], self.path(key), size)
        return None

    @cached_property
    def _copier(self) -> "AzureCopier":
        from mcml_assets.clouds.azure.copying import AzureCopier  # noqa: PLC0415 - loads Azure's SDK, for copies only

        return AzureCopier(self._place)

    def list(self, prefix: str) -> Iterator[ObjectMeta]:
        """Every object whose key starts with the folder `prefix`, in the order of their keys."""
        # Azure writes an ETag with quotes in a header and without them in a listing.
        return (replace(meta, etag=f'"{meta.etag.strip(QUOTE)}"') for meta in super().list(prefix))


def _client(location: Location) -> "Client":
    account = location.store.account
    if account is None:
        raise ConfigurationError(f"{location.key}: an Azure container lies in a storage account; name it as `account`")
    # Every setting that obstore would otherwise look for in the environment is said here: one variable of the machine
    # must not redirect all locations at once.
    return AzureClient(
        location.bucket,
        account_name=account,
        endpoint=location.store.endpoint or f"https://{account}.blob.core.windows.net",
        use_emulator=False,
        client_options=client_options(location),
        retry_config=RETRY,
        credential_provider=credential_provider(location),
    )
