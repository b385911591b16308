"""Evidently's PSI of every column: prints the seconds it takes, without import and data."""

import json
import sys
from time import perf_counter

import pandas as pd
from drift_columns import columns_of
from evidently import DataDefinition, Dataset, Report  # pyright: ignore[reportMissingImports] - a peer
from evidently.presets import DataDriftPreset  # pyright: ignore[reportMissingImports] - a peer

rows, columns = json.loads(sys.argv[1])
names = [f"c{index}" for index in range(columns)]
definition = DataDefinition(numerical_columns=names)
frames = [pd.DataFrame(dict(zip(names, columns_of(rows, columns, seed), strict=True))) for seed in (0, 1)]
sides = [Dataset.from_pandas(frame, data_definition=definition) for frame in frames]
report = Report([DataDriftPreset(num_method="psi", drift_share=0.5)])
began = perf_counter()
report.run(sides[1], sides[0])
print(json.dumps({"seconds": perf_counter() - began}))  # noqa: T201 - the answer
