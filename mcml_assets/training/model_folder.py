"""How a model is written in MLflow's format, the same for a tracked run and for a package.

The format is pickle: it is the one every scikit-learn estimator supports, and a package's bytes are verified by digest
before they are read. Where the folder goes, and what else lies beside it, is not decided here. MLflow is imported
inside functions.
"""

import logging
import os
import pickle
import sys
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcml_assets.domain.errors import ModelRejected
from mcml_assets.domain.workload import Workload

if TYPE_CHECKING:
    import pandas as pd


def prepare_mlflow() -> None:
    """Call before MLflow's first import in a process: it shall not send usage data, nor warn about our choices."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    # It warns on every save that pickles run code when read; we chose them, and verify digests first.
    logging.getLogger("mlflow.sklearn").setLevel(logging.ERROR)
    # Database migrations of a new tracking database are not news.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)


def model_arguments(model: Any, x: "pd.DataFrame", example: "pd.DataFrame | None") -> dict[str, Any]:
    """What `mlflow.sklearn.save_model` and `log_model` are told; the signature is inferred from `x`, which is not kept.

    Requirements are given explicitly: to guess them, MLflow spends half a minute loading the model in another process.
    """
    from mlflow.models import infer_signature  # noqa: PLC0415 - 1.5 s, only when a model is written

    return {
        "sk_model": model,
        "serialization_format": "pickle",
        "signature": infer_signature(x, model.predict_proba(x.head(2))),
        "input_example": example,
        "pip_requirements": [f"{name}=={version(name)}" for name in ("mlflow", "scikit-learn", "pandas", "numpy")],
        "pyfunc_predict_fn": "predict_proba",
    }


def portable_pickle(model: Any, workload: Workload) -> bytes:
    """The model's pickle; `ModelRejected` unless it can be read wherever the same libraries are installed.

    A class or function of the workload's own files is pickled by name, and other locations do not have that name.
    """
    where = f"{workload.name}: {workload.training.train} returned a model that"
    try:
        pickled = pickle.dumps(model)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise ModelRejected(
            f"{where} cannot be pickled ({error}): build it from classes and functions of installed libraries only"
        ) from error
    reader = _RecordingUnpickler(pickled)
    reader.load()
    own = sorted(module for module in reader.modules if _is_own(module, workload.directory))
    if own:
        raise ModelRejected(
            f"{where} needs module {', '.join(own)} to be read, which other locations do not have: "
            "build it from classes and functions of installed libraries only"
        )
    return pickled


class _RecordingUnpickler(pickle.Unpickler):
    """Reads a pickle made in this process a moment ago, and notes which modules it names."""

    def __init__(self, pickled: bytes) -> None:
        super().__init__(BytesIO(pickled))
        self.modules: set[str] = set()

    def find_class(self, module_name: str, global_name: str) -> Any:
        self.modules.add(module_name)
        return super().find_class(module_name, global_name)


def _is_own(module: str, directory: Path) -> bool:
    file = getattr(sys.modules.get(module), "__file__", None)
    return module == "__main__" or (file is not None and Path(file).resolve().is_relative_to(directory.resolve()))
