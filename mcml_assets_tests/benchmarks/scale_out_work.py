"""`python -m mcml_assets_tests.benchmarks.scale_out_work features 4 here <folder>`: one piece of work of `scale_out.py`.

It has a process of its own, so that its memory can be told apart. Prints one line of JSON: rows, seconds, what it took to
connect, and a digest of what was made.
"""

import json
import os
import sys
from contextlib import nullcontext
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from mcml_assets.configuration.settings import DEFS, Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.configuration.user_code import load_function
from mcml_assets.configuration.workload import load_workload
from mcml_assets.domain.workload import Workload

if TYPE_CHECKING:
    import pandas as pd

CUSTOMERS = 100_000
"""Further apart than the numbers of real customers are: each copy of the shop has customers of its own."""
TRAINED_COPIES = 10
"""What training takes of labelled rows is so much smaller than raw rows that its sizes are so much further on."""


def tables_of(workload: Workload, copies: int, folder: Path) -> "dict[str, pd.DataFrame]":
    """The real invoices of so many shops, read from Parquet as a run reads them."""
    import pandas as pd

    from mcml_assets.features.tables import read_tables

    (source,) = workload.sources
    rows = pd.read_parquet(source.path)
    (folder / source.name).mkdir(parents=True)
    for copy in range(copies):
        other = rows.assign(CustomerID=rows["CustomerID"] + copy * CUSTOMERS, InvoiceNo=rows["InvoiceNo"] + f"-{copy}")
        other.to_parquet(folder / source.name / f"{copy:04d}.parquet", index=False)
    return read_tables(workload, folder)


def features(workload: Workload, copies: int, ray: str | None, folder: Path) -> tuple[int, float, str]:
    """Features of so many shops: raw rows, seconds, and a digest of all files."""
    from mcml_assets.features.compute import compute_features

    tables = tables_of(workload, copies, folder / "raw")
    (table,) = tables.values()
    began = perf_counter()
    files = compute_features(workload, tables, _watermark(table), folder / "features", ray=ray)
    took = perf_counter() - began
    digest = sha256()
    for path, file in files.items():
        digest.update(path.encode() + file.read_bytes())
    return len(table), took, digest.hexdigest()


def training(workload: Workload, copies: int, ray: str | None, folder: Path) -> tuple[int, float, str]:
    """A fit on the labelled rows of ten times as many shops: rows, seconds, and a digest of the model's pickle."""
    import pickle

    import numpy as np
    import pandas as pd

    from mcml_assets.features.compute import as_of_index, compute_features
    from mcml_assets.training.candidate import fitted
    from mcml_assets.training.labelled import input_columns

    tables = tables_of(workload, 1, folder / "raw")
    (table,) = tables.values()
    watermark = _watermark(table)
    files = compute_features(workload, tables, watermark, folder / "features")
    known = pd.concat([pd.read_parquet(file) for file in files.values()], ignore_index=True)
    labels = load_function(workload.training.target)(tables, as_of_index(workload, tables, watermark))
    rows = labels.merge(known, on=[workload.features.entity.key, "event_timestamp"])
    many = rows.loc[np.tile(np.arange(len(rows)), copies * TRAINED_COPIES)].reset_index(drop=True)
    x, y = many.loc[:, input_columns(workload)], many["target"]
    began = perf_counter()
    model = fitted(workload, x, y, ray)
    return len(x), perf_counter() - began, sha256(pickle.dumps(model)).hexdigest()


def _watermark(table: "pd.DataFrame") -> "pd.Timestamp":
    return table["InvoiceDate"].max().ceil("D")


def main() -> None:
    """Do what the arguments name: features or training, how many copies, here or by ray, in which folder."""
    what, copies, where, folder = sys.argv[1:]
    workload = load_workload(DEFS / "online_retail" / "defs.yaml", load_topology(Settings().topology_file))
    connection, began = nullcontext(), perf_counter()
    if where == "ray":
        from mcml_assets.features.ray_cluster import LOCAL, connected

        connection = connected(LOCAL)
    connecting = perf_counter() - began
    with connection:
        work = {"features": features, "training": training}[what]
        rows, took, digest = work(workload, int(copies), "local" if where == "ray" else None, Path(folder))
    told = {"rows": rows, "seconds": took, "connecting": connecting, "digest": digest, "pid": os.getpid()}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
