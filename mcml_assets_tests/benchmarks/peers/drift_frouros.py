"""Frouros' PSI of every column: prints the seconds it takes, without import and data."""

import json
import sys
from time import perf_counter

from drift_columns import columns_of
from frouros.detectors.data_drift import PSI  # pyright: ignore[reportMissingImports] - a peer

rows, columns = json.loads(sys.argv[1])
then, now = columns_of(rows, columns, 0), columns_of(rows, columns, 1)
began = perf_counter()
for reference, present in zip(then, now, strict=True):
    detector = PSI()
    detector.fit(X=reference)
    detector.compare(X=present)
print(json.dumps({"seconds": perf_counter() - began}))  # noqa: T201 - the answer
