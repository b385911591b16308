"""What a provider says against a bucket's protection is found, as it says it, and never taken for a pass."""

import json

import pytest

from mcml_assets.clouds.registry import inspector
from mcml_assets_tests.clouds.answering import answering
from mcml_assets_tests.clouds.emulated_buckets import anonymous_location
from mcml_assets_tests.ports import free_port_range

pytestmark = pytest.mark.live


@pytest.mark.parametrize(
    ("status", "code", "asked", "state", "remedy"),
    [
        (404, "ServerSideEncryptionConfigurationNotFoundError", "encryption", "off", "put-bucket-encryption"),
        (404, "NoSuchPublicAccessBlockConfiguration", "public_access", "off", "put-public-access-block"),
        (403, "AccessDenied", "encryption", "unknown", "allow s3:GetEncryptionConfiguration"),
        (403, "AccessDenied", "versioning", "unknown", "allow s3:GetBucketVersioning"),
        (403, "AccessDenied", "public_access", "unknown", "allow s3:GetBucketPublicAccessBlock"),
        (403, "AccessDenied", "region", "unknown", "allow s3:ListBucket"),
    ],
)
def test_what_s3_says_against_a_bucket(
    status: int, code: str, asked: str, state: str, remedy: str, monkeypatch: pytest.MonkeyPatch
):
    """A protection that is not configured is off, one that may not be asked about unknown, each with what mends it."""
    with answering("s3", free_port_range(3)) as service:
        service.status, service.code = status, code
        fact = getattr(inspector(anonymous_location("s3", service.url, monkeypatch.setenv)).protection("a"), asked)
        assert fact.state == state
        assert remedy in (fact.remedy or "")


def test_what_azure_says_against_a_container(monkeypatch: pytest.MonkeyPatch):
    """A blob that is not encrypted, or got no version, and a container that anybody may read: each is off, with its remedy."""
    with answering("azure", free_port_range(3)) as service:
        service.headers = {
            "x-ms-server-encrypted": "false",
            "x-ms-blob-public-access": "container",
            "server": "Windows-Azure-Blob",
        }
        found = inspector(anonymous_location("azure", service.url, monkeypatch.setenv)).protection("a")
        assert (found.encryption.state, found.versioning.state, found.public_access.state) == ("off", "off", "off")
        assert "check that the endpoint is Azure's" in (found.encryption.remedy or "")
        assert "--enable-versioning true" in (found.versioning.remedy or "")
        assert "--public-access off" in (found.public_access.remedy or "")
        service.headers = {"x-ms-server-encrypted": "true", "x-ms-version-id": "1", "server": "Windows-Azure-Blob"}
        found = inspector(anonymous_location("azure", service.url, monkeypatch.setenv)).protection("a")
        assert (found.encryption.state, found.versioning.state, found.public_access.state) == ("on", "on", "on")
        service.status, service.code = 403, "AuthorizationPermissionMismatch"
        found = inspector(anonymous_location("azure", service.url, monkeypatch.setenv)).protection("a")
        assert {found.encryption.state, found.versioning.state, found.public_access.state} == {"unknown"}


def test_what_google_does_not_say_is_unknown(monkeypatch: pytest.MonkeyPatch):
    """An account that may not ask about its bucket learns which permission it needs."""
    with answering("gcs", free_port_range(3)) as service:
        service.status, service.code = 403, "forbidden"
        found = inspector(anonymous_location("gcs", service.url, monkeypatch.setenv)).protection("a")
        assert {found.encryption.state, found.versioning.state, found.public_access.state} == {"unknown"}
        assert "grant storage.buckets.get" in (found.versioning.remedy or "")


def test_an_s3_bucket_in_another_region_is_told(monkeypatch: pytest.MonkeyPatch):
    """Where a bucket is decides whose law its data is under: another region than the topology's is named, and the way out."""
    with answering("s3", free_port_range(3)) as service:
        place = anonymous_location("s3", service.url, monkeypatch.setenv)
        service.headers = {"x-amz-bucket-region": "us-east-2"}
        region = inspector(place).protection("a").region
        assert (region.state, region.detail) == ("off", "the bucket is in us-east-2")
        assert f"a bucket in {place.region}" in (region.remedy or "")
        service.headers = {"x-amz-bucket-region": place.region}
        assert inspector(place).protection("a").region.state == "on"


def test_a_google_bucket_in_another_region_is_told(monkeypatch: pytest.MonkeyPatch):
    """A bucket in a multi-region may have its copies anywhere in it, which is not the region that the topology promises."""
    with answering("gcs", free_port_range(3)) as service:
        place = anonymous_location("gcs", service.url, monkeypatch.setenv)
        service.document = json.dumps({"name": place.bucket, "location": "EU"}).encode()
        region = inspector(place).protection("a").region
        assert (region.state, region.detail) == ("off", "the bucket is in eu")
        assert region.remedy == f"gcloud storage buckets relocate gs://{place.bucket} --location={place.region}"
        service.document = json.dumps({"name": place.bucket, "location": place.region.upper()}).encode()
        assert inspector(place).protection("a").region.state == "on"
