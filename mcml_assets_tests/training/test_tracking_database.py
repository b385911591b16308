"""Promises of a cloud's tracking database: it comes into being once, whoever starts first."""

import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mcml_assets.clouds.fault_plan import set_fault
from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.domain.errors import TransientError
from mcml_assets.domain.faults import Fault, FaultKind
from mcml_assets.training.tracking_database import (
    database_file,
    ensure_database,
    open_client,
    reach_registry,
    tracking_uri,
)

START = """
import os, sys
from mcml_assets.training.tracking_database import ensure_database, open_client
ensure_database(sys.argv[1])
open_client(sys.argv[1]).create_experiment(str(os.getpid()))
"""


def test_a_registry_that_is_down_is_no_unavailable_location(tmp_path: Path) -> None:
    """A run says so after its retries; that MLflow is away moves no work, and elsewhere it is reached as ever."""
    settings, now = Settings(home=tmp_path), datetime.now(UTC)
    set_fault(
        Fault("aws", FaultKind.REGISTRY_DOWN, now, now + timedelta(minutes=1)), load_topology(settings.topology_file), settings
    )
    with pytest.raises(TransientError, match="MLflow does not answer"):
        reach_registry("aws/eu-west-2", settings)
    assert reach_registry("gcp/europe-west2", settings) == tracking_uri("gcp", settings)


def test_several_processes_may_start_at_once(tmp_path: Path) -> None:
    """Two processes that find no database use the same one at the end: no error, no warning, and neither's work is lost."""
    uri = tracking_uri("aws", Settings(home=tmp_path))
    processes = [
        subprocess.Popen([sys.executable, "-c", START, uri], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    results = [(*process.communicate(timeout=120), process.returncode) for process in processes]
    assert results == [("", "", 0)] * 2
    names = {experiment.name for experiment in open_client(uri).search_experiments()}
    assert names == {"Default", *(str(process.pid) for process in processes)}
    assert sorted(path.name for path in database_file(uri).parent.iterdir()) == ["mlflow.db", "mlflow.lock"]


def test_an_interrupted_creation_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    """A process killed while it creates the schema leaves no file under the right name; the next one creates it whole."""
    uri = tracking_uri("gcp", Settings(home=tmp_path))
    unfinished = database_file(uri).parent / ".new-killed" / "mlflow.db"
    unfinished.parent.mkdir(parents=True)
    with sqlite3.connect(unfinished) as connection:
        connection.execute("create table experiments (experiment_id integer)")
    ensure_database(uri)
    assert [experiment.name for experiment in open_client(uri).search_experiments()] == ["Default"]


def test_each_cloud_has_its_own_database(tmp_path: Path) -> None:
    """One cloud's outage takes no other cloud's tracking along: the files lie in the clouds' own folders."""
    settings = Settings(home=tmp_path)
    files = {cloud: database_file(tracking_uri(cloud, settings)) for cloud in ("aws", "gcp", "azure")}
    assert all(file == settings.clouds_folder.resolve() / cloud / "mlflow/mlflow.db" for cloud, file in files.items())
