"""A bucket of Amazon S3. Imports obstore: import this module only where a store is opened."""

import re
from datetime import datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING

from obstore.store import S3Store as S3Client

from mcml_assets.clouds.aws.address import service_address
from mcml_assets.clouds.aws.credentials import credential_provider
from mcml_assets.clouds.remote_store import RETRY, RemoteStore, client_options
from mcml_assets.domain.topology import Location

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Client

    from mcml_assets.clouds.aws.copying import S3Copier


NAME = re.compile(r"[a-z0-9-]{1,32}")
# In the refusal of a signature for the wrong region; a redirect names it in a header only, which obstore does not show.
REGION = re.compile(f"<Region>({NAME.pattern})</Region>")


class S3Store(RemoteStore):
    """An `ObjectStore` in an S3 bucket.

    Its etag is S3's ETag, the digest of the content: a conditional put cannot tell A-B-A from A. Whatever is moved by
    conditional puts must therefore hold something unique, as the pointer of a snapshot does with its time.
    """

    def __init__(self, location: Location) -> None:
        super().__init__(location, partial(_client, location))
        self._place = location

    def copy_from(self, location: str, key: str, size: int) -> str | None:
        """Have S3 copy an object from that location's bucket; the SHA-256 that AWS computed of it, up to 5 GiB."""
        return self._copier.copy(self._origins[location], self.path(key), size)

    @cached_property
    def _copier(self) -> "S3Copier":
        from mcml_assets.clouds.aws.copying import S3Copier  # noqa: PLC0415 - loads boto3, for copies within S3 only

        return S3Copier(self._place)

    def discard_uploads(self, prefix: str, before: datetime) -> int:
        """Abort the multipart uploads below the folder `prefix` that began before then; S3 keeps, and bills, them for ever."""
        from mcml_assets.clouds.aws.uploads import abort_uploads  # noqa: PLC0415 - loads boto3, for collections only

        return abort_uploads(self._place, f"{prefix}/", before)

    def other_region(self, answer: str) -> str | None:
        """The region that S3 says the bucket is in, in this very answer or when asked; None for the location's own."""
        named = REGION.search(answer)
        region = named[1] if named else _region_of(self._place)
        return region if region != self._place.region else None


def _region_of(location: Location) -> str | None:
    """The bucket's region, which S3 tells in a header to anybody, also with a refusal; None where it does not."""
    import httpx  # noqa: PLC0415 - only a mistake in the topology pays for it

    try:
        headers = httpx.head(f"{service_address(location)}/{location.bucket}", timeout=5).headers
    except httpx.HTTPError:
        return None
    told = NAME.fullmatch(headers.get("x-amz-bucket-region", ""))
    return told[0] if told else None


def _client(location: Location) -> "Client":
    # Every setting that obstore would otherwise look for in the environment is said here: one variable of the machine
    # must not redirect all locations at once.
    return S3Client(
        location.bucket,
        aws_endpoint_url_s3=service_address(location),
        region=location.region,
        virtual_hosted_style_request=False,
        disable_bulk_delete=True,  # one object at a time is deleted, and every S3 knows that request
        client_options=client_options(location),
        retry_config=RETRY,
        credential_provider=credential_provider(location),
    )
