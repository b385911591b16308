"""What the topology says of snapshots reaches every location's store."""

from pathlib import Path

from mcml_assets.configuration.settings import TOPOLOGIES, Settings
from mcml_assets.configuration.workload import load_workload
from mcml_assets.resources.stores import CloudStores
from mcml_assets.snapshots.replication import replicate
from mcml_assets_tests.configuration.workload_files import write_workload
from mcml_assets_tests.snapshots.committing import blob, commit

PRIMARY, STANDBY = "aws/eu-west-2", "gcp/europe-west2"


def test_one_key_of_the_topology_chooses_the_digest_of_every_new_snapshot(tmp_path: Path) -> None:
    """With `digest: sha256` each commit and its copies are SHA-256's; without the key, and again later, they are BLAKE3's."""
    local = (TOPOLOGIES / "local.yaml").read_text()
    sha256 = tmp_path / "fips.yaml"
    sha256.write_text(f"{local}\ndigest: sha256\n")
    chosen = CloudStores.from_settings(Settings(home=tmp_path / "home", topology=sha256))
    workload = load_workload(write_workload(tmp_path / "churn"), chosen.topology)
    landing, raw_data = chosen.snapshots(workload, PRIMARY, "landing"), chosen.snapshots(workload, STANDBY, "raw_data")
    manifest = commit(landing, {"a": b"1"}, tmp_path).manifest
    replicate(landing, raw_data, manifest, epoch=1)
    stored = [meta.key for meta in chosen.bucket(STANDBY).list(f"{workload.name}/blobs")]
    assert stored == [blob(b"1", "sha256").replace("retail", workload.name)]
    usual = CloudStores.from_settings(Settings(home=tmp_path / "home"))
    again = commit(usual.snapshots(workload, PRIMARY, "landing"), {"a": b"1"}, tmp_path)
    assert (again.manifest.digest_algorithm, again.written_files) == ("blake3", 1)
