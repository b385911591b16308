"""KServe's own schema of an InferenceService, with unknown fields forbidden."""

import json
from functools import cache
from pathlib import Path
from typing import Any

SCHEMA = Path(__file__).parents[1] / "data" / "kserve_inferenceservice_v1beta1.schema.json"


def strict(schema: Any) -> Any:
    """The schema with unknown fields forbidden, as the API server prunes them: a misspelt field would do nothing."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: strict(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "type" in schema:
        closed.setdefault("additionalProperties", schema.get("x-kubernetes-preserve-unknown-fields", False))
    return closed


@cache
def inference_service_schema() -> dict[str, Any]:
    """The strict schema; it is not checked itself, which takes 6 s for one of this size."""
    return strict(json.loads(SCHEMA.read_text()))
