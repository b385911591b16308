"""Where a cloud's MLflow database lies, how it comes into being, and how it is opened: SQLite, artifacts beside it.

What is written into it is the business of `tracking.py` (runs) and `registry.py` (model versions). MLflow is imported
inside functions.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from mcml_assets.clouds.fault_plan import planned_fault
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import TransientError
from mcml_assets.domain.faults import TRACK, FaultKind
from mcml_assets.training.model_folder import prepare_mlflow

if TYPE_CHECKING:
    from mlflow import MlflowClient

SQLITE = "sqlite:///"


def tracking_uri(cloud: str, settings: Settings) -> str:
    """The address of a cloud's tracking database and registry; its artifacts lie beside the file."""
    return f"{SQLITE}{settings.clouds_folder.resolve() / cloud / 'mlflow' / 'mlflow.db'}"


def reach_registry(location: str, settings: Settings) -> str:
    """The address of the MLflow that a location's runs use: its cloud's.

    Raises `TransientError` while it is planned that it does not answer: another cloud's models would not help this one, and
    the location itself is well.
    """
    if (fault := planned_fault(settings, FaultKind.REGISTRY_DOWN, TRACK, location)) is not None:
        raise TransientError(f"{location}: MLflow does not answer ({fault.describe()})")
    return tracking_uri(location.partition("/")[0], settings)


def ensure_database(uri: str) -> None:
    """Create a cloud's tracking database unless it exists; safe when several processes start at once.

    The schema comes from MLflow's own migrations (1.1 s; its models alone do not give all of it). It is made in
    another folder and moved when complete, so that a file under the right name always has the whole schema.
    """
    database = database_file(uri)
    if database.exists():
        return
    with locked(database):
        if database.exists():
            return
        with TemporaryDirectory(dir=database.parent, prefix=".new-") as folder:
            unfinished = Path(folder) / database.name
            open_client(f"{SQLITE}{unfinished}").search_experiments(max_results=1)
            unfinished.replace(database)


def open_client(uri: str) -> "MlflowClient":
    """A client of the tracking database and registry at `uri`, whatever MLflow's addresses in this process are."""
    prepare_mlflow()
    from mlflow import MlflowClient  # noqa: PLC0415 - 1.2 s, only when something is tracked or registered

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def database_file(uri: str) -> Path:
    """The SQLite file behind an address."""
    return Path(uri.removeprefix(SQLITE))


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """One process at a time; the kernel releases the lock of a process that dies."""
    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_name("mlflow.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
