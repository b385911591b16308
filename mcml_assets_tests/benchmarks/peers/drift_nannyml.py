"""NannyML's Jensen-Shannon distance of every column: prints the seconds it takes, without import and data."""

import json
import sys
from time import perf_counter

import nannyml  # pyright: ignore[reportMissingImports] - a peer
import pandas as pd
from drift_columns import columns_of

nannyml.disable_usage_logging()
rows, columns = json.loads(sys.argv[1])
names = [f"c{index}" for index in range(columns)]
then, now = (pd.DataFrame(dict(zip(names, columns_of(rows, columns, seed), strict=True))) for seed in (0, 1))
began = perf_counter()
calculator = nannyml.UnivariateDriftCalculator(column_names=names, continuous_methods=["jensen_shannon"], chunk_number=1)
calculator.fit(then)
calculator.calculate(now)
print(json.dumps({"seconds": perf_counter() - began}))  # noqa: T201 - the answer
