"""The model package: one folder that holds a trained model and everything needed to serve and to verify it.

    package.json          what it is: workload, jurisdiction, version, snapshots it was trained on, libraries
    model/                the MLflow model folder
    golden.json           inputs with the predictions that every faithful copy must give
    feature_schema.json   what to ask of which feature view, and the model's inputs in order
    reference.json        sketches of what the model learnt from, for drift (`drift/reference.py`)

A package is written once and then copied bit for bit; its bytes are not reproducible (MLmodel holds a random id and a
time), its digest is therefore the identity of that one training. Storing packages is `snapshots/`'s business, answering
requests the endpoint's. pandas, scikit-learn and MLflow are imported inside functions.
"""

import json
import os
import pickle
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version as library_version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from mcml_assets.domain.digest import DEFAULT_DIGEST, DIGEST_ALGORITHMS, DigestAlgorithm
from mcml_assets.domain.errors import ConfigurationError, CorruptSnapshot, ModelRejected
from mcml_assets.domain.snapshot import Manifest, SnapshotFile
from mcml_assets.domain.workload import Entity, Workload
from mcml_assets.snapshots.blobs import describe
from mcml_assets.training.model_folder import model_arguments, portable_pickle, prepare_mlflow

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mcml_assets.drift.reference import Reference

    Predict: TypeAlias = Callable[[pd.DataFrame], np.ndarray]

T = TypeVar("T")

PACKAGE_FORMAT = 1
LIBRARIES = ("scikit-learn", "mlflow", "pandas")
PICKLED_MODEL = "model/model.pkl"
REFERENCE = "reference.json"
FILES = ("package.json", "golden.json", "feature_schema.json", "model/MLmodel", PICKLED_MODEL)
NO_EXTRAS = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class Description:
    """`package.json`: what the package is and where it comes from.

    `version` grows by one with each training in a jurisdiction; `snapshots` are the ids it was trained on, by asset;
    `libraries` the versions it was made with; `created_at` is ISO 8601, UTC.
    """

    workload: str
    jurisdiction: str
    version: int
    snapshots: Mapping[str, str]
    mlflow_run_id: str
    libraries: Mapping[str, str]
    created_at: str
    format: int = PACKAGE_FORMAT

    __pydantic_config__: ClassVar[ConfigDict] = NO_EXTRAS


@dataclass(frozen=True, slots=True)
class Golden:
    """`golden.json`: inputs by column (missing values are null), the scores the model gave, and the allowed difference.

    The inputs are no person's: every column was shuffled by itself.
    """

    columns: Mapping[str, tuple[float | str | None, ...]]
    predictions: tuple[float, ...]
    tolerance: float

    __pydantic_config__: ClassVar[ConfigDict] = NO_EXTRAS


@dataclass(frozen=True, slots=True)
class ServedView:
    """A feature view as the endpoint asks it; `join_key_from` names the view whose feature supplies the key."""

    name: str
    join_key: str
    join_key_type: str
    join_key_from: str | None
    features: Mapping[str, str]

    __pydantic_config__: ClassVar[ConfigDict] = NO_EXTRAS


@dataclass(frozen=True, slots=True)
class FeatureSchema:
    """`feature_schema.json`: the entity a caller names, views to ask, the model's inputs (name -> type, in order)."""

    entity: Entity
    views: tuple[ServedView, ...]
    model_inputs: Mapping[str, str]

    __pydantic_config__: ClassVar[ConfigDict] = NO_EXTRAS


@dataclass(frozen=True, slots=True)
class ModelPackage:
    """A package that was read and whose structure is sound."""

    folder: Path
    description: Description
    golden: Golden
    schema: FeatureSchema

    @property
    def name(self) -> str:
        """For messages: `online_retail/UK version 3`."""
        return f"{self.description.workload}/{self.description.jurisdiction} version {self.description.version}"


@dataclass(frozen=True, slots=True)
class GoldenResult:
    """How far answers are from the golden predictions: the largest difference, and how many were compared."""

    passed: bool
    max_difference: float
    compared: int


def write_package(
    folder: Path,
    *,
    model: Any,
    workload: Workload,
    jurisdiction: str,
    version: int,
    snapshots: Mapping[str, str],
    mlflow_run_id: str,
    x_sample: "pd.DataFrame",
    created_at: str,
    reference: "Reference | None" = None,
) -> ModelPackage:
    """Write a fitted classifier as a package into `folder`, which must not exist or be empty, and read it back.

    `x_sample` holds rows (at least 2) of the model's inputs; golden inputs are drawn from it with every column shuffled
    by itself, so that no person's record travels with the model. Golden predictions come from the model as it was
    stored, not as it was trained. Without a `reference` nothing can be said about drift. The folder appears complete
    or not at all.
    Raises `ConfigurationError` for inputs that no view declares, and `ModelRejected` for a model that cannot be
    pickled, or whose pickle needs the workload's own modules, which other locations do not have.
    """
    prepare_mlflow()
    from mlflow.sklearn import save_model  # noqa: PLC0415 - 1.5 s, only when a model is written

    from mcml_assets.drift.reference import write_reference  # noqa: PLC0415 - numpy
    from mcml_assets.training.model_inputs import conform, model_input_types, permuted_sample  # noqa: PLC0415 - pandas

    if folder.exists() and any(folder.iterdir()):
        raise ConfigurationError(f"{folder} is not empty: a model package is written once, into a folder of its own")
    schema = FeatureSchema(
        entity=workload.features.entity,
        views=tuple(
            ServedView(view.name, view.join_key, view.join_key_type, view.join_key_from, view.features)
            for view in workload.features.views
        ),
        model_inputs=model_input_types(workload, x_sample.columns),
    )
    x = conform(x_sample, schema.model_inputs)
    golden_x = permuted_sample(x, workload.serving.golden_predictions)
    description = Description(
        workload.name, jurisdiction, version, dict(snapshots), mlflow_run_id, library_versions(), created_at
    )
    partial = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        portable_pickle(model, workload)
        save_model(path=partial / "model", **model_arguments(model, x, golden_x))
        golden = Golden(
            columns={name: _json_values(golden_x.loc[:, name]) for name in golden_x.columns},
            predictions=tuple(_predictor(_unpickle(partial), schema)(golden_x).tolist()),
            tolerance=workload.serving.golden_tolerance,
        )
        for name, part in (("package", description), ("golden", golden), ("feature_schema", schema)):
            (partial / f"{name}.json").write_text(json.dumps(asdict(part), indent=2, allow_nan=False) + "\n", "utf-8")
        if reference is not None:
            write_reference(reference, partial / REFERENCE)
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return read_package(folder)


def read_package(folder: Path, *, digest: str | None = None) -> ModelPackage:
    """Read a package's description without touching the model; with `digest`, verify every byte first.

    Raises `CorruptSnapshot` when the digest differs, or a file is missing, unreadable, of an unknown format, or
    contradicts another.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise CorruptSnapshot(f"{folder} is not a model package: it lacks {', '.join(missing)}")
    if digest is not None:
        _check_digest(folder, digest)
    package = ModelPackage(
        folder=folder,
        description=_read(folder / "package.json", Description),
        golden=_read(folder / "golden.json", Golden),
        schema=_read(folder / "feature_schema.json", FeatureSchema),
    )
    if package.description.format != PACKAGE_FORMAT:
        raise CorruptSnapshot(
            f"{folder}/package.json has format {package.description.format}, this version reads {PACKAGE_FORMAT}"
        )
    golden = package.golden
    rows = {len(golden.predictions), *(len(values) for values in golden.columns.values())}
    if len(rows) != 1 or 0 in rows or set(golden.columns) != set(package.schema.model_inputs):
        raise CorruptSnapshot(f"{folder}/golden.json does not hold one value per prediction and model input")
    return package


def load_model(package: ModelPackage) -> "Predict":
    """The package's model as a function: a frame with its inputs (any order) -> scores, float64 of shape (rows,).

    A score is the probability of class 1. The pickle is read directly: `mlflow.sklearn.load_model` gives the same
    object after importing MLflow, which a server never needs. Unpickling runs code of the package: only load what was
    verified by digest.
    Raises `ModelRejected` when this scikit-learn's minor version is not the one that wrote the pickle or a library is
    missing, `CorruptSnapshot` when the pickle cannot be read. The function raises `ContractViolation` for a frame
    that lacks an input or holds text for a number.
    """
    recorded = package.description.libraries.get("scikit-learn", "none")
    installed = library_version("scikit-learn")
    if recorded.split(".")[:2] != installed.split(".")[:2]:
        raise ModelRejected(
            f"{package.name} was pickled by scikit-learn {recorded}, here is {installed}: "
            "pickles are only valid within one minor version; install that version or train again"
        )
    return _predictor(_unpickle(package.folder), package.schema)


def check_golden(package: ModelPackage, predict: "Predict") -> GoldenResult:
    """Compare the scores `predict` gives for the golden inputs with the stored ones.

    A difference is reported, not raised: another number of scores, or one that is not finite, counts as infinite. What
    `predict` itself raises passes through, for an unreachable server is not a wrong model.
    """
    import numpy as np  # noqa: PLC0415 - 0.2 s, only when a model is at hand

    expected = np.asarray(package.golden.predictions, dtype="float64")
    given = np.asarray(predict(golden_inputs(package)), dtype="float64")
    if given.shape != expected.shape or not np.isfinite(given).all():
        return GoldenResult(passed=False, max_difference=float("inf"), compared=len(expected))
    difference = float(np.abs(given - expected).max())
    return GoldenResult(difference <= package.golden.tolerance, difference, len(expected))


def golden_inputs(package: ModelPackage) -> "pd.DataFrame":
    """The golden inputs as the frame a model takes: columns in the model's order, missing values as NaN."""
    import pandas as pd  # noqa: PLC0415 - 0.6 s, only when a model is at hand

    from mcml_assets.training.model_inputs import conform  # noqa: PLC0415 - pandas

    columns = {name: list(values) for name, values in package.golden.columns.items()}
    return conform(pd.DataFrame(columns, dtype=object), package.schema.model_inputs)


def held_package_folder(location_folder: Path, workload: str, digest: str) -> Path:
    """Where this machine keeps a package that a location holds, below the location's own folder."""
    return location_folder / "models" / workload / digest[:16]


def package_files(folder: Path, algorithm: DigestAlgorithm = DEFAULT_DIGEST) -> tuple[SnapshotFile, ...]:
    """Every file of the package with its size and digest, sorted by path."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return tuple(sorted(describe(path.relative_to(folder).as_posix(), path, algorithm) for path in paths))


def package_digest(folder: Path, algorithm: DigestAlgorithm = DEFAULT_DIGEST) -> str:
    """The package's identity: the snapshot id of a manifest over all its files (no schema, no rows, no watermark)."""
    files = package_files(folder, algorithm)
    return Manifest(
        files, {}, 0, None, {}, code_version="", epoch=0, producer="", created_at="", digest_algorithm=algorithm
    ).snapshot_id


def library_versions() -> dict[str, str]:
    """The versions a model depends on: of Python, scikit-learn, MLflow and pandas."""
    return {"python": ".".join(map(str, sys.version_info[:3]))} | {name: library_version(name) for name in LIBRARIES}


def _check_digest(folder: Path, digest: str) -> None:
    # The id does not tell which algorithm its files were digested with, but says it: no package has one id by two of them.
    given: list[str] = []
    for algorithm in DIGEST_ALGORITHMS:
        found = package_digest(folder, algorithm)
        if found == digest:
            return
        given.append(f"{found} by {algorithm}")
    raise CorruptSnapshot(f"model package in {folder} should have digest {digest}, its files give {', '.join(given)}")


def _unpickle(folder: Path) -> Any:
    """The model of a package folder; `CorruptSnapshot` or `ModelRejected` when it cannot be read."""
    try:
        with (folder / PICKLED_MODEL).open("rb") as file:
            return pickle.load(file)  # noqa: S301 - the package's bytes are verified by digest before they get here
    except ImportError as error:
        raise ModelRejected(f"{folder / PICKLED_MODEL} needs module {error.name}, which is not installed") from error
    except Exception as error:
        # Damaged pickles raise nearly anything.
        raise CorruptSnapshot(f"{folder / PICKLED_MODEL} cannot be read: {type(error).__name__}: {error}") from error


def _predictor(model: Any, schema: FeatureSchema) -> "Predict":
    import numpy as np  # noqa: PLC0415 - 0.2 s, only when a model is at hand
    from threadpoolctl import ThreadpoolController  # noqa: PLC0415 - comes with scikit-learn

    from mcml_assets.training.model_inputs import conform  # noqa: PLC0415 - pandas

    # One thread per prediction: trees wake a thread per core, and where several servers share cores they wait for one
    # another (boosted trees, one row, two busy cores: p99 37 ms with threads, 10 ms without).
    threads = ThreadpoolController()

    def predict(frame: "pd.DataFrame") -> "np.ndarray":
        inputs = conform(frame, schema.model_inputs)
        with threads.limit(limits=1):
            return np.asarray(model.predict_proba(inputs)[:, 1], dtype="float64")

    return predict


def _json_values(column: "pd.Series") -> tuple[float | str | None, ...]:
    return tuple(None if missing else value for value, missing in zip(column.tolist(), column.isna(), strict=True))


@cache
def _adapter(kind: type[T]) -> TypeAdapter[T]:
    return TypeAdapter(kind)


def _read(path: Path, kind: type[T]) -> T:
    try:
        return _adapter(kind).validate_json(path.read_bytes())
    except ValidationError as error:
        # Only places and kinds: a value may be restricted.
        faults = "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'file'}: {fault['type']}" for fault in error.errors())
        raise CorruptSnapshot(f"{path} does not have the expected content: {faults}") from None
