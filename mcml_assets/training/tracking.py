"""Tracking trainings in MLflow, through dagster-mlflow, so that an MLflow run carries the Dagster run's id.

A training is a run of the experiment `<workload>.<jurisdiction>` in the cloud where it happens. No personal column, no
entity and no real row reaches MLflow. Training itself, packages and the registry belong elsewhere.
MLflow keeps its tracking address per process: track one training at a time in a process. Imports pandas: import this
module inside functions; MLflow and dagster-mlflow are imported inside functions of it.
"""

import socket
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import psutil

from mcml_assets.domain.workload import Classification, Workload
from mcml_assets.training.candidate import Candidate
from mcml_assets.training.evaluate import Estimate
from mcml_assets.training.judgement import Quality
from mcml_assets.training.model_folder import model_arguments
from mcml_assets.training.model_inputs import permuted_sample
from mcml_assets.training.plots import plots
from mcml_assets.training.tracking_database import database_file, ensure_database, locked, open_client

if TYPE_CHECKING:
    from dagster import DagsterInstance, DagsterRun
    from mlflow import MlflowClient

PROCESS_TAG = "mcml.process"
EXAMPLE_ROWS = 5


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """An open MLflow run; `mlflow` is dagster-mlflow's resource, bound to it."""

    run_id: str
    experiment: str
    tracking_uri: str
    mlflow: Any


@contextmanager
def tracked_run(
    uri: str,
    *,
    workload: Workload,
    jurisdiction: str,
    location: str,
    tags: Mapping[str, str],
    dagster_run: "DagsterRun",
    instance: "DagsterInstance",
) -> Iterator[TrackedRun]:
    """Open an MLflow run for one training and end it: FINISHED, FAILED when the body raises, KILLED when interrupted.

    `dagster_run` and `instance` are those of the run that trains; the run's id becomes a tag. Runs that a killed
    process left open on this machine are ended first, as FAILED. Each call is a new MLflow run, also within one Dagster
    run.
    """
    ensure_database(uri)
    client = open_client(uri)
    experiment = f"{workload.name}.{jurisdiction}"
    experiment_id = _experiment(client, uri, experiment)
    _end_abandoned_runs(client, experiment_id)
    all_tags = {
        "mcml.workload": workload.name,
        "mcml.jurisdiction": jurisdiction,
        "mcml.location": location,
        PROCESS_TAG: _this_process(),
        **tags,
    }
    run_id = client.create_run(experiment_id, tags=all_tags, run_name=f"{workload.name} {location}").info.run_id
    status = "FINISHED"
    try:
        with ExitStack() as stack:
            mlflow = _dagster_mlflow(stack, uri, experiment, run_id, dagster_run, instance)
            yield TrackedRun(run_id, experiment, uri, mlflow)
    except BaseException as error:
        # Interruptions are no Exception: Ctrl-C, and Dagster's own when a person terminates the run.
        status = "FAILED" if isinstance(error, Exception) else "KILLED"
        raise
    finally:
        _end(client, run_id, status)


def log_candidate(
    run: TrackedRun, candidate: Candidate, *, workload: Workload, snapshots: Mapping[str, str], quality: Quality
) -> dict[str, bytes]:
    """Log a judged candidate to an open run; returns its plots (PNG by name), which asset metadata shows too.

    Logged: the estimator's parameters, every metric with its interval, baseline and improvement, snapshot ids and the
    gate's decision as tags, plots, and the model with signature. Its input example is shuffled column by column and so
    no person's row; a restricted workload's example is left out altogether.
    """
    from mlflow.sklearn import log_model  # noqa: PLC0415 - 1.5 s, only when something is tracked

    mlflow = run.mlflow
    mlflow.log_params(_params(workload, candidate))
    mlflow.log_metrics(_metrics(candidate) | _judged(quality))
    decision = quality.decision
    mlflow.set_tags(
        {
            "mcml.gate": "passed" if decision.passed else "failed",
            "mcml.gate_reason": decision.reason,
            **{f"mcml.snapshot.{asset}": snapshot for asset, snapshot in snapshots.items()},
        }
    )
    drawn = plots(candidate, quality.served_calibration)
    with TemporaryDirectory() as folder:
        for name, png in drawn.items():
            (Path(folder) / f"{name}.png").write_bytes(png)
        mlflow.log_artifacts(folder, "plots")
    restricted = workload.classification is Classification.RESTRICTED
    example = permuted_sample(candidate.x_test, EXAMPLE_ROWS)
    log_model(name="model", **model_arguments(candidate.model, candidate.x_test, None if restricted else example))
    return drawn


def _dagster_mlflow(
    stack: ExitStack, uri: str, experiment: str, run_id: str, dagster_run: "DagsterRun", instance: "DagsterInstance"
) -> Any:
    """dagster-mlflow's resource, bound to the MLflow run until `stack` closes."""
    import dagster as dg  # noqa: PLC0415 - candidates are judged without Dagster too

    config = {
        "experiment_name": experiment,
        "mlflow_tracking_uri": uri,
        "mlflow_run_id": run_id,
        "env": {},
        "extra_tags": {},
    }
    with warnings.catch_warnings():
        # The integration is beta and calls what Dagster deprecates; we pin both, and a run's reader can do nothing.
        warnings.simplefilter("ignore", dg.BetaWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        from dagster_mlflow import mlflow_tracking  # noqa: PLC0415 - imports MLflow, 1.5 s

        resources = {"mlflow": mlflow_tracking.configured(config)}
        built = stack.enter_context(dg.build_resources(resources, instance=instance, dagster_run=dagster_run))
        return built.mlflow


def _params(workload: Workload, candidate: Candidate) -> dict[str, Any]:
    """The estimator's settings (plain values only, as objects print their whole content) and how rows were split."""
    settings = candidate.model.get_params() if hasattr(candidate.model, "get_params") else {}
    plain = {name: value for name, value in settings.items() if isinstance(value, str | int | float | None)}
    return {
        "estimator": type(candidate.model).__name__,
        "train_function": str(workload.training.train),
        "horizon_days": workload.training.horizon_days,
        "test_share": workload.training.test_share,
        "first_test_time": candidate.split.first_test_time.isoformat(),
        **{f"model.{name}": value for name, value in plain.items()},
    }


def _metrics(candidate: Candidate) -> dict[str, float]:
    evaluation = candidate.evaluation
    metrics = {
        "train_rows": evaluation.train_rows,
        "test_rows": evaluation.test_rows,
        "test_entities": evaluation.test_entities,
        "test_positives": evaluation.test_positives,
        "purged_rows": candidate.split.purged,
        "prior": evaluation.prior,
        "train_seconds": candidate.seconds,
        "expected_calibration_error": evaluation.calibration.expected_error,
    }
    estimates: dict[str, Mapping[str, Estimate]] = {
        "": evaluation.candidate,
        "baseline.": evaluation.baseline,
        "improvement.": evaluation.improvement,
    }
    for prefix, by_metric in estimates.items():
        for name, estimate in by_metric.items():
            metrics |= {
                f"{prefix}{name}": estimate.value,
                f"{prefix}{name}.low": estimate.low,
                f"{prefix}{name}.high": estimate.high,
            }
    return metrics


def _judged(quality: Quality) -> dict[str, float]:
    """What the judgements rest on beside the metrics; a segment's name may tell of people, and stays out."""
    metrics = {"calibration_error_by_chance": quality.calibration_by_chance}
    if quality.over_served is not None:
        found = quality.over_served
        metrics |= {"over_served": found.value, "over_served.low": found.low, "over_served.high": found.high}
    judged = [one for one in quality.segments if one.judged]
    if judged:
        metrics |= {"segments": len(judged), "worst_segment.improvement": judged[0].improvement.value}
    return metrics


def _experiment(client: "MlflowClient", uri: str, name: str) -> str:
    """The experiment's id; created with its artifacts beside the database, not in the current folder."""
    database = database_file(uri)
    with locked(database):
        experiment = client.get_experiment_by_name(name)
        if experiment is not None:
            return experiment.experiment_id
        return client.create_experiment(name, artifact_location=(database.parent / "artifacts" / name).as_uri())


def _end(client: "MlflowClient", run_id: str, status: str) -> None:
    import mlflow  # noqa: PLC0415 - the caller imported it

    active = mlflow.active_run()
    if active is not None and active.info.run_id == run_id:
        mlflow.end_run(status)  # also takes it from MLflow's stack of active runs
    else:
        client.set_terminated(run_id, status)


def _end_abandoned_runs(client: "MlflowClient", experiment_id: str) -> None:
    for run in client.search_runs([experiment_id], "attributes.status = 'RUNNING'"):
        host, _, process = run.data.tags.get(PROCESS_TAG, "").partition("/")
        if host == socket.gethostname() and not _is_alive(process):
            client.set_terminated(run.info.run_id, "FAILED")


def _this_process() -> str:
    """`<host>/<pid>-<start time>`: a pid alone is given again to another process."""
    process = psutil.Process()
    return f"{socket.gethostname()}/{process.pid}-{process.create_time():.2f}"


def _is_alive(process: str) -> bool:
    pid, _, started = process.partition("-")
    try:
        return f"{psutil.Process(int(pid)).create_time():.2f}" == started
    except psutil.NoSuchProcess:
        return False
