"""A model whose predictions are right and take long: nothing that a check of its answers could see."""

import time
from typing import Any

from sklearn.base import BaseEstimator, ClassifierMixin


class SlowModel(ClassifierMixin, BaseEstimator):
    """Another classifier, which thinks for `seconds` about each prediction."""

    def __init__(self, model: Any = None, seconds: float = 0.0) -> None:
        self.model = model
        self.seconds = seconds

    @property
    def classes_(self) -> Any:
        """Those of the model."""
        return self.model.classes_

    def predict_proba(self, x: Any) -> Any:
        """Probabilities of both classes, of shape (rows, 2)."""
        time.sleep(self.seconds)
        return self.model.predict_proba(x)

    def predict(self, x: Any) -> Any:
        """The likelier class of each row."""
        return self.classes_[self.predict_proba(x).argmax(axis=1)]
