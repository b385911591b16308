"""`mcml snapshot` as a person meets it: what a location has, going back to it, and plain words for what cannot be."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner, Result

from mcml_assets.build import DEFS
from mcml_assets.cli import app
from mcml_assets.configuration.settings import PROJECT_ROOT, Settings
from mcml_assets.domain.acting import Acting
from mcml_assets.snapshots.holds import place_hold
from mcml_assets_tests.assets.conftest import Bench, checks_of, failure_of
from mcml_assets_tests.clouds.faults import flipped

SHOP, UK, STANDBY = "online_retail", "aws/eu-west-2", "gcp/europe-west2"


@pytest.fixture
def retail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A shop on a machine of its own that landed two batches, with the Dagster instance that its runs are in."""
    settings = Settings(home=tmp_path / "home")
    monkeypatch.setenv("MCML_HOME", str(settings.home))
    settings.dagster_home.mkdir(parents=True)
    shutil.copyfile(PROJECT_ROOT / "dagster.yaml", settings.dagster_home / "dagster.yaml")
    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        bench = Bench(DEFS / SHOP / "defs.yaml", settings, instance)
        for _ in range(2):
            result = bench.run("UK", "landing")
            assert result.success, failure_of(result)
        yield bench


def mcml(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["snapshot", *arguments])


def told(*arguments: str) -> list[dict[str, object]]:
    """What a command that succeeds prints."""
    result = mcml(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(code: int, *arguments: str) -> str:
    """What a command says that fails with this exit code."""
    result = mcml(*arguments)
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def test_an_operator_goes_back_and_the_rest_follows(retail: Bench):
    """The earlier snapshot is current again and on record in Dagster, its copies follow it, and the next batch comes anew."""
    second, first = told("list", SHOP, "landing", UK)
    assert (second["current"], first["current"]) == (True, False)
    assert int(str(second["rows"])) > int(str(first["rows"]))
    assert retail.run(STANDBY, "raw_data").success
    arguments = ("restore", SHOP, "landing", UK, "--to", str(first["snapshot_id"])[:12], "--why", "a bad batch")
    planned = told(*arguments, "--dry-run")
    assert retail.current(UK, "landing") == second["snapshot_id"]
    done = told(*arguments)
    moved = {"workload": SHOP, "asset": "landing", "location": UK, "from": second["snapshot_id"], "to": first["snapshot_id"]}
    assert planned == moved | {"epoch": 1, "moved": False, "recorded": False}
    assert done == moved | {"epoch": 1, "moved": True, "recorded": True}
    assert retail.current(UK, "landing") == first["snapshot_id"]
    event = retail.instance.get_latest_materialization_event(retail.key("landing"))
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.partition == "UK"
    assert (event.asset_materialization.tags or {})["dagster/data_version"] == first["snapshot_id"]
    assert "a bad batch" in (event.asset_materialization.description or "")
    result = retail.run(STANDBY, "raw_data")
    assert result.success
    assert all(checks_of(result).values())
    assert retail.current(STANDBY, "raw_data") == first["snapshot_id"]
    assert retail.run("UK", "landing").success
    assert retail.current(UK, "landing") == second["snapshot_id"]
    assert "Nothing to do" in mcml(*arguments[:5], str(second["snapshot_id"])).output


def test_what_cannot_be_restored_is_said(retail: Bench):
    """A damaged snapshot, one that is not there, a location without the say, and a mistyped name: each in words, none done."""
    second, first = (str(row["snapshot_id"]) for row in told("list", SHOP, "landing", UK))
    store = retail.stores.snapshots(retail.workload, UK, "landing")
    assert "did you mean 'landing'" in refused(2, "restore", SHOP, "landin", UK, "--to", first)
    assert "did you mean 'aws/eu-west-2'" in refused(2, "list", SHOP, "landing", "aws/eu-west-1")
    assert "at least 12 digits" in refused(2, "restore", SHOP, "landing", UK, "--to", first[:4])
    assert "`mcml snapshot list` shows" in refused(1, "restore", SHOP, "landing", UK, "--to", "0" * 12)
    assert retail.run(STANDBY, "raw_data").success
    bucket = retail.stores.bucket(UK)
    new = next(file for file in store.manifest(second).files if file not in store.manifest(first).files)
    bucket.put(store.blobs.key(new), flipped(b"".join(store.blobs.read(new))))
    assert f"{second[:12]} is not whole" in refused(1, "restore", SHOP, "landing", UK, "--to", second)
    assert retail.current(UK, "landing") == second


def test_another_location_acts(retail: Bench):
    """Where the work went elsewhere, the location that lost it cannot move what stands for the jurisdiction."""
    first = str(told("list", SHOP, "landing", UK)[-1]["snapshot_id"])
    assert retail.run(STANDBY, "raw_data").success
    acting = retail.stores.acting(retail.workload, "UK")
    retail.stores.register.change(
        retail.workload, "UK", acting, Acting(STANDBY, acting.epoch + 1), who="a person", why="a test", request_id="1"
    )
    assert f"{STANDBY} has, which is acting: restore it there" in refused(2, "restore", SHOP, "landing", UK, "--to", first)
    # And the new one has what it took over, from its first landing on.
    assert "no snapshot" in refused(1, "restore", SHOP, "landing", STANDBY, "--to", first)


def test_the_list_says_what_is_held_and_what_cannot_be_read(retail: Bench):
    """A legal hold is shown; a manifest that cannot be read is a row with its problem, and hides no other."""
    second, first = (str(row["snapshot_id"]) for row in told("list", SHOP, "landing", UK))
    place_hold(retail.stores.snapshots(retail.workload, UK, "landing"), first, "case 17", "legal")
    retail.stores.bucket(UK).put(f"{SHOP}/landing/manifests/{second}.json", b"{")
    rows = {row["snapshot_id"]: row for row in told("list", SHOP, "landing", UK)}
    assert (rows[first]["held"], rows[first]["problem"]) == (True, None)
    assert "not readable JSON" in str(rows[second]["problem"])
    assert first[:12] in mcml("list", SHOP, "landing", UK).output
