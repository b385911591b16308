"""How an S3 location is entered: keys, a profile, an assumed role, or the identity AWS gives the pod or machine.

The chain is boto3's, which is also what dagster-aws builds its resources on; `resources/credentials.py` gives those.
boto3 loads only for the methods that need it.
"""

from collections.abc import Callable
from datetime import UTC
from typing import TYPE_CHECKING

from mcml_assets.clouds.secrets import Entered, credential_value, optional_value, unknown_method
from mcml_assets.domain.errors import ConfigurationError, CredentialsRejected

if TYPE_CHECKING:
    from obstore.auth.boto3 import AssumeRoleRequestRequestTypeDef
    from obstore.store import S3Credential

SESSION_NAME = "mcml-assets"


def credential_provider(location: Entered) -> "Callable[[], S3Credential]":
    """What obstore asks for credentials, and asks again before they expire; they were had once when this returns.

    Raises `ConfigurationError` for a profile or variable that does not exist, `CredentialsRejected` when AWS gives none.
    """
    method = location.store.credentials.method
    if method == "keys":
        keys: S3Credential = {
            "access_key_id": credential_value(location, "access_key_id"),
            "secret_access_key": credential_value(location, "secret_access_key"),
            "token": optional_value(location, "session_token"),
            "expires_at": None,
        }
        return lambda: keys
    if method not in ("profile", "role", "workload_identity"):
        raise unknown_method(location)
    return _asked_once(location, method)


def _asked_once(location: Entered, method: str) -> "Callable[[], S3Credential]":
    """A provider of boto3's chain, asked once so that a refusal is told now and by its own name."""
    from boto3 import Session  # noqa: PLC0415 - 0.3 s that static keys do not need
    from botocore.exceptions import BotoCoreError, ClientError, ProfileNotFound  # noqa: PLC0415 - the same
    from botocore.parsers import ResponseParserError  # noqa: PLC0415 - the same
    from obstore.auth.boto3 import Boto3CredentialProvider, StsCredentialProvider  # noqa: PLC0415 - the same

    try:
        profile = credential_value(location, "profile") if method == "profile" else None
        session = Session(profile_name=profile, region_name=location.region)
        if method != "role":
            provider = Boto3CredentialProvider(session)
        else:
            role: AssumeRoleRequestRequestTypeDef = {
                "RoleArn": credential_value(location, "role_arn"),
                "RoleSessionName": SESSION_NAME,
            }
            if external_id := optional_value(location, "external_id"):
                role["ExternalId"] = external_id
            provider = _in_utc(StsCredentialProvider(session, **role))
        provider()
    except ProfileNotFound as error:
        raise ConfigurationError(f"{location.key}: {error}; add it to ~/.aws/config") from None
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        raise CredentialsRejected(location.key, f"AWS refuses credentials of method {method!r}: {code}") from None
    except (BotoCoreError, ResponseParserError, ValueError) as error:
        raise CredentialsRejected(
            location.key, f"AWS gives no credentials by method {method!r} ({type(error).__name__}); log in, or attach a role"
        ) from None
    return provider


def _in_utc(provider: "Callable[[], S3Credential]") -> "Callable[[], S3Credential]":
    """The same credentials, expiring in the one time zone that obstore's client takes; botocore's UTC is another object."""

    def ask() -> "S3Credential":
        given = provider()
        expires = given.get("expires_at")
        if expires is not None:
            given["expires_at"] = expires.astimezone(UTC)
        return given

    return ask
