"""Buckets that the replication benchmark copies between, each with the ways in for the engine and for its peers.

What is copied is in `replication_work.py`, who copies it in `replication_peers.py`.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from mcml_assets.clouds.aws.store import S3Store
from mcml_assets.clouds.azure.store import AzureStore
from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.clouds.local.store import LocalStore
from mcml_assets.clouds.registry import open_store
from mcml_assets.clouds.secrets import credential_value
from mcml_assets.configuration.settings import PROJECT_ROOT, Settings
from mcml_assets.domain.topology import Location
from mcml_assets.emulation.servers import Emulators
from mcml_assets_tests.benchmarks.replication_http import HttpStore, webdav_server
from mcml_assets_tests.clouds.emulated_buckets import make_bucket
from mcml_assets_tests.emulation.started import started

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Client


MEMORY, MEMORY_NEEDED = Path("/dev/shm"), 4 << 30  # noqa: S108 - emptied with the block
NUMBERS = count()
"""Every bucket is a location of its own, because within one location nothing is copied."""


class Absent(Exception):
    """A peer or a place that cannot be had here, or a peer that does not come to an end; says why, and what would help."""


@dataclass(frozen=True, slots=True)
class Place:
    """One bucket.

    `store` is the engine's way in, `client` the bare obstore client of the same bucket, `remote` rclone's settings of
    it and `root` what rclone puts before a key. `location` is there for buckets on an emulator.
    """

    store: ObjectStore
    client: "Client"
    remote: Mapping[str, str]
    root: str
    location: Location | None = None


class Folders:
    """Local buckets, made as they are asked for and removed with the block."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def new(self) -> Place:
        """An empty bucket."""
        number = next(NUMBERS)
        path = self._root / f"bucket-{number}"
        path.mkdir()
        store = LocalStore(f"local/{number}", path)
        return Place(store, store.client, {"type": "local"}, str(path))


@contextmanager
def local_folders() -> Iterator[Folders]:
    """Below `build/bench`, because /tmp may be memory."""
    with scratch() as folder:
        yield Folders(folder)


@contextmanager
def folders_in_memory() -> Iterator[Folders]:
    """Where no disk is the limit. Raises `Absent` without a file system in memory that has room for the copies."""
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < MEMORY_NEEDED:
        raise Absent(f"{MEMORY} is missing, or has less than {MEMORY_NEEDED >> 30} GiB free")
    with TemporaryDirectory(dir=MEMORY, prefix="mcml-bench-") as folder:
        yield Folders(Path(folder))


@contextmanager
def web_folders(servers: int) -> Iterator[list[Callable[[], Place]]]:
    """So many nginx servers that take WebDAV, each as what makes empty buckets on it.

    Raises `ConfigurationError` when nginx is absent.
    """
    with scratch() as folder, webdav_server(folder, servers) as addresses:

        def new(address: str) -> Place:
            number = next(NUMBERS)
            url = f"{address}/bucket-{number}"
            store = HttpStore(f"web/{number}", url)
            return Place(store, store.client, {"type": "webdav", "url": url, "vendor": "other"}, "")

        yield [lambda address=address: new(address) for address in addresses]


class EmulatedBuckets:
    """Buckets on the clouds' emulators."""

    def __init__(self, emulators: Emulators, home: Path) -> None:
        self.emulators = emulators
        self._settings = Settings(home=home)

    def new(self, kind: Literal["s3", "azure"]) -> Place:
        """An empty bucket."""
        made = make_bucket(kind, self.emulators, os.environ.__setitem__)
        # S3 signs its region, so only the cloud is renamed.
        location = replace(made, cloud=f"{kind}-{next(NUMBERS)}")
        return self.at(location)

    def at(self, location: Location) -> Place:
        """The bucket of a location that was made here, at whatever endpoint it names."""
        open_client, remote = {"s3": (S3Store, _s3_remote), "azure": (AzureStore, _azure_remote)}[location.store.kind]
        # The engine's as the platform opens it.
        store = open_store(location, self._settings)
        return Place(store, open_client(location).client, remote(location), location.bucket, location)


@contextmanager
def emulated_buckets() -> Iterator[EmulatedBuckets]:
    """Emulators of their own, ended with the block."""
    with scratch() as folder, started(folder) as emulators:
        yield EmulatedBuckets(emulators, folder)


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder on the disk of the project, removed with the block."""
    parent = PROJECT_ROOT / "build" / "bench"
    parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=parent, prefix="scratch-") as folder:
        yield Path(folder)


def s3_environment(location: Location) -> dict[str, str]:
    """The variables by which s5cmd and boto3 enter an emulated bucket."""
    return {
        "AWS_ACCESS_KEY_ID": credential_value(location, "access_key_id"),
        "AWS_SECRET_ACCESS_KEY": credential_value(location, "secret_access_key"),
        "AWS_REGION": location.region,
    }


def azure_container(location: Location) -> Any:
    """The Azure SDK's client of an emulated container."""
    from azure.storage.blob import ContainerClient

    credential = {"account_name": location.store.account or "", "account_key": credential_value(location, "account_key")}
    return ContainerClient(location.store.endpoint or "", location.bucket, credential)


def _s3_remote(location: Location) -> dict[str, str]:
    return {
        "type": "s3",
        "provider": "Other",
        "endpoint": location.store.endpoint or "",
        "region": location.region,
        "access_key_id": credential_value(location, "access_key_id"),
        "secret_access_key": credential_value(location, "secret_access_key"),
        "no_check_bucket": "true",
    }


def _azure_remote(location: Location) -> dict[str, str]:
    """By a URL with a signature: rclone's own emulator mode does not work with Azurite."""
    from azure.storage.blob import ContainerSasPermissions, generate_container_sas

    signature = generate_container_sas(
        location.store.account or "",
        location.bucket,
        credential_value(location, "account_key"),
        permission=ContainerSasPermissions(read=True, write=True, delete=True, list=True, add=True, create=True),
        expiry=datetime.now(UTC) + timedelta(hours=3),
    )
    return {"type": "azureblob", "sas_url": f"{location.store.endpoint}/{location.bucket}?{signature}"}
