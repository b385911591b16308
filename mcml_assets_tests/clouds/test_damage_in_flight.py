"""Bytes that are damaged between a real service and us: what no client of a cloud notices, the copy does."""

from pathlib import Path

import pytest

from mcml_assets.clouds.memory.store import MemoryStore
from mcml_assets.clouds.registry import open_store
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.digest import DIGEST_ALGORITHMS, DigestAlgorithm
from mcml_assets.domain.errors import CorruptSnapshot, LocationUnavailable
from mcml_assets.emulation.servers import Emulators
from mcml_assets.snapshots.replication import replicate
from mcml_assets_tests.clouds.damaging_proxy import KINDS, damaging_proxy
from mcml_assets_tests.clouds.emulated_buckets import at_endpoint, make_bucket
from mcml_assets_tests.ports import free_ports
from mcml_assets_tests.snapshots.committing import commit, current_contents, snapshots

FILES = 60
LARGE = 1_500_000
"""Larger than what is compared before it is written, so that the upload itself has to be broken off."""


@pytest.mark.live
@pytest.mark.parametrize("digests", DIGEST_ALGORITHMS)
def test_no_damage_on_the_way_is_accepted(
    emulators: Emulators, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digests: DigestAlgorithm
):
    """Of 60 bodies with flipped bits, wrong lengths and cuts none is stored; read again, every file arrives as it was.

    A file that arrives damaged however often it is read is told as such, and the target shows nothing of it.
    """
    location = make_bucket("s3", emulators, monkeypatch.setenv)
    files = {f"{number:02d}": bytes([number]) * (LARGE if number % 10 < 4 else 1000 + number) for number in range(FILES)}
    bucket = open_store(location, Settings(home=tmp_path))
    manifest = commit(snapshots(bucket, digests=digests), files, tmp_path).manifest
    with damaging_proxy(free_ports(1)[0], emulators.endpoints["s3"], "/blobs/") as damage:
        source = snapshots(open_store(at_endpoint(location, damage.url), Settings(home=tmp_path)))
        standby = MemoryStore("azure/uksouth")
        report = replicate(source, snapshots(standby, "raw_data"), manifest, epoch=1)
        assert damage.done == dict.fromkeys(KINDS, FILES // len(KINDS))
        assert current_contents(snapshots(standby, "raw_data")) == files
        # A client may ask on by itself for the rest of a body that was cut; of the others it knows nothing.
        assert FILES * 3 // 4 <= report.retried <= FILES
        for number in range(2 * len(KINDS)):
            damage.start_over(times=10)
            empty = MemoryStore("gcp/europe-west2")
            # The same blob, in a snapshot of its own.
            one = commit(
                snapshots(MemoryStore(location.key), digests=digests), {"one": files[f"{number:02d}"]}, tmp_path
            ).manifest
            # The latter when the client itself gave up on what was cut again and again.
            with pytest.raises((CorruptSnapshot, LocationUnavailable), match=r"'one' is damaged|blobs"):
                replicate(source, snapshots(empty, "raw_data"), one, epoch=1)
            assert list(empty.list("retail/blobs")) == []
