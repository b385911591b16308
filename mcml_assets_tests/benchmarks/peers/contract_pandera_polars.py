"""pandera over polars, the table in memory: seconds and processor time, without reading; rules that it finds broken."""

import json
import sys
from datetime import datetime
from time import perf_counter, process_time

import pandera.polars as pa  # pyright: ignore[reportMissingImports] - a peer
import polars as pl  # pyright: ignore[reportMissingImports] - a peer
from contract_rows import columns

types = {"whole": pl.Int64, "number": pl.Float64, "text": pl.String, "time": pl.Datetime("us")}
schema = pa.DataFrameSchema(columns(pa, types, datetime(2010, 1, 1)))
began = perf_counter()
frame = pl.read_parquet(sys.argv[1])
read = perf_counter() - began
broken = 0
began, worked = perf_counter(), process_time()
try:
    schema.validate(frame, lazy=True)
except pa.errors.SchemaErrors as error:
    broken = len(error.schema_errors)
took = {"seconds": perf_counter() - began, "processor": process_time() - worked}
print(json.dumps({**took, "read": read, "broken": broken}))  # noqa: T201 - the answer
