"""What a verdict follows from besides the data: a digest of the contract's code, of what is declared, and of this engine."""

import json
from hashlib import sha256

from mcml_assets.domain.workload import Workload

# Counts up when the engine would answer otherwise about the same data and contract.
ENGINE = 1


def judgement_digest(workload: Workload, raw_watermark: str | None) -> str:
    """Another contract, other views, another declaration of what may be told: another digest."""
    functions = [workload.contract, *([workload.features.contract] if workload.features.contract else [])]
    declared = {
        "engine": ENGINE,
        "version": workload.contract_version,
        "functions": [f"{function}" for function in functions],
        "code": [sha256(function.file.read_bytes()).hexdigest() for function in functions],
        "sources": {source.name: dict(source.columns) for source in workload.sources},
        "views": {view.name: [view.join_key, view.join_key_type, dict(view.features)] for view in workload.features.views},
        "unshown": [*workload.unshown_columns, *workload.unshown_features],
        "raw_watermark": raw_watermark,
    }
    return sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest()
