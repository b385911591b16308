"""What a request about entities and its answer look like, in the terms of the Open Inference Protocol v2. Pure.

The model server holds requests to it, and the edge's description tells callers.
"""

OUTPUT = "score"
MAX_ENTITIES = 1000
DATATYPES = {"int64": "INT64", "int32": "INT64", "string": "BYTES"}
INT64_LIMIT = 2**63
