"""Promises of tracking: every training leaves a complete, ended MLflow run that names nobody."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance, DagsterRun
from mlflow.entities import Run

from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.workload import Classification, Workload
from mcml_assets.training.candidate import Candidate, train_candidate
from mcml_assets.training.judgement import judge
from mcml_assets.training.tracking import log_candidate, tracked_run
from mcml_assets.training.tracking_database import database_file, open_client
from mcml_assets_tests.training.synthetic import PLANTED, make_rows, make_workload

SNAPSHOTS = {"raw_data": "a" * 64, "feature_snapshot": "b" * 64}
OPEN_AND_DIE = """
import os, sys
from pathlib import Path
from dagster import DagsterInstance, DagsterRun
from mcml_assets.training.tracking import tracked_run
from mcml_assets_tests.training.synthetic import make_workload
run = tracked_run(sys.argv[1], workload=make_workload(Path(sys.argv[2])), jurisdiction="killed", location="aws/eu-west-2",
                  tags={}, dagster_run=DagsterRun(job_name="job"), instance=DagsterInstance.ephemeral())
print(run.__enter__().run_id, flush=True)
os._exit(9)
"""


def open_run(uri: str, workload: Workload, dagster_run_id: str = "dagster-1", jurisdiction: str = "UK") -> Any:
    return tracked_run(
        uri,
        workload=workload,
        jurisdiction=jurisdiction,
        location="aws/eu-west-2",
        tags={"mcml.version": "3"},
        dagster_run=DagsterRun(job_name="training", run_id=dagster_run_id),
        instance=DagsterInstance.ephemeral(),
    )


def train_and_log(uri: str, workload: Workload, jurisdiction: str = "UK") -> tuple[Run, Candidate]:
    rows = make_rows()
    with open_run(uri, workload, jurisdiction=jurisdiction) as run:
        candidate = train_candidate(workload, rows.x, rows.y, entities=rows.entities, times=rows.times)
        log_candidate(run, candidate, workload=workload, snapshots=SNAPSHOTS, quality=judge(workload, candidate, None))
    return open_client(uri).get_run(run.run_id), candidate


def statuses(uri: str, experiment: str) -> list[str]:
    client = open_client(uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return [run.info.status for run in client.search_runs([found.experiment_id])]


def logged_model(uri: str, run: Run) -> Path:
    """The folder of the one model a run logged."""
    assert run.outputs is not None
    (output,) = run.outputs.model_outputs
    return Path(open_client(uri).get_logged_model(output.model_id).artifact_location.removeprefix("file://"))


def texts(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_training_is_logged_completely(mlflow_uri: str, tmp_path: Path) -> None:
    """Metrics with intervals, the baseline, parameters, snapshot ids, the Dagster run, plots and the model are all there."""
    run, candidate = train_and_log(mlflow_uri, make_workload(tmp_path))
    improvement = candidate.evaluation.improvement["roc_auc"]
    assert run.info.status == "FINISHED"
    assert run.data.metrics["improvement.roc_auc.low"] == pytest.approx(improvement.low)
    assert run.data.metrics["baseline.roc_auc"] == 0.5
    assert run.data.params["model.logisticregression__max_iter"] == "500"
    expected = {
        "mcml.workload": "shop",
        "mcml.jurisdiction": "UK",
        "mcml.location": "aws/eu-west-2",
        "mcml.version": "3",
        "mcml.gate": "passed",
        "mcml.snapshot.raw_data": "a" * 64,
        "mcml.snapshot.feature_snapshot": "b" * 64,
        "dagster_run_id": "dagster-1",
    }
    assert run.data.tags.items() >= expected.items()
    client = open_client(mlflow_uri)
    plots = {artifact.path for artifact in client.list_artifacts(run.info.run_id, "plots")}
    assert plots == {"plots/roc_curve.png", "plots/calibration.png", "plots/feature_histograms.png"}
    assert str(run.info.artifact_uri).startswith((database_file(mlflow_uri).parent / "artifacts").as_uri())


def test_the_logged_model_can_be_loaded_with_signature_and_example(mlflow_uri: str, tmp_path: Path) -> None:
    """The model in MLflow gives the same scores, tells its inputs, and its example is five shuffled rows."""
    from mlflow.models import get_model_info
    from mlflow.sklearn import load_model

    run, candidate = train_and_log(mlflow_uri, make_workload(tmp_path))
    folder = str(logged_model(mlflow_uri, run))
    info = get_model_info(folder)
    assert info.signature is not None
    assert info.signature.inputs.input_names() == ["visits", "spent", "city"]
    assert info.saved_input_example_info is not None
    loaded: Any = load_model(folder)
    assert (loaded.predict_proba(candidate.x_test)[:, 1] == candidate.scores).all()


def test_no_personal_value_reaches_mlflow(mlflow_uri: str, tmp_path: Path) -> None:
    """Neither database nor artifacts hold a customer's number or a customer's row, in text or in a model's pickle."""
    run, candidate = train_and_log(mlflow_uri, make_workload(tmp_path))
    folder = database_file(mlflow_uri).parent
    stored = texts(folder)
    assert any(path.name == "input_example.json" for path in stored)
    personal = [str(PLANTED + number).encode() for number in range(150)]
    personal += [(PLANTED + number).to_bytes(8, "little") for number in range(150)]
    assert [path for path, content in stored.items() if any(value in content for value in personal)] == []
    rows = {tuple(row) for row in candidate.x_test.itertuples(index=False)}
    from mlflow.models import Model

    model = logged_model(mlflow_uri, run)
    example: Any = Model.load(str(model)).load_input_example(str(model))
    assert len(example) == 5
    assert rows.isdisjoint(tuple(row) for row in example.itertuples(index=False))


def test_a_restricted_workload_leaves_no_example_at_all(mlflow_uri: str, tmp_path: Path) -> None:
    """Restricted values never appear in MLflow: the model has a signature and no example."""
    run, _ = train_and_log(mlflow_uri, make_workload(tmp_path, classification=Classification.RESTRICTED))
    files = {path.name for path in logged_model(mlflow_uri, run).iterdir()}
    assert "MLmodel" in files
    assert not any("example" in name for name in files)


def test_a_training_that_raises_ends_its_run_as_failed(mlflow_uri: str, tmp_path: Path) -> None:
    """The error reaches the caller unchanged and the MLflow run does not stay RUNNING."""
    workload = make_workload(tmp_path, "def train(x, y):\n    raise ValueError('no')\n")
    with pytest.raises(ConfigurationError, match=r"train\.py:2"):
        train_and_log(mlflow_uri, workload, jurisdiction="fails")
    assert statuses(mlflow_uri, "shop.fails") == ["FAILED"]


def test_an_interrupted_training_ends_its_run_as_killed(mlflow_uri: str, tmp_path: Path) -> None:
    """Ctrl-C, or Dagster terminating the run, is told apart from a failure."""
    workload = make_workload(tmp_path, "def train(x, y):\n    raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        train_and_log(mlflow_uri, workload, jurisdiction="interrupted")
    assert statuses(mlflow_uri, "shop.interrupted") == ["KILLED"]


def test_a_repeated_training_is_a_run_of_its_own(mlflow_uri: str, tmp_path: Path) -> None:
    """A retry within one Dagster run does not write into the failed attempt."""
    workload = make_workload(tmp_path)
    with open_run(mlflow_uri, workload, "dagster-2") as first:
        first.mlflow.log_param("estimator", "first")
    with open_run(mlflow_uri, workload, "dagster-2") as second:
        second.mlflow.log_param("estimator", "second")
    assert first.run_id != second.run_id


def test_a_killed_process_does_not_leave_its_run_running(mlflow_uri: str, tmp_path: Path) -> None:
    """The next training ends the run of a process that died, and leaves a living process's run alone."""
    command = [sys.executable, "-c", OPEN_AND_DIE, mlflow_uri, str(tmp_path)]
    killed = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert killed.returncode == 9
    client = open_client(mlflow_uri)
    assert client.get_run(killed.stdout.strip()).info.status == "RUNNING"
    living = client.create_run(client.get_run(killed.stdout.strip()).info.experiment_id).info.run_id
    with open_run(mlflow_uri, make_workload(tmp_path), jurisdiction="killed"):
        assert client.get_run(killed.stdout.strip()).info.status == "FAILED"
    assert client.get_run(living).info.status == "RUNNING"
