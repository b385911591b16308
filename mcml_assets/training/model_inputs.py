"""The table a model takes: which columns, of which types, and how a frame is brought into that form.

Training, golden predictions and the endpoint all pass through `conform`, so a model meets the same types everywhere.
Joining features and splitting rows do not belong here. Imports pandas: import this module inside functions.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from mcml_assets.domain.errors import ConfigurationError, ContractViolation
from mcml_assets.domain.topology import did_you_mean
from mcml_assets.domain.workload import Workload

NUMBER_TYPES = ("int", "uint", "float", "double", "halffloat", "bool", "decimal")
TEXT_TYPES = ("string", "large_string", "utf8")


def model_input_types(workload: Workload, columns: Iterable[str]) -> dict[str, str]:
    """The declared Arrow type of each model input, in the order of `columns`.

    An input must be a feature of one of the workload's views, because the endpoint can look up nothing else; it
    must not be the entity's key or personal data, because inputs are written to MLflow and to the package.
    Raises `ConfigurationError` for a column that is neither, or whose type no model can take.
    """
    declared = {name: type_ for view in workload.features.views for name, type_ in view.features.items()}
    where = f"{workload.name}: {workload.features.function}"
    forbidden = {workload.features.entity.key, *workload.personal_columns}
    inputs: dict[str, str] = {}
    for column in columns:
        if column in forbidden:
            raise ConfigurationError(f"{where} gives column {column!r} to the model, but it identifies people: leave it out")
        if column not in declared:
            raise ConfigurationError(
                f"{where} gives the model column {column!r}, which no view declares{did_you_mean(column, declared)}"
            )
        if not declared[column].startswith(NUMBER_TYPES + TEXT_TYPES):
            raise ConfigurationError(
                f"{where}: feature {column!r} has type {declared[column]}; a model takes numbers, booleans and strings"
                " (turn a time into a number of days)"
            )
        inputs[column] = declared[column]
    if not inputs:
        raise ConfigurationError(f"{where} gives the model no column at all")
    return inputs


def conform(frame: pd.DataFrame, inputs: Mapping[str, str]) -> pd.DataFrame:
    """The frame as the model takes it: exactly the columns of `inputs`, in their order, missing values as NaN.

    Numbers and booleans become float64, so that one missing value does not change a column's type between training
    and serving; strings become objects. Rows and index stay as they are.
    Raises `ContractViolation` when a column is missing or does not hold what its type says.
    """
    missing = [name for name in inputs if name not in frame.columns]
    if missing:
        raise ContractViolation(f"the model needs column(s) {missing}; the table has {list(frame.columns)}")
    columns = {}
    for name, type_ in inputs.items():
        column = frame[name]
        if type_.startswith(TEXT_TYPES):
            columns[name] = column.astype(object).where(column.notna(), np.nan)
            continue
        try:
            columns[name] = column.astype("float64")
        except (TypeError, ValueError):
            # The cause would quote the value, which may be restricted.
            raise ContractViolation(
                f"model input {name!r} should be {type_}, but holds values of type {column.dtype} that are not numbers"
            ) from None
    return pd.DataFrame(columns, index=frame.index)


def permuted_sample(x: pd.DataFrame, rows: int, seed: int = 0) -> pd.DataFrame:
    """At most `rows` rows in which every column is shuffled by itself: each value is real, no row is a person's.

    Examples stored beside a model travel to every location and into MLflow; they need plausible values, never
    somebody's record. Raises `ConfigurationError` for fewer than two rows, where shuffling would hide nothing.
    """
    if len(x) < 2:
        raise ConfigurationError(f"examples are made from at least 2 rows, got {len(x)}")
    generator = np.random.default_rng(seed)
    columns = {name: x[name].to_numpy()[generator.permutation(len(x))][:rows] for name in x.columns}
    return pd.DataFrame(columns).astype(x.dtypes.to_dict())
