"""What S3 says about a bucket, by boto3. Import this module only where a bucket is inspected."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from mcml_assets.clouds.aws.address import service_address
from mcml_assets.clouds.aws.client import s3_client
from mcml_assets.clouds.aws.credentials import credential_provider
from mcml_assets.clouds.inspection import Fact, Protection
from mcml_assets.domain.topology import Location

BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
NOT_CONFIGURED = ("ServerSideEncryptionConfigurationNotFoundError", "NoSuchPublicAccessBlockConfiguration")


class S3Inspector:
    """A `BucketInspector` of an S3 bucket, with the location's own credentials."""

    def __init__(self, location: Location) -> None:
        self._location, self._bucket = location, location.bucket

    @property
    def address(self) -> str:
        """The service's URL."""
        return service_address(self._location)

    def protection(self, key: str) -> Protection:
        """What the bucket's settings say."""
        return Protection(
            region=_asked("s3:ListBucket", self._region, self._remedies["region"]),
            encryption=_asked("s3:GetEncryptionConfiguration", self._encryption, self._remedies["encryption"]),
            versioning=_asked("s3:GetBucketVersioning", self._versioning, self._remedies["versioning"]),
            public_access=_asked("s3:GetBucketPublicAccessBlock", self._public_access, self._remedies["public_access"]),
        )

    def purge(self, key: str) -> int:
        """Remove every version and delete marker of the key, which needs s3:DeleteObjectVersion on it."""
        try:
            answer = self._client.list_object_versions(Bucket=self._bucket, Prefix=key)
            versions = [*answer.get("Versions", ()), *answer.get("DeleteMarkers", ())]
        except (ClientError, BotoCoreError):
            return 1
        left = 0
        for version in versions:
            try:
                self._client.delete_object(Bucket=self._bucket, Key=version["Key"], VersionId=version["VersionId"])
            except (ClientError, BotoCoreError):
                left += 1
        return left

    @cached_property
    def _client(self) -> Any:
        return s3_client(self._location, credential_provider(self._location)())

    def _region(self) -> Fact:
        region = self._client.head_bucket(Bucket=self._bucket).get("BucketRegion", "an unknown region")
        return Fact("on" if region == self._location.region else "off", f"the bucket is in {region}")

    def _encryption(self) -> Fact:
        rules = self._client.get_bucket_encryption(Bucket=self._bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        algorithms = [rule.get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm", "none") for rule in rules]
        return Fact("on" if algorithms and "none" not in algorithms else "off", f"{', '.join(algorithms)} by default")

    def _versioning(self) -> Fact:
        status = self._client.get_bucket_versioning(Bucket=self._bucket).get("Status", "never enabled")
        return Fact("on" if status == "Enabled" else "off", status)

    def _public_access(self) -> Fact:
        block = self._client.get_public_access_block(Bucket=self._bucket)["PublicAccessBlockConfiguration"]
        lacking = [name for name in BLOCKS if not block.get(name)]
        return Fact("off", f"not blocked: {', '.join(lacking)}") if lacking else Fact("on", "Block Public Access, all four")

    @property
    def _remedies(self) -> dict[str, str]:
        endpoint = self._location.store.endpoint
        command = f"aws s3api {{}} --bucket {self._bucket}{f' --endpoint-url {endpoint}' if endpoint else ''}"
        blocked = ",".join(f"{name}=true" for name in BLOCKS)
        rules = '{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"AES256"}}]}'
        return {
            "region": f"copy its objects to a bucket in {self._location.region}, for where a bucket is cannot be changed",
            "encryption": f"{command.format('put-bucket-encryption')} --server-side-encryption-configuration '{rules}'",
            "versioning": f"{command.format('put-bucket-versioning')} --versioning-configuration Status=Enabled",
            "public_access": f"{command.format('put-public-access-block')} --public-access-block-configuration {blocked}",
        }


def _asked(action: str, ask: Callable[[], Fact], remedy: str) -> Fact:
    """The answer, with the remedy where it is not on; unknown where it may not be asked."""
    try:
        fact = ask()
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in NOT_CONFIGURED:
            return Fact("off", "not configured", remedy)
        return Fact("unknown", f"S3 does not say: {code}", f"allow {action} on the bucket")
    except BotoCoreError as error:
        return Fact("unknown", f"S3 does not say: {type(error).__name__}", f"allow {action} on the bucket")
    return fact if fact.state == "on" else Fact(fact.state, fact.detail, remedy)
