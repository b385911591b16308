"""alibi-detect's KS test of every column: prints the seconds it takes, without import and data."""

import json
import sys
from time import perf_counter

from alibi_detect.cd import KSDrift  # pyright: ignore[reportMissingImports] - a peer
from drift_columns import columns_of

rows, columns = json.loads(sys.argv[1])
then, now = columns_of(rows, columns, 0).T, columns_of(rows, columns, 1).T
began = perf_counter()
KSDrift(then, p_val=0.01).predict(now)
print(json.dumps({"seconds": perf_counter() - began}))  # noqa: T201 - the answer
