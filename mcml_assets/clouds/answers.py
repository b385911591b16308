"""What a service's refusal means for the platform: from HTTP status and the service's error code to a typed error.

Pure, and the same for all clouds, so that one outage is told in one way. No message of a service is passed on: some hold
signatures or account names. How status and code are found in an SDK's error is each cloud's own business.
"""

from mcml_assets.domain.errors import (
    ConfigurationError,
    CredentialsRejected,
    LocationUnavailable,
    McmlError,
    PreconditionFailed,
    TransientError,
)

# The services' words for "too fast": https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html,
# https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes, and the reasons of Google's JSON API.
THROTTLED = frozenset(
    {"SlowDown", "RequestLimitExceeded", "Throttling", "ServerBusy", "rateLimitExceeded", "userRateLimitExceeded"}
)
MISSING_BUCKET = frozenset({"NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted", "AccountIsDisabled"})
WRONG_REGION = frozenset(
    {"PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
)
WRONG_CLOCK = frozenset({"RequestTimeTooSkewed", "RequestExpired"})
# Azure forgets the blocks of every other upload of a blob when one is committed.
OVERTAKEN = frozenset({"InvalidBlockList", "NoSuchUpload", "InvalidBlobOrBlock"})
REJECTED = frozenset({"ExpiredToken", "InvalidToken", "InvalidAccessKeyId", "SignatureDoesNotMatch", "TokenRefreshRequired"})

# The clients' words for an exchange that came to no answer.
EXPLAINED = {
    "Connect": "nobody accepts the connection",
    "ConnectionError": "nobody accepts the connection",
    "Timeout": "nothing came in time",
    "ConnectTimeout": "nothing came in time",
    "ReadTimeout": "nothing came in time",
    "Request": "the request could not be sent",
    "Body": "the answer broke off",
    "ChunkedEncodingError": "the answer broke off",
    "Decode": "the answer cannot be read",
}


def answered_error(location: str, key: str, status: int, code: str, region: str | None = None) -> McmlError:
    """The error for an answer of `status` with the service's own error `code`, which may be empty.

    `region` is the other one that the service says the bucket is in, None where it says nothing of that.
    A status of 5xx is what was left after the client's own retries, so it is an outage; only an answer that says
    "slower" is worth a retry in place.
    """
    said = f"{_about(key)}HTTP {status}{f' {code}' if code else ''}"
    if status in (409, 412):
        return PreconditionFailed(f"{location}: {key!r} was written by somebody else meanwhile")
    if status == 429 or code in THROTTLED:
        return TransientError(f"{location}: {said}: the service asks to slow down; the same request may succeed in a moment")
    if code in OVERTAKEN:
        return TransientError(f"{location}: {said}: another upload of this key ended first; the same upload may succeed now")
    if code in MISSING_BUCKET:
        return LocationUnavailable(location, f"{said}: its bucket does not exist; make it, or correct `bucket` in the topology")
    if code in WRONG_CLOCK:
        # No other cloud would take this clock's signatures either.
        return ConfigurationError(f"{location}: {said}: this machine's clock is wrong; set it, for instance by NTP")
    if region is not None or code in WRONG_REGION or status in (301, 307, 308):
        where = f"in {region}" if region else "in another region"
        return ConfigurationError(
            f"{location}: {said}: the bucket is {where}; name that region, or correct `bucket` or `endpoint`"
        )
    if status in (401, 403) or code in REJECTED:
        return CredentialsRejected(location, f"{said}: {_credentials_remedy(status, code)}")
    if status >= 500:
        return LocationUnavailable(location, f"{said}, also after retries; wait for the provider, or fail over")
    return ConfigurationError(f"{location}: {said}: the service does not understand the request; check `kind` and `endpoint`")


def unreachable_error(location: str, key: str, reason: str) -> LocationUnavailable:
    """The error when there was no answer at all; `reason` is a client's word for it, and must hold no URL."""
    why = EXPLAINED.get(reason, reason)
    return LocationUnavailable(location, f"{_about(key)}no answer: {why}; check the endpoint and the network")


def missing_bucket_error(location: str, bucket: str) -> LocationUnavailable:
    """The error when a key is missing because its bucket is."""
    return LocationUnavailable(location, f"its bucket {bucket!r} does not exist; make it, or correct `bucket` in the topology")


def _about(key: str) -> str:
    """What the request was about; nothing where it was about the bucket itself."""
    return f"{key!r}: " if key else ""


def _credentials_remedy(status: int, code: str) -> str:
    if code in ("ExpiredToken", "TokenRefreshRequired"):
        return "the credentials have expired; renew them"
    if code == "AuthorizationFailure":
        # Azure's word for each of these.
        return (
            "the credentials have expired or lack a permission on this container, or the account's network rules keep this "
            "machine out; renew them, grant read, write, list and delete, or allow this network"
        )
    if code in ("AccessDenied", "AuthorizationPermissionMismatch", "forbidden"):
        return "the credentials lack a permission on this bucket; grant read, write, list and delete"
    if status == 401 or code in REJECTED or code == "AuthenticationFailed":
        return "the service does not know the credentials; renew them, and check the variables that hold them"
    return "the credentials are refused; check that they are valid and may read, write, list and delete in this bucket"
