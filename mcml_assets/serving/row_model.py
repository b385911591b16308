"""What a server without features of its own answers: the scores of the rows that a gateway sends. Imports kserve: import late.

It runs on a platform elsewhere. Who is asked about, and the record of the answer, are the gateway's business.
"""

import math
import uuid
from typing import Any

import pandas as pd
from kserve import InferOutput, InferRequest, InferResponse, Model

from mcml_assets.domain.errors import ContractViolation
from mcml_assets.serving.interface import MAX_ENTITIES, OUTPUT
from mcml_assets.serving.problem import INVALID_REQUEST, Problem
from mcml_assets.serving.row_tensors import are_rows_of, datatype
from mcml_assets.serving.served import Refusal, Served
from mcml_assets.serving.server_metrics import ServerMetrics
from mcml_assets.serving.tracing import Tracing


class RowModel(Model):
    """Scores rows: one input tensor per model input, one output tensor of scores (FP64, probability of class 1)."""

    def __init__(self, served: Served, metrics: ServerMetrics, tracing: Tracing) -> None:
        super().__init__(served.package.description.workload)
        self.served, self.metrics, self.tracing = served, metrics, tracing
        self.inputs = served.package.schema.model_inputs
        self.ready = True

    def get_input_types(self) -> list[dict[str, Any]]:
        """The inputs, for the protocol's model metadata."""
        return [{"name": name, "datatype": datatype(type_), "shape": [-1]} for name, type_ in self.inputs.items()]

    def get_output_types(self) -> list[dict[str, Any]]:
        """The one output, for the protocol's model metadata."""
        return [{"name": OUTPUT, "datatype": "FP64", "shape": [-1]}]

    async def predict(self, payload: object, headers: dict[str, str] | None = None) -> InferResponse:  # pyright: ignore[reportIncompatibleMethodOverride] - KServe leaves predict to subclasses
        """The scores of the request's rows. Raises `Refusal`."""
        if not isinstance(payload, InferRequest) or not are_rows_of(payload.inputs, self.inputs, MAX_ENTITIES):
            raise Refusal(self.invalid(self.what_is_right()))
        with self.tracing.step("model"), self.metrics.predict_seconds.time():
            rows = pd.DataFrame({tensor.name: pd.Series(tensor.data, dtype=object) for tensor in payload.inputs})
            try:
                scores: list[float] = self.served.scores(rows).tolist()
            except ContractViolation:
                raise Refusal(self.invalid(self.what_is_right())) from None
        if not all(map(math.isfinite, scores)):
            raise Refusal(Problem(500, detail="the model gave a score that is no number"))
        version = self.served.package.description.version
        return InferResponse(
            response_id=payload.id or uuid.uuid4().hex,
            model_name=self.name,
            model_version=str(version),
            infer_outputs=[InferOutput(OUTPUT, [len(scores)], "FP64", data=scores)],
            parameters={"model_version": version, "location": self.served.location, "digest": self.served.digest},
        )

    def invalid(self, detail: str) -> Problem:
        """The problem of a request that is not as the protocol and this model want it."""
        return Problem(400, INVALID_REQUEST, detail)

    def what_is_right(self) -> str:
        """The sentence that tells a gateway how to ask."""
        wanted = ", ".join(f"{name} {datatype(type_)}" for name, type_ in self.inputs.items())
        return (
            "the body must be JSON of the Open Inference Protocol v2 with one input tensor of shape [n] for each model input, "
            f"in this order, null for a missing value, 1 to {MAX_ENTITIES} rows: {wanted}"
        )
