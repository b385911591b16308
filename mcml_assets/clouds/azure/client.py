"""Azure's own client of a location's container, for what obstore's cannot ask. Import this module only where that is asked."""

from typing import Any

from azure.core.credentials import AccessToken, AzureSasCredential
from azure.storage.blob import ContainerClient

from mcml_assets.domain.topology import Location


class GivenToken:
    """A token as the SDK wants it, from where the store has its own."""

    def __init__(self, token: AccessToken) -> None:
        self._token = token

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        return self._token


def account_address(location: Location) -> str:
    """The URL of the location's storage account."""
    return location.store.endpoint or f"https://{location.store.account}.blob.core.windows.net"


def container_client(location: Location, given: Any, *, read_timeout: int = 30) -> ContainerClient:
    """A client that shows what a credential provider has given, and gives up after `read_timeout` seconds of silence."""
    return ContainerClient(
        account_address(location),
        location.bucket,
        credential=_credential(location, given),
        retry_total=2,
        connection_timeout=5,
        read_timeout=read_timeout,
    )


def _credential(location: Location, given: Any) -> Any:
    if "access_key" in given:
        return {"account_name": location.store.account, "account_key": given["access_key"]}
    if "sas_token" in given:
        return AzureSasCredential(given["sas_token"])
    expires = given.get("expires_at")
    return GivenToken(AccessToken(given["token"], int(expires.timestamp()) if expires else 2**31))
