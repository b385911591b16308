"""Predictions for the tests of the log: rows of one writer, in order."""

from typing import Any

from mcml_assets.domain.prediction import PredictionRow, prediction_id

LOCATION = "aws/eu-west-2"


def row(sequence: int = 1, writer: str = "w1", **changed: Any) -> PredictionRow:
    fields: dict[str, Any] = {
        "prediction_id": prediction_id(1_700_000_000_000 + sequence, bytes(10)),
        "item": 0,
        "time": f"2023-11-14T22:13:20.{sequence:06d}+00:00",
        "workload": "shop",
        "jurisdiction": "UK",
        "location": LOCATION,
        "caller": "till-7",
        "route_epoch": 1,
        "model_version": 2,
        "model_digest": "a" * 64,
        "feature_snapshot": "b" * 64,
        "inputs": "kept",
        "entity": "17850",
        "features": '{"visits":7}',
        "score": 0.25,
        "writer": writer,
        "sequence": sequence,
    }
    return PredictionRow(**fields | changed)


def rows(first: int, last: int, writer: str = "w1") -> list[PredictionRow]:
    return [row(sequence, writer) for sequence in range(first, last + 1)]
