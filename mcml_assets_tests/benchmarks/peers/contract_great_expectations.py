"""Great Expectations over pandas, the table in memory: seconds and processor time of one validation of ten rules."""

import json
import sys
from datetime import datetime
from time import perf_counter, process_time

import great_expectations as gx  # pyright: ignore[reportMissingImports] - a peer
import pandas as pd
from contract_rows import KINDS, SHOPS
from great_expectations import expectations as gxe  # pyright: ignore[reportMissingImports] - a peer

frame = pd.read_parquet(sys.argv[1])
context = gx.get_context(mode="ephemeral")
batch = context.data_sources.add_pandas("rows").add_dataframe_asset("rows").add_batch_definition_whole_dataframe("rows")
between = gxe.ExpectColumnValuesToBeBetween
suite = gx.ExpectationSuite(
    name="rules",
    expectations=[
        gxe.ExpectColumnValuesToBeUnique(column="id"),
        between(column="id", min_value=0, strict_min=True),
        between(column="shop", min_value=1, max_value=SHOPS),
        between(column="age", min_value=18, max_value=150),
        between(column="quantity", min_value=0, strict_min=True),
        between(column="price", min_value=0),
        between(column="rate", min_value=1, max_value=30),
        gxe.ExpectColumnValuesToBeInSet(column="kind", value_set=KINDS),
        gxe.ExpectColumnValuesToMatchRegex(column="code", regex=r"^C\d{5}$"),
        between(column="at", min_value=datetime(2010, 1, 1)),
    ],
)
began, worked = perf_counter(), process_time()
found = batch.get_batch(batch_parameters={"dataframe": frame}).validate(suite)
took = {"seconds": perf_counter() - began, "processor": process_time() - worked}
broken = sum(not result.success for result in found.results)
print(json.dumps({**took, "broken": broken, "rules": len(found.results)}))  # noqa: T201 - the answer
