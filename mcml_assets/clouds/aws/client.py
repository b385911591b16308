"""boto3's client of an S3 location, for what obstore's cannot ask. Import this module only where that is asked."""

from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from mcml_assets.clouds.aws.address import service_address
from mcml_assets.domain.topology import Location

if TYPE_CHECKING:
    from obstore.store import S3Credential


def s3_client(location: Location, keys: "S3Credential", *, read_timeout: int = 30) -> Any:
    """A client that shows these keys, which it cannot renew, and gives up after `read_timeout` seconds of silence."""
    return boto3.client(
        "s3",
        region_name=location.region,
        endpoint_url=service_address(location),
        aws_access_key_id=keys["access_key_id"],
        aws_secret_access_key=keys["secret_access_key"],
        aws_session_token=keys.get("token"),
        config=Config(
            connect_timeout=5, read_timeout=read_timeout, retries={"total_max_attempts": 3}, s3={"addressing_style": "path"}
        ),
    )
