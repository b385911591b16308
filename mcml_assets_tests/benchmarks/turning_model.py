"""A model that answers wrongly from the moment on when a file appears: damage that no check before its start can see."""

from pathlib import Path
from typing import Any

from sklearn.base import BaseEstimator, ClassifierMixin


class TurningModel(ClassifierMixin, BaseEstimator):
    """Another classifier, until the file `turned` is there; from then on it says the opposite."""

    def __init__(self, model: Any = None, turned: str = "") -> None:
        self.model = model
        self.turned = turned

    @property
    def classes_(self) -> Any:
        """Those of the model."""
        return self.model.classes_

    def predict_proba(self, x: Any) -> Any:
        """Probabilities of both classes, of shape (rows, 2)."""
        given = self.model.predict_proba(x)
        return given[:, ::-1] if Path(self.turned).exists() else given

    def predict(self, x: Any) -> Any:
        """The likelier class of each row."""
        return self.classes_[self.predict_proba(x).argmax(axis=1)]
