"""Opening and provisioning: who makes a bucket, and who never does."""

import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from shutil import rmtree

import pytest

from mcml_assets.clouds.registry import open_store, provision
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError, LocationUnavailable
from mcml_assets.domain.topology import Credentials, Location, StoreAccess, Topology


def location(key: str) -> Location:
    cloud, region = key.split("/")
    return Location(cloud, region, "UK", f"mcml-{region}", Decimal("0.09"), "USD", {})


def topology(*keys: str) -> Topology:
    return Topology("local", {key: location(key) for key in keys})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", profile="local")


def test_provisioning_makes_every_bucket_once(settings: Settings):
    """The first call makes all buckets, the next makes none, and a location that joins later gets its own."""
    two = topology("aws/eu-west-2", "gcp/europe-west2")
    assert provision(two, settings) == ("aws/mcml-eu-west-2", "gcp/mcml-europe-west2")
    assert provision(two, settings) == ()
    three = topology("aws/eu-west-2", "gcp/europe-west2", "azure/uksouth")
    assert provision(three, settings) == ("azure/mcml-uksouth",)
    for key, opened in three.locations.items():
        store = open_store(opened, settings)
        store.put("a", key.encode())
        assert (store.location, store.get("a")) == (key, key.encode())


def test_a_bucket_that_is_gone_stays_gone(settings: Settings):
    """A bucket that was made once is not made again, by provisioning or by use: it is an outage until it returns."""
    one = topology("aws/eu-west-2")
    provision(one, settings)
    rmtree(settings.clouds_folder / "aws")
    assert provision(one, settings) == ()
    store = open_store(location("aws/eu-west-2"), settings)
    with pytest.raises(LocationUnavailable, match="aws/eu-west-2"):
        store.put("a", b"1")
    assert not (settings.clouds_folder / "aws").exists()


def test_opening_a_store_makes_nothing(settings: Settings):
    """A location that was never provisioned is unavailable when used, and opening it leaves no trace."""
    store = open_store(location("aws/eu-west-2"), settings)
    with pytest.raises(LocationUnavailable, match="No such file or directory"):
        list(store.list(""))
    assert not settings.home.exists()


def test_a_crash_while_provisioning_is_repaired(settings: Settings):
    """A bucket that was made but not yet recorded is recorded by the next call, with its content."""
    (settings.clouds_folder / "aws/mcml-eu-west-2").mkdir(parents=True)
    store = open_store(location("aws/eu-west-2"), settings)
    store.put("a", b"1")
    assert provision(topology("aws/eu-west-2"), settings) == ("aws/mcml-eu-west-2",)
    assert store.get("a") == b"1"


@pytest.mark.parametrize("damage", [b"{", b"[]", b'{"buckets": 1}', b"{}", b"\xff"])
def test_a_damaged_record_makes_no_bucket(settings: Settings, damage: bytes):
    """When the record of made buckets is unreadable, provisioning says so instead of hiding an outage."""
    settings.clouds_folder.mkdir(parents=True)
    (settings.clouds_folder / "provisioned.json").write_bytes(damage)
    with pytest.raises(ConfigurationError, match=r"provisioned\.json does not list"):
        provision(topology("aws/eu-west-2"), settings)
    assert not (settings.clouds_folder / "aws").exists()


@pytest.mark.parametrize(
    ("access", "loaded", "not_loaded"),
    [
        (StoreAccess("local"), "obstore", ("boto3", "google.cloud.storage", "azure")),
        (StoreAccess("s3", credentials=Credentials("keys")), "obstore", ("boto3", "google.cloud.storage", "azure", "dagster")),
        (StoreAccess("azure", account="mcml"), "obstore", ("boto3", "google.cloud.storage", "azure.identity", "dagster")),
        (
            StoreAccess("gcs", credentials=Credentials("key_file")),
            "google.cloud.storage",
            ("boto3", "obstore", "azure", "dagster"),
        ),
    ],
    ids=lambda value: value.kind if isinstance(value, StoreAccess) else "",
)
def test_opening_a_store_loads_its_own_client_only(access: StoreAccess, loaded: str, not_loaded: tuple[str, ...]):
    """A location's kind, not its cloud's name, says which client is loaded, and nothing is asked of anybody."""
    probe = (
        "import sys\nfrom decimal import Decimal\nfrom mcml_assets.clouds.registry import open_store\n"
        "from mcml_assets.configuration.settings import Settings\nfrom mcml_assets.domain.topology import *\n"
        f"place = Location('moon', 'crater', 'UK', 'bucket', Decimal(0), 'USD', {{}}, {access!r})\n"
        "assert open_store(place, Settings()).location == 'moon/crater'\n"
        f"print({loaded!r} in sys.modules, [name for name in {not_loaded!r} if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "True []"


def test_only_local_buckets_are_provisioned(settings: Settings):
    """Buckets of clouds on the network are made with the rest of their infrastructure, never by the platform."""
    remote = replace(location("aws/eu-west-2"), store=StoreAccess("s3"))
    mixed = Topology("mixed", {remote.key: remote, "gcp/europe-west2": location("gcp/europe-west2")})
    assert provision(mixed, settings) == ("gcp/mcml-europe-west2",)
    assert provision(Topology("remote", {remote.key: remote}), settings) == ()


def test_the_registry_loads_no_sdk():
    """Importing the registry, as definitions do, loads neither obstore nor a cloud's module."""
    probe = (
        "import sys, mcml_assets.clouds.registry, mcml_assets.snapshots.replication; "
        "print([name for name in sys.modules if name.startswith(('obstore', 'boto3', 'mcml_assets.clouds.local'))])"
    )
    answer = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
