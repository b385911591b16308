"""Copies that S3 makes by itself, by boto3: obstore copies within one bucket only. Import this module where one is made."""

import base64
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError

from mcml_assets.clouds.answers import unreachable_error
from mcml_assets.clouds.aws.client import s3_client
from mcml_assets.clouds.aws.credentials import credential_provider
from mcml_assets.clouds.aws.refusals import refusal
from mcml_assets.clouds.capabilities import MIB, upload_limits
from mcml_assets.clouds.part_sizes import part_size
from mcml_assets.domain.errors import McmlError, ObjectNotFound
from mcml_assets.domain.topology import Location

if TYPE_CHECKING:
    from collections.abc import Callable

    from obstore.store import S3Credential

# One request copies up to 5 GiB ("CopyObject" in the S3 API reference), more goes in parts.
SINGLE_COPY_BYTES = upload_limits("s3").single
PART_BYTES = 512 * MIB
# S3 answers when the copy is made, and is silent until then.
READ_TIMEOUT = 300
RENEWED_BEFORE = timedelta(minutes=10)


class S3Copier:
    """Asks S3 to copy into a location's bucket, with that location's own credentials."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._client: Any = None
        self._expires: datetime | None = None

    def copy(self, origin: Location, key: str, size: int) -> str | None:
        """Copy an object under the same key; the SHA-256 in hex that AWS computed of what it stored, where it did.

        Raises `ObjectNotFound` when the source is missing, and the platform's error for every other refusal.
        """
        source = {"Bucket": origin.bucket, "Key": key}
        target = {"Bucket": self._location.bucket, "Key": key}
        try:
            client = self._renewed()
            if size > SINGLE_COPY_BYTES:
                part = max(part_size(size, upload_limits("s3")), PART_BYTES)
                parts = TransferConfig(multipart_threshold=1, multipart_chunksize=part)
                client.copy(source, **target, Config=parts)
                return None  # of the parts there is a digest each, of the whole there is none
            answer = client.copy_object(CopySource=source, **target, ChecksumAlgorithm="SHA256")
        except ClientError as error:
            raise _failure(self._location.key, origin.key, key, error) from None
        except BotoCoreError as error:
            raise unreachable_error(self._location.key, key, type(error).__name__) from None
        # AWS computes it of the copy ("Checking object integrity in Amazon S3"); another service may hand on what it once
        # was told of the source.
        return stored_digest(answer) if self._location.store.endpoint is None else None

    def _renewed(self) -> Any:
        """The client; a new one shortly before its keys expire, as boto3's cannot renew what it is given."""
        if self._client is None or (self._expires is not None and datetime.now(UTC) > self._expires - RENEWED_BEFORE):
            keys = self._provider()
            self._client, self._expires = s3_client(self._location, keys, read_timeout=READ_TIMEOUT), keys.get("expires_at")
        return self._client

    @cached_property
    def _provider(self) -> "Callable[[], S3Credential]":
        return credential_provider(self._location)


def stored_digest(answer: Any) -> str | None:
    """The SHA-256 in hex of S3's answer to a copy; None where it tells none."""
    told = answer["CopyObjectResult"].get("ChecksumSHA256")
    return base64.b64decode(told).hex() if told else None


def _failure(location: str, origin: str, key: str, error: ClientError) -> McmlError:
    # A HEAD, which comes before a copy in parts, has no code but its status.
    if error.response.get("Error", {}).get("Code") in ("NoSuchKey", "404"):
        return ObjectNotFound(f"{origin} has no object {key!r}")
    return refusal(location, key, error)
