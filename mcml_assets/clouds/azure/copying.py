"""Copies that Azure makes by itself, by its own client: obstore copies within one container only.

Import this module where one is made.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.blob import BlobBlock, BlobSasPermissions, generate_blob_sas

from mcml_assets.clouds.answers import answered_error, unreachable_error
from mcml_assets.clouds.azure.client import account_address, container_client
from mcml_assets.clouds.azure.credentials import credential_provider
from mcml_assets.clouds.capabilities import MIB
from mcml_assets.domain.errors import McmlError, ObjectNotFound
from mcml_assets.domain.topology import Location

if TYPE_CHECKING:
    from obstore.store import AzureCredential

# "Put Block From URL" takes up to 4,000 MiB; Azure answers when a block is copied, and is silent until then.
BLOCK_BYTES = 256 * MIB
READ_TIMEOUT = 300
SIGNED_FOR = timedelta(hours=1)


class AzureCopier:
    """Asks Azure to copy into a location's container, with that location's own credentials."""

    def __init__(self, location: Location) -> None:
        self._location = location

    def copy(self, origin: Location, key: str, size: int) -> None:
        """Copy a blob under the same key, block by block; it appears when all are there.

        Azure reads the source with the location's token, or by a signature of its account's key, which opens containers
        of the same account only. Raises `ObjectNotFound` when the source is missing, and the platform's error for every
        other refusal.
        """
        try:
            given = self._provider()
            address, authorization = _source(origin, key, given)
            blob = container_client(self._location, given, read_timeout=READ_TIMEOUT).get_blob_client(key)
            blocks: list[BlobBlock] = []
            for number, start in enumerate(range(0, size, BLOCK_BYTES)):
                name = f"{number:05}"
                length = min(BLOCK_BYTES, size - start)
                blob.stage_block_from_url(name, address, start, length, source_authorization=authorization)
                blocks.append(BlobBlock(name))
            blob.commit_block_list(blocks)
        except AzureError as error:
            raise _failure(self._location.key, origin.key, key, error) from None

    @cached_property
    def _provider(self) -> "Callable[[], AzureCredential]":
        return credential_provider(self._location)


def _source(origin: Location, key: str, given: Any) -> tuple[str, str | None]:
    """The address of the blob to be read, with a signature if there is one, and the authorization to read it otherwise."""
    address = f"{account_address(origin)}/{origin.bucket}/{quote(key)}"
    if "token" in given:
        return address, f"Bearer {given['token']}"
    if "sas_token" in given:
        return f"{address}?{given['sas_token']}", None
    signature = generate_blob_sas(
        origin.store.account or "",
        origin.bucket,
        key,
        account_key=given["access_key"],
        permission=BlobSasPermissions(read=True),
        expiry=datetime.now(UTC) + SIGNED_FOR,
    )
    return f"{address}?{signature}", None


def _failure(location: str, origin: str, key: str, error: AzureError) -> McmlError:
    if not isinstance(error, HttpResponseError) or error.status_code is None:
        return unreachable_error(location, key, type(error).__name__)
    # A source that may not be read is a 404 as well.
    if error.status_code == 404:
        return ObjectNotFound(f"{origin} has no object {key!r} that {location} may read")
    code = getattr(error, "error_code", None)
    return answered_error(location, key, error.status_code, str(getattr(code, "value", code) or ""))
