"""Features past one machine: each as-of date is a task of a Ray cluster, of KubeRay's or at any other address.

What a task computes, and the bytes it gives, are `compute.py`'s: this only hands out dates. The raw tables are put into Ray's
object store once, and each machine reads them there. Imports Ray and pandas: import this module inside functions.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import ray
from ray.exceptions import RayTaskError

from mcml_assets.configuration.settings import PROJECT_ROOT
from mcml_assets.domain.workload import Workload
from mcml_assets.features.compute import tables_as_of, write_table


def compute_on_ray(
    workload: Workload, tables: Mapping[str, pd.DataFrame], dates: pd.DatetimeIndex, folder: Path, address: str
) -> dict[str, Path]:
    """What `compute_features` gives, by tasks of the cluster at `address` (`auto`, `ray://head:10001`, `local`).

    What a task raises is raised here, by its own type. The cluster's machines need the same image, as they load the users'
    functions from the same paths.
    """
    with _connected(address):
        stored: Any = ray.put(dict(tables))
        tasks = [_as_of.remote(workload, stored, as_of, as_of == dates[-1]) for as_of in dates]
        written: dict[str, Path] = {}
        for task in tasks:  # in the order of the dates, as the embedded engine writes them
            for path, content in _got(task).items():
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


def _got(task: Any) -> dict[str, bytes]:
    try:
        return ray.get(task)
    except RayTaskError as error:
        raise error.cause from None


def _connected(address: str) -> Any:
    """A connection that ends with the block; `local` starts a cluster of this machine, which ends with it too."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray tells its makers what it is used for otherwise
    own: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    environment = {"env_vars": {"PYTHONPATH": str(PROJECT_ROOT)}}
    return ray.init(address=address, runtime_env=environment, log_to_driver=False, **own)
