"""How an Azure location is entered: an account key, a shared access signature, or an identity of the pod or machine.

The identities are azure-identity's, which is also what dagster-azure builds its resources on; `resources/credentials.py`
gives those. azure-identity loads only for the methods that need it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from mcml_assets.clouds.secrets import Entered, credential_value, optional_value, unknown_method
from mcml_assets.domain.errors import CredentialsRejected

if TYPE_CHECKING:
    from azure.identity import ManagedIdentityCredential, WorkloadIdentityCredential
    from obstore.store import AzureCredential


def credential_provider(location: Entered) -> "Callable[[], AzureCredential]":
    """What obstore asks for credentials, and asks again before they expire; they were had once when this returns.

    Raises `ConfigurationError` for a variable that is not set, `CredentialsRejected` when Azure gives no token.
    """
    method = location.store.credentials.method
    if method == "key":
        key: AzureCredential = {"access_key": credential_value(location, "account_key"), "expires_at": None}
        return lambda: key
    if method == "sas":
        # The portal shows a token with its question mark.
        token: AzureCredential = {"sas_token": credential_value(location, "token").removeprefix("?"), "expires_at": None}
        return lambda: token
    if method not in ("managed_identity", "workload_identity"):
        raise unknown_method(location)
    return _asked_once(location, method)


def _asked_once(location: Entered, method: str) -> "Callable[[], AzureCredential]":
    """A provider of an identity's tokens, asked once so that a refusal is told now and by its own name."""
    from azure.core.exceptions import AzureError  # noqa: PLC0415 - 0.5 s that keys and signatures do not need
    from obstore.auth.azure import AzureCredentialProvider  # noqa: PLC0415 - the same

    try:
        provider = AzureCredentialProvider(azure_identity(location))
        provider()
    except (AzureError, ValueError) as error:
        raise CredentialsRejected(
            location.key, f"Azure gives no token by method {method!r} ({type(error).__name__}); assign the identity"
        ) from None
    return provider


def azure_identity(location: Entered) -> "ManagedIdentityCredential | WorkloadIdentityCredential":
    """The identity by which Azure knows us; asks for no token yet.

    Raises `ConfigurationError` for a variable that is not set or another method, `ValueError` where the machine has not
    what the method needs.
    """
    from azure.identity import ManagedIdentityCredential, WorkloadIdentityCredential  # noqa: PLC0415 - 0.5 s, only identities

    client_id = optional_value(location, "client_id")
    match location.store.credentials.method:
        case "managed_identity":
            return ManagedIdentityCredential(client_id=client_id)
        case "workload_identity":
            return WorkloadIdentityCredential(client_id=client_id, tenant_id=optional_value(location, "tenant_id"))
        case _:
            raise unknown_method(location)
