"""Great Expectations over pandas: seconds and processor time of one validation of ten rules, and what it finds broken.

    python contract_great_expectations.py <one Parquet file> <form>

`verdict` asks whether each rule holds and no more, `default` is what it tells by itself, `keys` tells of each broken rule
the count and the rows by their `id`, as the platform's check does. The table is in memory when the clock starts; what
reading it took is told beside.
"""

import json
import sys
from datetime import datetime
from time import perf_counter, process_time

import great_expectations as gx  # pyright: ignore[reportMissingImports] - a peer
import pandas as pd
from contract_rows import KINDS, SHOPS
from great_expectations import expectations as gxe  # pyright: ignore[reportMissingImports] - a peer

SAMPLES = 3
FORMS = {
    "verdict": {"result_format": "BOOLEAN_ONLY"},
    "default": {},
    "keys": {"result_format": {"result_format": "COMPLETE", "unexpected_index_column_names": ["id"]}},
}
path, form = sys.argv[1:]
began = perf_counter()
frame = pd.read_parquet(path)
read = perf_counter() - began
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
found = batch.get_batch(batch_parameters={"dataframe": frame}).validate(suite, **FORMS[form])
took = {"seconds": perf_counter() - began, "processor": process_time() - worked, "read": read}
broken = {
    one.expectation_config.kwargs["column"]: {
        "count": one.result.get("unexpected_count"),
        "keys": sorted(int(row["id"]) for row in one.result.get("unexpected_index_list", ())[:SAMPLES])
        if form == "keys"
        else [],
    }
    for one in found.results
    if not one.success
}
print(json.dumps({**took, "broken": broken, "rules": len(found.results)}))  # noqa: T201 - the answer
