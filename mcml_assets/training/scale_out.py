"""Training past one machine: the fit is a task of a Ray cluster, of KubeRay's or at any other address.

How a model is fitted, the user says; what may go wrong with it is `candidate.py`'s. Labels, features and judgement stay with
who asks: what crosses are the training rows and the model's pickle. Imports Ray and pandas: import this module inside
functions.
"""

import pandas as pd
import ray

from mcml_assets.domain.workload import Workload
from mcml_assets.features.ray_cluster import connected, got
from mcml_assets.training.candidate import fit


def fit_on_ray(workload: Workload, x: pd.DataFrame, y: pd.Series, address: str) -> bytes:
    """What `candidate.fit` gives, by a task of the cluster at `address`; what the task raises is raised here, by its type."""
    with connected(address):
        return got(_fit.remote(workload, x, y))


@ray.remote
def _fit(workload: Workload, x: pd.DataFrame, y: pd.Series) -> bytes:
    """Fits on one machine of the cluster. A `train` that speaks to Ray itself finds the cluster, and may spread from here."""
    return fit(workload, x.copy(), y.copy())  # what Ray hands over is shared memory that nobody may write
