"""Rows of features as tensors of the Open Inference Protocol v2: one tensor for each model input, null for a missing value.

What a gateway sends and a server without features of its own takes. Whether rows fit the model is `conform`'s business.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

NUMBER, TEXT = "FP64", "BYTES"


def datatype(arrow_type: str) -> str:
    """The tensor's datatype for a declared model input, as `conform` has it: numbers and booleans are FP64."""
    from mcml_assets.training.model_inputs import TEXT_TYPES  # noqa: PLC0415 - pandas

    return TEXT if arrow_type.startswith(TEXT_TYPES) else NUMBER


def row_tensors(rows: "pd.DataFrame", inputs: Mapping[str, str]) -> list[dict[str, Any]]:
    """The tensors of these rows. Raises `ContractViolation` as `conform` does."""
    from mcml_assets.training.model_inputs import conform  # noqa: PLC0415 - pandas

    frame = conform(rows, inputs)
    return [
        {
            "name": name,
            "datatype": datatype(arrow_type),
            "shape": [len(frame)],
            # Only a missing value differs from itself.
            "data": [None if value != value else value for value in frame[name].tolist()],
        }
        for name, arrow_type in inputs.items()
    ]


def are_rows_of(tensors: Sequence[Any], inputs: Mapping[str, str], most: int) -> bool:
    """Whether tensors (name, datatype, shape, data) are exactly the model's inputs, each with as many values, 1 to `most`."""
    if [tensor.name for tensor in tensors] != list(inputs):
        return False
    count = len(tensors[0].data) if isinstance(tensors[0].data, list) else 0
    return 1 <= count <= most and all(
        isinstance(tensor.data, list)
        and len(tensor.data) == count
        and tensor.shape in ([count], [count, 1])
        and tensor.datatype == datatype(arrow_type)
        and all(_is(value, tensor.datatype) for value in tensor.data)
        for tensor, arrow_type in zip(tensors, inputs.values(), strict=True)
    )


def _is(value: object, datatype_: str) -> bool:
    return value is None or (isinstance(value, str) if datatype_ == TEXT else type(value) in (int, float))
