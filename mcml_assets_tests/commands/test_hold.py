"""`mcml hold` as a person meets it: holds in all locations at once, listed, released, and plain words for a mistake."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mcml_assets import cli
from mcml_assets.clouds.registry import open_store, provision
from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.domain.topology import Topology
from mcml_assets.snapshots.store import SnapshotStore
from mcml_assets_tests.snapshots.committing import commit

WORKLOAD, NOUN = "online_retail", "raw_data"
UK = ("aws/eu-west-2", "gcp/europe-west2", "azure/uksouth")


@pytest.fixture
def snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a snapshot that two of the locations hold, on a machine of its own."""
    monkeypatch.setenv("MCML_HOME", str(tmp_path / "home"))
    topology = _topology()
    provision(topology, Settings())
    stores = [open_store(topology.location(key), Settings()) for key in UK[:2]]
    committed = [commit(SnapshotStore(store, WORKLOAD, NOUN), {"a": b"1"}, tmp_path) for store in stores]
    return committed[0].manifest.snapshot_id


def _topology() -> Topology:
    return load_topology(Settings().topology_file)


def mcml(*arguments: str) -> list[dict[str, str]]:
    """What a command that succeeds prints."""
    result = CliRunner().invoke(cli.app, ["hold", *arguments, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(code: int, *arguments: str) -> str:
    """What a command says that fails with this exit code."""
    result = CliRunner().invoke(cli.app, ["hold", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_a_hold_is_placed_listed_and_released(snapshot: str) -> None:
    """One command holds the snapshot wherever it is, by the first digits of its id; another lists, a third releases."""
    placed = mcml("add", WORKLOAD, NOUN, snapshot[:12], "--reason", "case 17", "--who", "legal")
    assert [row["location"] for row in placed] == list(UK[:2])
    assert {row["snapshot_id"] for row in placed} == {snapshot}
    assert mcml("list") == placed
    assert mcml("release", WORKLOAD, NOUN, snapshot[:12], "--location", UK[0]) == placed[:1]
    assert mcml("list") == placed[1:]


def test_a_mistake_is_told_in_words(snapshot: str) -> None:
    """An unknown workload, asset or snapshot, a beginning that is too short, and a missing hold each say what is wrong."""
    assert "did you mean 'online_retail'" in refused(2, "add", "online_retial", NOUN, snapshot, "--reason", "x")
    assert "did you mean 'raw_data'" in refused(2, "add", WORKLOAD, "rawdata", snapshot, "--reason", "x")
    assert "at least 12 digits" in refused(2, "add", WORKLOAD, NOUN, snapshot[:4], "--reason", "x")
    assert "no location has a snapshot" in refused(1, "add", WORKLOAD, NOUN, "0" * 12, "--reason", "x")
    assert "no location has a hold" in refused(1, "release", WORKLOAD, NOUN, snapshot)
    assert mcml("list") == []


def test_a_location_that_is_down_hides_no_other(snapshot: str) -> None:
    """The other locations hold all the same, and the command says, with its exit code too, that one did not answer."""
    location = _topology().location(UK[2])
    shutil.rmtree(Settings().clouds_folder / location.cloud / location.bucket)
    result = CliRunner().invoke(cli.app, ["hold", "add", WORKLOAD, NOUN, snapshot, "--reason", "case 17"])
    assert result.exit_code == 3
    assert all(key in result.output for key in UK)
