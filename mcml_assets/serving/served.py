"""What a server answers with, and how it refuses: what every kind of model server has in common.

What each kind answers is `model_server.py`'s and `row_model.py`'s business.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcml_assets.features.online import OnlineReader
from mcml_assets.serving.package import ModelPackage
from mcml_assets.serving.prediction_log.spool import Spool
from mcml_assets.serving.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mcml_assets.serving.package import Predict


def never() -> bool:
    """Nothing was planned."""
    return False


@dataclass(frozen=True, slots=True)
class Served:
    """What one server answers with: the verified package, where it stands, its model, the features there (None where a
    gateway sends them), and the spool of its predictions (None where nobody keeps them).

    `wrong` and `features_down` say what was planned to go wrong now; with `elsewhere`, another platform computes the scores.
    """

    package: ModelPackage
    digest: str
    location: str
    predict: "Predict"
    features: OnlineReader | None
    spool: Spool | None
    wrong: Callable[[], bool] = never
    features_down: Callable[[], bool] = never
    elsewhere: bool = False

    def scores(self, rows: "pd.DataFrame") -> "np.ndarray":
        """The model's scores, a probability each; the opposite of each while it is planned that answers are wrong."""
        scores = self.predict(rows)
        return 1 - scores if self.wrong() else scores

    @property
    def labels(self) -> dict[str, str]:
        """What is served, for metrics and traces."""
        description = self.package.description
        return {
            "workload": description.workload,
            "jurisdiction": description.jurisdiction,
            "location": self.location,
            "model_version": str(description.version),
            "digest": self.digest,
        }


class Refusal(Exception):
    """An answer other than a prediction."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem
