"""Columns and comparisons in one line, for the tests of drift."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from mcml_assets.domain.drift import DEFAULT_DRIFT, Measured
from mcml_assets.drift.compare import Comparison, compare, sketch_like, sketch_tables
from mcml_assets.drift.grid import reference_sketch
from mcml_assets.drift.measures import measure


def column(values: Any, type_: pa.DataType | None = None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, type=type_)])


def measured(reference: Any, present: Any, chance: float = 0.01) -> Measured:
    grid = reference_sketch("x", column(reference))
    return measure("x", grid, sketch_like("x", column(present), grid), chance)


def compared(reference: Mapping[str, Any], present: Mapping[str, Any]) -> Comparison:
    grids = {name: reference_sketch(name, column(values)) for name, values in reference.items()}
    table = pa.table(
        {name: values if isinstance(values, pa.ChunkedArray) else column(values) for name, values in present.items()}
    )
    sketches, problems = sketch_tables([table], grids)
    return compare(grids, sketches, DEFAULT_DRIFT, problems)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)
