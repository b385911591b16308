"""Promises of a backup: an instance comes back from its dump with every run and event, and the register needs none."""

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.acting import Acting
from mcml_assets.domain.workload import Workload
from mcml_assets.resources.stores import CloudStores
from mcml_assets_tests.failover.stage import Stage, example_workloads
from mcml_assets_tests.instance.postgres import ABSENT, DATABASE, Postgres, binaries, postgres


@dg.asset
def kept() -> dg.MaterializeResult:
    """What must be known after a restore."""
    return dg.MaterializeResult(data_version=dg.DataVersion("of-the-backup"))


def _history(instance: dg.DagsterInstance) -> tuple[set[str], list[str | None]]:
    """Every run, and the versions of the asset, the newest first."""
    events = instance.fetch_materializations(kept.key, limit=10).records
    runs = {run.run_id for run in instance.get_runs()}
    made = [event.asset_materialization for event in events]
    return runs, [(each.tags or {}).get("dagster/data_version") for each in made if each is not None]


def test_an_instance_on_sqlite_comes_back(tmp_path: Path) -> None:
    """Copied by sqlite's own backup while Dagster is writing, lost, and put back: every run and event of then is there."""
    home, backup = tmp_path / "home", tmp_path / "backup"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        assert dg.materialize([kept], instance=instance).success
        known = _history(instance)
        for file in sorted(home.rglob("*.db")):
            copy = backup / file.relative_to(home)
            copy.parent.mkdir(parents=True, exist_ok=True)
            with sqlite3.connect(file) as source, sqlite3.connect(copy) as target:
                source.backup(target)
        assert dg.materialize([kept], instance=instance).success
    shutil.rmtree(home)
    shutil.copytree(backup, home)
    with dg.DagsterInstance.local_temp(str(home)) as restored:
        assert _history(restored) == known
        assert known[1] == ["of-the-backup"]
        assert dg.materialize([kept], instance=restored).success


@pytest.fixture
def server() -> Iterator[Postgres]:
    with postgres() as made:
        yield made


@pytest.mark.live
@pytest.mark.skipif(binaries() is None, reason=ABSENT)
def test_an_instance_on_postgresql_comes_back(server: Postgres, tmp_path: Path) -> None:
    """Dumped while it is in use, and restored into an empty database: every run and event of then is there, and it goes on."""
    with _on(server.url, tmp_path / "before") as instance:
        assert dg.materialize([kept], instance=instance).success
        known = _history(instance)
        _run(server, "pg_dump", "--format=custom", f"--file={server.folder / 'dump'}", DATABASE)
        assert dg.materialize([kept], instance=instance).success
    _run(server, "createdb", "restored")
    _run(server, "pg_restore", "--exit-on-error", "--dbname=restored", str(server.folder / "dump"))
    with _on(server.url.removesuffix(DATABASE) + "restored", tmp_path / "after") as restored:
        assert _history(restored) == known
        assert known[1] == ["of-the-backup"]
        assert dg.materialize([kept], instance=restored).success


def test_the_register_needs_no_backup(tmp_path: Path) -> None:
    """A store's file that was lost is told, changes no answer, and is written again by the next change; a file that somebody
    brought back from a former version is older than the others', told, and outvoted.
    """
    (workload,) = example_workloads(["credit_scoring"])
    stage = Stage(tmp_path, [workload])
    stage.fill()
    stores = CloudStores.from_settings(Settings(home=tmp_path))
    files = _files(tmp_path, workload)
    assert len(files) == 3
    former = {file: file.read_bytes() for file in files}
    second = _change(stores, workload, "gcp/us-east4")

    files[0].unlink()
    assert sorted(_states(stores, workload)) == ["in step", "in step", "unused"]
    assert stores.register.read(workload, "US") == second
    third = _change(stores, workload, "aws/us-east-1")
    assert files[0].exists()
    assert _states(stores, workload) == ["in step"] * 3

    files[1].write_bytes(former[files[1]])
    assert sorted(_states(stores, workload)) == ["behind", "in step", "in step"]
    assert stores.register.read(workload, "US") == third


def _files(home: Path, workload: Workload) -> list[Path]:
    return sorted((home / "clouds").rglob(f"_register/{workload.name}/US.json"))


def _states(stores: CloudStores, workload: Workload) -> list[str]:
    return [replica.state for replica in stores.register.survey(workload, "US").replicas]


def _change(stores: CloudStores, workload: Workload, location: str) -> Acting:
    now = stores.register.read(workload, "US")
    new = Acting(location, now.epoch + 1)
    return stores.register.change(workload, "US", now, new, who="test", why="by hand", request_id=f"r-{new.epoch}")


def _on(url: str, home: Path) -> dg.DagsterInstance:
    home.mkdir()
    return dg.DagsterInstance.local_temp(str(home), overrides={"storage": {"postgres": {"postgres_url": url}}})


def _run(server: Postgres, program: str, *arguments: str) -> None:
    command = [str(server.binaries / program), "--host=127.0.0.1", f"--port={server.port}", "--username=dagster", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
