"""Which code opens a location's bucket: one line per kind of store. The only module that knows the clouds by name.

What a store can do is in `interfaces.py`, how a cloud does it in its own folder. SDKs load when a store is opened.
"""

from collections.abc import Callable, Mapping

from mcml_assets.clouds.fault_plan import with_faults
from mcml_assets.clouds.inspection import BucketInspector
from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.topology import Location, StoreKind, Topology, did_you_mean


def open_store(location: Location, settings: Settings, asker: str | None = None) -> ObjectStore:
    """The bucket of a location, by its kind of store. Creates nothing, and asks nothing before the first use.

    `asker` is the location whose work asks it, None for the control plane; only planned partitions tell them apart.
    Raises `ConfigurationError` for a kind that no code serves.
    """
    kind = location.store.kind
    try:
        opener = _OPENERS[kind]
    except KeyError:
        raise ConfigurationError(
            f"{location.key}: no object store is known for kind {kind!r}{did_you_mean(kind, list(_OPENERS))}"
        ) from None
    return with_faults(opener(location, settings), settings, asker)


def provision(topology: Topology, settings: Settings) -> tuple[str, ...]:
    """Make the local locations' buckets that never existed, and return them as `<cloud>/<bucket>`.

    One that was made and is gone stays gone: that is an outage. Buckets of real clouds are made with the rest of their
    infrastructure, not here.
    """
    local = [location for location in topology.locations.values() if location.store.kind == "local"]
    if not local:
        return ()
    # Only a process that uses stores needs it.
    from mcml_assets.clouds.local.provisioning import make_buckets  # noqa: PLC0415

    buckets = (f"{location.cloud}/{location.bucket}" for location in local)
    return make_buckets(settings.clouds_folder, buckets)


def inspector(location: Location) -> BucketInspector:
    """Who asks the provider of a location's bucket how it is protected. Asks nothing before the first question.

    Its first question raises `ConfigurationError` or `CredentialsRejected` for credentials that cannot be had.
    """
    return _INSPECTORS[location.store.kind](location)


def _open_local(location: Location, settings: Settings) -> ObjectStore:
    from mcml_assets.clouds.local.store import LocalStore  # noqa: PLC0415 - loads obstore

    return LocalStore(location.key, settings.clouds_folder / location.cloud / location.bucket)


def _open_s3(location: Location, settings: Settings) -> ObjectStore:
    from mcml_assets.clouds.aws.store import S3Store  # noqa: PLC0415 - loads obstore

    return S3Store(location)


def _open_gcs(location: Location, settings: Settings) -> ObjectStore:
    from mcml_assets.clouds.gcp.store import GcsStore  # noqa: PLC0415 - loads google-cloud-storage

    return GcsStore(location)


def _open_azure(location: Location, settings: Settings) -> ObjectStore:
    from mcml_assets.clouds.azure.store import AzureStore  # noqa: PLC0415 - loads obstore

    return AzureStore(location)


_OPENERS: Mapping[StoreKind, Callable[[Location, Settings], ObjectStore]] = {
    "local": _open_local,
    "s3": _open_s3,
    "gcs": _open_gcs,
    "azure": _open_azure,
}


def _inspect_local(location: Location) -> BucketInspector:
    from mcml_assets.clouds.local.inspection import LocalInspector  # noqa: PLC0415 - one kind's module each

    return LocalInspector()


def _inspect_s3(location: Location) -> BucketInspector:
    from mcml_assets.clouds.aws.inspection import S3Inspector  # noqa: PLC0415 - loads boto3

    return S3Inspector(location)


def _inspect_gcs(location: Location) -> BucketInspector:
    from mcml_assets.clouds.gcp.inspection import GcsInspector  # noqa: PLC0415 - loads google-cloud-storage

    return GcsInspector(location)


def _inspect_azure(location: Location) -> BucketInspector:
    from mcml_assets.clouds.azure.inspection import AzureInspector  # noqa: PLC0415 - loads azure-storage-blob

    return AzureInspector(location)


_INSPECTORS: Mapping[StoreKind, Callable[[Location], BucketInspector]] = {
    "local": _inspect_local,
    "s3": _inspect_s3,
    "gcs": _inspect_gcs,
    "azure": _inspect_azure,
}
