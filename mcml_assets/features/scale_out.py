"""Features past one machine: each as-of date is a task of a Ray cluster, of KubeRay's or at any other address.

What a task computes, and the bytes it gives, are `compute.py`'s: this only hands out dates. The raw tables are put into Ray's
object store once, and each machine reads them there. Imports Ray and pandas: import this module inside functions.
"""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import ray

from mcml_assets.domain.workload import Workload
from mcml_assets.features.compute import tables_as_of, write_table
from mcml_assets.features.ray_cluster import connected, got


def compute_on_ray(
    workload: Workload, tables: Mapping[str, pd.DataFrame], dates: pd.DatetimeIndex, folder: Path, address: str
) -> dict[str, Path]:
    """What `compute_features` gives, by tasks of the cluster at `address`; what a task raises is raised here, by its type."""
    with connected(address):
        stored: Any = ray.put(dict(tables))
        tasks = [_as_of.remote(workload, stored, as_of, as_of == dates[-1]) for as_of in dates]
        written: dict[str, Path] = {}
        for task in tasks:  # in the order of the dates, as the embedded engine writes them
            for path, content in got(task).items():
                written[path] = folder / path
                written[path].parent.mkdir(parents=True, exist_ok=True)
                written[path].write_bytes(content)
    return written


@ray.remote
def _as_of(workload: Workload, tables: Mapping[str, pd.DataFrame], as_of: pd.Timestamp, newest: bool) -> dict[str, bytes]:
    """One date's files, by their path in the snapshot; at most a few MB each, so that they travel as values."""
    with TemporaryDirectory() as scratch:
        return {
            path: write_table(table, Path(scratch) / path).read_bytes()
            for path, table in tables_as_of(workload, tables, as_of, newest=newest).items()
        }
