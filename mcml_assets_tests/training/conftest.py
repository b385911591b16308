"""Fixtures of the training tests: one tracking database for all of them, as creating one takes a second."""

import os
from collections.abc import Iterator

import pytest

from mcml_assets.configuration.settings import Settings
from mcml_assets.training.tracking_database import ensure_database, tracking_uri


@pytest.fixture(scope="module")
def mlflow_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a fresh tracking database; MLflow's marks on this process are removed afterwards."""
    before = {name: value for name, value in os.environ.items() if name.startswith("MLFLOW_")}
    uri = tracking_uri("aws", Settings(home=tmp_path_factory.mktemp("home")))
    ensure_database(uri)
    yield uri
    import mlflow

    mlflow.set_tracking_uri("")
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        del os.environ[name]
    os.environ.update(before)
