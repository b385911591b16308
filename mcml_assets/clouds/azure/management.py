"""Asking Azure's resource manager: how its client is told who we are, and what its refusals mean.

Which resources hold a route is the adapters' business. Imports Azure's client: import late.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

from mcml_assets.clouds.traffic import refused
from mcml_assets.domain.errors import CredentialsRejected, LocationUnavailable
from mcml_assets.domain.traffic import TrafficAccess

T = TypeVar("T")


def client_options(access: TrafficAccess) -> dict[str, Any]:
    """What a client of the resource manager is made with, beside identity and subscription."""
    if access.store.endpoint is None:
        return {"retry_total": 2}
    scopes = ["https://management.azure.com/.default"]
    return {"retry_total": 2, "base_url": access.store.endpoint, "credential_scopes": scopes}


def request_options(access: TrafficAccess) -> dict[str, Any]:
    """Azure's client sends tokens over TLS only, unless it is told that this is an emulator on loopback."""
    return {"enforce_https": False} if access.store.allow_http else {}


def ask(access: TrafficAccess, what: str, request: Callable[[], T]) -> T:
    """The answer to a request. Raises the typed error of a refusal; `what` says in it what was asked for."""
    try:
        return request()
    except ClientAuthenticationError:
        raise CredentialsRejected(access.key, "Azure gives no token, or refuses it; assign the identity") from None
    except HttpResponseError as error:
        raise refused(access.key, what, error.status_code or 0, code(error)) from None
    except AzureError as error:
        raise LocationUnavailable(access.key, f"no answer ({type(error).__name__})") from None


def code(error: HttpResponseError) -> str:
    """Azure's own word; its sentences may name subscriptions."""
    return (error.error.code if error.error is not None else None) or error.reason or "no reason given"
