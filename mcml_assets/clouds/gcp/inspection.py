"""What Google Cloud Storage says about a bucket, by Google's client. Import this module only where a bucket is inspected."""

from functools import cached_property

from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.auth.exceptions import GoogleAuthError
from google.cloud.storage import Bucket, Client
from google.cloud.storage.retry import DEFAULT_RETRY
from requests import RequestException

from mcml_assets.clouds.gcp.credentials import google_credentials
from mcml_assets.clouds.inspection import Fact, Protection
from mcml_assets.domain.topology import Location

SERVICE = "https://storage.googleapis.com"
RETRY = DEFAULT_RETRY.with_timeout(15)
TIMEOUT = 15
FAILURES = (GoogleAPICallError, GoogleAuthError, RetryError, RequestException)


class GcsInspector:
    """A `BucketInspector` of a Google bucket, with the location's own credentials."""

    def __init__(self, location: Location) -> None:
        self._location = location

    @property
    def address(self) -> str:
        """The service's URL."""
        return self._location.store.endpoint or SERVICE

    def protection(self, key: str) -> Protection:
        """What the bucket's settings say."""
        name = self._location.bucket
        try:
            bucket = self._client.get_bucket(name, timeout=TIMEOUT, retry=RETRY)
        except FAILURES as error:
            unknown = Fact(
                "unknown", f"Google does not say: {type(error).__name__}", f"grant storage.buckets.get on gs://{name}"
            )
            return Protection(unknown, unknown, unknown, unknown)
        update = f"gcloud storage buckets update gs://{name}"
        versioned = Fact("on", "object versioning") if bucket.versioning_enabled else None
        prevention = bucket.iam_configuration.public_access_prevention
        closed = Fact("on", "public access prevention is enforced") if prevention == "enforced" else None
        return Protection(
            region=self._region(bucket),
            encryption=self._encryption(bucket),
            versioning=versioned or Fact("off", "object versioning is off", f"{update} --versioning"),
            public_access=closed
            or Fact("off", f"public access prevention is {prevention}", f"{update} --public-access-prevention"),
        )

    def purge(self, key: str) -> int:
        """Remove every generation of the key."""
        left = 0
        try:
            generations = list(self._client.list_blobs(self._location.bucket, prefix=key, versions=True, timeout=TIMEOUT))
        except FAILURES:
            return 1
        for blob in generations:
            try:
                # Each names its generation, so that nothing but these is removed.
                self._client.bucket(self._location.bucket).blob(blob.name, generation=blob.generation).delete(timeout=TIMEOUT)
            except FAILURES:
                left += 1
        return left

    @cached_property
    def _client(self) -> Client:
        return Client(
            project="-", credentials=google_credentials(self._location), client_options={"api_endpoint": self.address}
        )

    def _region(self, bucket: Bucket) -> Fact:
        # Multi-regions and pairs of regions have names of their own, such as EU: a copy may then be in any of their regions.
        wanted = self._location.region
        if bucket.location is None:
            return Fact("not_applicable", "not Google's own service: the one behind the endpoint tells no region")
        region = bucket.location.lower()
        if region == wanted:
            return Fact("on", f"the bucket is in {region}")
        move = f"gcloud storage buckets relocate gs://{self._location.bucket} --location={wanted}"
        return Fact("off", f"the bucket is in {region}", move)

    def _encryption(self, bucket: Bucket) -> Fact:
        if bucket.default_kms_key_name:
            return Fact("on", f"customer-managed key {bucket.default_kms_key_name}")
        if self._location.store.endpoint is None:
            # "Cloud Storage always encrypts your data on the server side, before it is written to disk."
            return Fact("on", "Google-managed keys, which cannot be turned off")
        return Fact("not_applicable", "not Google's own service: as encrypted as the disk behind the endpoint")
