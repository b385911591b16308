"""datacompy's comparison of two tables by their key, reading included: seconds, and whether it finds them equal."""

import json
import sys
from time import perf_counter

import datacompy  # pyright: ignore[reportMissingImports] - in the environment of the peers only
import pandas as pd
import pyarrow.parquet as pq

Compare = getattr(datacompy, "PandasCompare", None) or datacompy.Compare


def main(first: str, second: str) -> None:
    began = perf_counter()
    frames: list[pd.DataFrame] = [pq.read_table(path).to_pandas() for path in (first, second)]
    equal = Compare(frames[0], frames[1], join_columns=["key"]).matches()
    print(json.dumps({"seconds": perf_counter() - began, "equal": bool(equal)}))  # noqa: T201 - the answer


if __name__ == "__main__":
    main(*sys.argv[1:])
