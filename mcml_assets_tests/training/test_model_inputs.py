"""Promises of the table a model takes: the same types everywhere, and examples that are nobody's."""

import numpy as np
import pandas as pd
import pytest

from mcml_assets.domain.errors import ConfigurationError, ContractViolation
from mcml_assets.training.model_inputs import conform, permuted_sample

INPUTS = {"visits": "int64", "city": "string", "member": "bool"}


def test_a_missing_value_does_not_change_a_columns_type() -> None:
    """Integers are float64 with or without a missing value, columns come in the model's order, extra ones are dropped."""
    whole = pd.DataFrame({"extra": [0, 0], "member": [True, False], "city": ["York", "Leeds"], "visits": [1, 2]})
    holes = pd.DataFrame({"member": [True, None], "city": ["York", None], "visits": [None, 2]}, dtype=object)
    for frame in (whole, holes):
        conformed = conform(frame, INPUTS)
        assert list(conformed.columns) == list(INPUTS)
        assert [str(kind) for kind in conformed.dtypes] == ["float64", "object", "float64"]
    assert np.isnan(conform(holes, INPUTS)["city"].iloc[1])


def test_a_wrong_value_is_named_by_column_and_not_quoted() -> None:
    """Text where a number belongs names the input; the value, perhaps a person's, is not in the message."""
    frame = pd.DataFrame({"visits": ["Jane Doe"], "city": ["York"], "member": [True]})
    with pytest.raises(ContractViolation, match="'visits' should be int64") as error:
        conform(frame, INPUTS)
    assert "Jane" not in str(error.value)
    with pytest.raises(ContractViolation, match=r"needs column\(s\) \['member'\]"):
        conform(frame.drop(columns="member"), INPUTS)


def test_examples_are_no_rows_of_the_data() -> None:
    """Columns are shuffled by themselves: every value is real, yet where all columns are unique no row is."""
    x = pd.DataFrame({name: np.arange(200.0) for name in ("a", "b", "c")})
    example = permuted_sample(x, 16)
    assert len(example) == 16
    rows = list(example.itertuples(index=False, name=None))
    assert all(value in range(200) for row in rows for value in row)
    assert all(len(set(row)) > 1 for row in rows)
    assert permuted_sample(x, 16).equals(example)
    with pytest.raises(ConfigurationError, match="at least 2 rows"):
        permuted_sample(x.head(1), 16)
