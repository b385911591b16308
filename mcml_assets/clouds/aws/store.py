"""A bucket of Amazon S3. Imports obstore: import this module only where a store is opened."""

from functools import partial
from typing import TYPE_CHECKING

from obstore.store import S3Store as S3Client

from mcml_assets.clouds.aws.credentials import credential_provider
from mcml_assets.clouds.remote_store import RETRY, RemoteStore, client_options
from mcml_assets.domain.topology import Location

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Client


class S3Store(RemoteStore):
    """An `ObjectStore` in an S3 bucket.

    Its etag is S3's ETag, the digest of the content: a conditional put cannot tell A-B-A from A. Whatever is moved by
    conditional puts must therefore hold something unique, as the pointer of a snapshot does with its time.
    """

    def __init__(self, location: Location) -> None:
        super().__init__(location, partial(_client, location))


def _client(location: Location) -> "Client":
    # Every setting that obstore would otherwise look for in the environment is said here: one variable of the machine
    # must not redirect all locations at once.
    return S3Client(
        location.bucket,
        aws_endpoint_url_s3=location.store.endpoint or f"https://s3.{location.region}.amazonaws.com",
        region=location.region,
        virtual_hosted_style_request=False,
        disable_bulk_delete=True,  # one object at a time is deleted, and every S3 knows that request
        client_options=client_options(location),
        retry_config=RETRY,
        credential_provider=credential_provider(location),
    )
