"""Where the servers of a location find a model package, and features: on this machine, or in the location's own bucket.

A snapshot keeps files by their content; a cluster's storage initializer and SageMaker want a folder, and each server
verifies the package's digest itself. What a package is belongs to `package.py`.
"""

from collections.abc import Collection
from dataclasses import dataclass

from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.endpoint_access import ClusterEndpoints, SageMakerEndpoints
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.topology import Location
from mcml_assets.features.repositories import repositories_folder
from mcml_assets.serving.package import ModelPackage

PREFIX = "endpoints"


@dataclass(frozen=True, slots=True)
class Servable:
    """What a manifest names: URIs that the location's servers can read, and the server's image, None for the project's.

    Servers elsewhere read no features: their gateway sends them.
    """

    package_uri: str
    features_uri: str | None
    image: str | None = None


def make_servable(package: ModelPackage, digest: str, location: Location, bucket: ObjectStore, settings: Settings) -> Servable:
    """Put a verified package where this location's servers find it."""
    match location.endpoints:
        case ClusterEndpoints(image=image) | SageMakerEndpoints(image=image):
            return Servable(publish_package(package, digest, location, bucket), None, image)
        case _:
            features = repositories_folder(settings, location.key, package.description.workload)
            return Servable(package.folder.as_uri(), features.as_uri())


def publish_package(package: ModelPackage, digest: str, location: Location, bucket: ObjectStore) -> str:
    """Write the package's files below a prefix of their digest, and return the prefix as a URI for servers elsewhere.

    Writes all of them each time, so that a damaged copy is mended by wanting the endpoint again.
    Raises `ConfigurationError` for a bucket that is a folder of this machine.
    """
    prefix = _prefix(package.description.workload, digest)
    uri = object_uri(location, prefix)
    for file in sorted(path for path in package.folder.rglob("*") if path.is_file()):
        bucket.put(f"{prefix}/{file.relative_to(package.folder).as_posix()}", file)
    return uri


def drop_packages(workload: str, kept: Collection[str], bucket: ObjectStore) -> int:
    """Remove the published packages of a workload whose digest is not in `kept`; returns how many objects went."""
    prefixes = {f"{_prefix(workload, digest)}/" for digest in kept}
    gone = 0
    for stored in list(bucket.list(f"{PREFIX}/{workload}/")):
        if not any(stored.key.startswith(prefix) for prefix in prefixes):
            bucket.delete(stored.key)
            gone += 1
    return gone


def object_uri(location: Location, key: str) -> str:
    """How KServe's storage initializer and SageMaker name an object of the location's bucket.

    Raises `ConfigurationError` for a bucket that only this machine can read.
    """
    store = location.store
    match store.kind:
        case "s3":
            return f"s3://{location.bucket}/{key}"
        case "gcs":
            return f"gs://{location.bucket}/{key}"
        case "azure":
            host = (store.endpoint or f"https://{store.account}.blob.core.windows.net").rstrip("/")
            return f"{host}/{location.bucket}/{key}"
        case "local":
            raise ConfigurationError(f"{location.key}: its bucket is a folder of this machine, which no other server can read")


def _prefix(workload: str, digest: str) -> str:
    return f"{PREFIX}/{workload}/{digest[:16]}"
