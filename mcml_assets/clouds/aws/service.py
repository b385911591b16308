"""boto3's client of one AWS service other than S3, entered as a location is, with typed errors. Imports boto3: import late.

Which requests are sent is the business of who asks for the client.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from mcml_assets.clouds.aws.credentials import credential_provider
from mcml_assets.clouds.secrets import Entered
from mcml_assets.domain.errors import (
    ConfigurationError,
    CredentialsRejected,
    LocationUnavailable,
    McmlError,
    PreconditionFailed,
    TransientError,
)

CONNECTIONS = 40  # as many as requests that a gateway has under way at once
THROTTLED = frozenset({"Throttling", "ThrottlingException", "TooManyRequestsException", "PriorRequestNotComplete"})
# Another update is under way, or somebody else's was faster.
OVERTAKEN = frozenset({"ConflictException", "ResourceInUse", "InvalidChangeBatch"})
REFUSED = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnrecognizedClientException", "InvalidClientTokenId", "ExpiredToken",
     "ExpiredTokenException", "SignatureDoesNotMatch"}
)  # fmt: skip


def aws_client(
    service: str, entered: Entered, region: str, address: str | None = None, *, seconds: float = 30, attempts: int = 3
) -> Any:
    """A client of this service in this region, with the credentials of `entered`; `address` replaces AWS's own.

    An answer may take `seconds`, and is asked for up to `attempts` times. Raises what `credential_provider` raises.
    """
    keys = credential_provider(entered)()
    return boto3.client(
        service,  # pyright: ignore[reportArgumentType] - the stubs want a literal
        region_name=region,
        endpoint_url=address,
        aws_access_key_id=keys["access_key_id"],
        aws_secret_access_key=keys["secret_access_key"],
        aws_session_token=keys.get("token"),
        config=Config(
            connect_timeout=min(5, seconds),
            read_timeout=seconds,
            retries={"total_max_attempts": attempts, "mode": "standard"},
            max_pool_connections=CONNECTIONS,
        ),
    )


@contextmanager
def typed(where: str, what: str, overtaken: Callable[[str, str], bool] | None = None) -> Iterator[None]:
    """Turn botocore's errors into the platform's; `where` is who asks, and `what` the requests, for messages.

    `overtaken` says of an error's code and message whether somebody else was faster, beyond `OVERTAKEN`.
    """
    try:
        yield
    except ClientError as error:
        said = error.response.get("Error", {})
        code, message = said.get("Code", ""), said.get("Message", "")
        if overtaken is not None and overtaken(code, message):
            raise PreconditionFailed(f"{where}: {what}: somebody else's change is under way ({code})") from None
        raise answered(
            where, what, error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0), code, message
        ) from None
    except ParamValidationError as error:
        raise ConfigurationError(f"{where}: {what}: {error}") from None
    except BotoCoreError as error:
        raise LocationUnavailable(where, f"{what}: no answer ({type(error).__name__})") from None


def answered(where: str, what: str, status: int, code: str, message: str) -> McmlError:
    """The error for AWS's answer; its message is about our own parameters, and is told."""
    if code in OVERTAKEN:
        return PreconditionFailed(f"{where}: {what}: somebody else was faster ({code})")
    if code in THROTTLED or status == 429:
        return TransientError(f"{where}: {what}: AWS asks to slow down ({code})")
    if code in REFUSED or status in (401, 403):
        return CredentialsRejected(where, f"{what}: AWS refuses our credentials or their rights ({code})")
    if status >= 500 or status == 0:
        return LocationUnavailable(where, f"{what}: HTTP {status} {code}")
    return ConfigurationError(f"{where}: {what}: {code}: {message}")
