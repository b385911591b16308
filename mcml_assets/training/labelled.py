"""Labelled rows for training: the user's targets, joined with the features as they were at each target's time.

Imports pandas: import it inside functions. Splitting and fitting are `candidate.py`'s business.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from mcml_assets.configuration.user_code import load_function
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.workload import Workload
from mcml_assets.features.compute import as_of_index
from mcml_assets.features.feast_store import historical
from mcml_assets.features.repositories import FeastRepository
from mcml_assets.features.tables import read_tables


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """Rows matched by position: model inputs, labels (0 or 1), whom they belong to, and as of when they are."""

    x: pd.DataFrame
    y: pd.Series
    entities: pd.Series
    times: pd.Series


def labelled_rows(workload: Workload, raw_folder: Path, watermark: datetime, repository: FeastRepository) -> LabelledRows:
    """Call the user's `target` on the raw tables in `raw_folder` and join the features of `repository` as of each label.

    Join keys are no inputs: they name somebody. Raises `ConfigurationError` when `target` returns something else than
    it should, or there is nothing labelled yet.
    """
    tables = read_tables(workload, raw_folder)
    target = load_function(workload.training.target)
    labels = _labels(workload, target(tables, as_of_index(workload, tables, watermark)))
    joined = historical(repository, labels)
    return LabelledRows(
        x=joined.loc[:, input_columns(workload)],
        y=joined.loc[:, "target"],
        entities=joined.loc[:, workload.features.entity.key],
        times=joined.loc[:, "event_timestamp"],
    )


def input_columns(workload: Workload) -> list[str]:
    """The model's inputs in order: every feature of every view, except those that only lead to another view."""
    keys = {view.join_key for view in workload.features.views}
    return [name for view in workload.features.views for name in view.features if name not in keys]


def _labels(workload: Workload, labels: object) -> pd.DataFrame:
    where = f"{workload.name}: {workload.training.target}"
    if not isinstance(labels, pd.DataFrame):
        raise ConfigurationError(f"{where} must return a DataFrame, not {type(labels).__name__}")
    wanted = {
        *(view.join_key for view in workload.features.views if view.join_key_from is None),
        workload.features.entity.key, "event_timestamp", "target",
    }  # fmt: skip
    if missing := sorted(wanted - set(labels.columns)):
        raise ConfigurationError(f"{where} must return the columns {sorted(wanted)}; {missing} are missing")
    if labels.empty:
        raise ConfigurationError(
            f"{where} returned no labelled row; the data may be shorter than the horizon of "
            f"{workload.training.horizon_days} days"
        )
    return labels
