"""Multipart uploads that nobody ended, by boto3: obstore does not list them. Import this module where they are collected."""

from datetime import datetime

from botocore.exceptions import BotoCoreError, ClientError

from mcml_assets.clouds.answers import unreachable_error
from mcml_assets.clouds.aws.client import s3_client
from mcml_assets.clouds.aws.credentials import credential_provider
from mcml_assets.clouds.aws.refusals import refusal
from mcml_assets.domain.topology import Location


def abort_uploads(location: Location, prefix: str, before: datetime) -> int:
    """Abort every upload of keys that begin so which was begun before then, and return how many there were."""
    aborted = 0
    try:
        client = s3_client(location, credential_provider(location)())
        for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=location.bucket, Prefix=prefix):
            for upload in page.get("Uploads", ()):
                if upload["Initiated"] < before:
                    client.abort_multipart_upload(Bucket=location.bucket, Key=upload["Key"], UploadId=upload["UploadId"])
                    aborted += 1
    except ClientError as error:
        raise refusal(location.key, prefix, error) from None
    except BotoCoreError as error:
        raise unreachable_error(location.key, prefix, type(error).__name__) from None
    return aborted
