"""The reference of a model: sketches of what it learnt from and of its own scores, as one JSON file beside it.

It is all that drift ever needs of the training data. Which file of a package it is, `serving/package.py` knows. Imports
numpy and pyarrow: import it inside functions.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mcml_assets.domain.errors import CorruptSnapshot
from mcml_assets.drift.grid import numeric_reference, reference_sketch
from mcml_assets.drift.sketch import CategorySketch, NumericSketch, Sketch, numbers

if TYPE_CHECKING:
    import pandas as pd

REFERENCE_FORMAT = 1
PREDICTIONS = "predictions"


@dataclass(frozen=True, slots=True)
class Reference:
    """Sketches by feature, in the model's order, and that of the predictions (probabilities of class 1).

    `features` are of the rows the model learnt from, `predictions` of the held-out ones: about the rows it learnt from a
    model is surer than it will ever be again.
    """

    features: Mapping[str, Sketch]
    predictions: NumericSketch


def build_reference(x_train: "pd.DataFrame", predictions: np.ndarray) -> Reference:
    """The reference of a model that learnt from `x_train` and gave `predictions`, float64 of shape (held-out rows,)."""
    columns = {name: pa.chunked_array([pa.array(x_train[name], from_pandas=True)]) for name in x_train.columns}
    return Reference(
        features={name: reference_sketch(name, column) for name, column in columns.items()},
        predictions=numeric_reference(numbers(PREDICTIONS, pa.chunked_array([predictions]))),
    )


def write_reference(reference: Reference, file: Path) -> None:
    """Write the reference as JSON: `format`, `features` (a sketch by name) and `predictions`."""
    document = {
        "format": REFERENCE_FORMAT,
        "features": {name: _document(sketch) for name, sketch in reference.features.items()},
        "predictions": _document(reference.predictions),
    }
    file.write_text(json.dumps(document, allow_nan=False) + "\n", "utf-8")


def read_reference(file: Path) -> Reference:
    """Read a reference. Raises `CorruptSnapshot` when it cannot be read, contradicts itself or has an unknown format."""
    try:
        document = json.loads(file.read_bytes())
        if document["format"] != REFERENCE_FORMAT:
            raise CorruptSnapshot(f"{file} has format {document['format']}, this version reads {REFERENCE_FORMAT}")
        features = {name: _sketch(entry) for name, entry in document["features"].items()}
        predictions = _sketch(document["predictions"])
        if not isinstance(predictions, NumericSketch):
            raise ValueError("predictions are numbers")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        # Only the kind: what the file holds may be restricted.
        raise CorruptSnapshot(f"{file} does not have the expected content: {type(error).__name__}") from None
    return Reference(features, predictions)


def _document(sketch: Sketch) -> dict[str, Any]:
    if isinstance(sketch, CategorySketch):
        return {"kind": "categories", **asdict(sketch)}
    arrays = {
        "edges": sketch.edges.tolist(),
        "counts": sketch.counts.tolist(),
        # Twelve digits are far beyond any figure's need, and half the file.
        "sums": [float(f"{value:.12g}") for value in sketch.sums.tolist()],
    }
    names = ("nulls", "nans", "negative_infinite", "positive_infinite")
    return {"kind": "numeric", **arrays, **{name: getattr(sketch, name) for name in names}}


def _sketch(document: dict[str, Any]) -> Sketch:
    """The sketch of its stored form. Raises `ValueError`, `TypeError` or `KeyError` when it is none."""
    fields = dict(document)
    kind = fields.pop("kind")
    if kind == "categories":
        sketch = CategorySketch(**{**fields, "categories": tuple(fields["categories"]), "counts": tuple(fields["counts"])})
        sound = len(sketch.categories) == len(sketch.counts) == len(set(sketch.categories))
    elif kind == "numeric":
        edges, sums = (np.array(fields.pop(name), dtype="float64") for name in ("edges", "sums"))
        sketch = NumericSketch(edges, np.array(fields.pop("counts"), dtype="int64"), sums, **fields)
        sound = bool((np.diff(edges) > 0).all()) and len(sketch.counts) == len(sums) == len(edges) + 1
    else:
        raise ValueError("unknown kind of sketch")
    if not sound:
        raise ValueError("counts that do not fit the grid")
    return sketch
