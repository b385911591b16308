"""Promises of a published package: it lies in the location's own bucket, whole, and only as long as it is needed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mcml_assets.clouds.memory.store import MemoryStore
from mcml_assets.domain.endpoint_access import ClusterEndpoints
from mcml_assets.domain.errors import ConfigurationError, CorruptSnapshot
from mcml_assets.domain.topology import Location, StoreAccess
from mcml_assets.serving.package import package_digest, read_package
from mcml_assets.serving.servable import drop_packages, make_servable, object_uri
from mcml_assets_tests.serving.served_shop import PRIMARY, Shop, build_shop, location

CLUSTER = ClusterEndpoints("kserve", "eks-london", "mcml", "mcml-server", "registry.example.com/mcml-assets:1", "features")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return build_shop(tmp_path_factory.mktemp("home"))


def in_cluster() -> Location:
    return replace(location(PRIMARY), store=StoreAccess("s3"), endpoints=CLUSTER)


def downloaded(bucket: MemoryStore, prefix: str, folder: Path) -> Path:
    """What a storage initializer makes of a prefix."""
    for stored in bucket.list(f"{prefix}/"):
        path = folder / stored.key.removeprefix(f"{prefix}/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bucket.get(stored.key))
    return folder


def test_a_server_elsewhere_finds_the_very_package(shop: Shop, tmp_path: Path) -> None:
    """What a cluster downloads has the digest that its manifest names; a damaged copy is noticed, and mended by publishing
    again.
    """
    bucket, digest = MemoryStore(PRIMARY), shop.digest(1)

    def publish() -> Any:
        return make_servable(read_package(shop.packages[1]), digest, in_cluster(), bucket, shop.settings)

    servable = publish()
    prefix = f"endpoints/shop/{digest[:16]}"
    assert (servable.package_uri, servable.features_uri, servable.image) == (
        f"s3://bucket/{prefix}",
        None,
        "registry.example.com/mcml-assets:1",
    )
    assert package_digest(downloaded(bucket, prefix, tmp_path / "sound")) == digest
    bucket.put(f"{prefix}/golden.json", b"{}")
    with pytest.raises(CorruptSnapshot):
        read_package(downloaded(bucket, prefix, tmp_path / "damaged"), digest=digest)
    publish()
    assert package_digest(downloaded(bucket, prefix, tmp_path / "mended")) == digest


def test_what_nobody_needs_goes(shop: Shop) -> None:
    """Published packages that are neither wanted nor kept for rollback are removed, and nothing beside them."""
    bucket = MemoryStore(PRIMARY)
    for version in (1, 2):
        make_servable(read_package(shop.packages[version]), shop.digest(version), in_cluster(), bucket, shop.settings)
    bucket.put("endpoints/shoes/0123456789abcdef/package.json", b"another workload's")
    before = {stored.key for stored in bucket.list("endpoints/")}
    assert drop_packages("shop", {shop.digest(1), shop.digest(2)}, bucket) == 0
    assert drop_packages("shop", {shop.digest(2)}, bucket) > 0
    left = {stored.key for stored in bucket.list("endpoints/")}
    assert left == {key for key in before if f"shop/{shop.digest(1)[:16]}/" not in key}
    assert left < before


def test_on_this_machine_nothing_is_published(shop: Shop) -> None:
    """Local servers read the verified folder itself."""
    bucket = MemoryStore(PRIMARY)
    servable = make_servable(read_package(shop.packages[1]), shop.digest(1), location(PRIMARY), bucket, shop.settings)
    assert servable.package_uri == shop.packages[1].as_uri()
    assert servable.image is None
    assert list(bucket.list("")) == []


def test_each_kind_of_bucket_has_its_uri() -> None:
    """A URI is the one that KServe's storage initializer and SageMaker read; a folder of this machine has none."""
    where = location(PRIMARY)
    azure = StoreAccess("azure", account="mcmluksouth")
    assert object_uri(replace(where, store=StoreAccess("s3")), "a/b") == "s3://bucket/a/b"
    assert object_uri(replace(where, store=StoreAccess("gcs")), "a/b") == "gs://bucket/a/b"
    assert object_uri(replace(where, store=azure), "a/b") == "https://mcmluksouth.blob.core.windows.net/bucket/a/b"
    with pytest.raises(ConfigurationError, match="no other server can read"):
        object_uri(where, "a/b")
