"""Promises of the model package: what was written can be served anywhere, and nothing else passes for it."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mcml_assets.domain.digest import DIGEST_ALGORITHMS
from mcml_assets.domain.errors import ConfigurationError, ContractViolation, CorruptSnapshot, ModelRejected
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.domain.workload import Workload
from mcml_assets.serving.package import (
    ModelPackage,
    check_golden,
    golden_inputs,
    load_model,
    package_digest,
    package_files,
    read_package,
    write_package,
)
from mcml_assets.training.candidate import Candidate, train_candidate
from mcml_assets_tests.training.synthetic import PLANTED, TRAIN, make_rows, make_workload


def candidate_of(workload: Workload, seed: int = 0) -> Candidate:
    rows = make_rows(seed=seed)
    return train_candidate(workload, rows.x, rows.y, entities=rows.entities, times=rows.times)


def write(folder: Path, workload: Workload, candidate: Candidate, model: Any = None) -> ModelPackage:
    return write_package(
        folder,
        model=candidate.model if model is None else model,
        workload=workload,
        jurisdiction="UK",
        version=4,
        snapshots={"feature_snapshot": "b" * 64},
        mlflow_run_id="c" * 32,
        x_sample=candidate.x_test,
        created_at="2024-07-01T00:00:00+00:00",
    )


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    return make_workload(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def candidate(shop: Workload) -> Candidate:
    return candidate_of(shop)


@pytest.fixture(scope="module")
def written(shop: Workload, candidate: Candidate, tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    return write(tmp_path_factory.mktemp("packages") / "package", shop, candidate)


@pytest.fixture
def copy(written: ModelPackage, tmp_path: Path) -> Path:
    return Path(copytree(written.folder, tmp_path / "copy"))


def test_a_copy_gives_exactly_the_same_scores(written: ModelPackage, candidate: Candidate, copy: Path) -> None:
    """A copied package has the same digest, passes its golden predictions with difference 0, and scores as trained."""
    package = read_package(copy, digest=package_digest(written.folder))
    predict = load_model(package)
    golden = check_golden(package, predict)
    assert (golden.passed, golden.max_difference, golden.compared) == (True, 0.0, 8)
    scores = predict(candidate.x_test)
    assert scores.dtype == np.float64
    assert np.array_equal(scores, candidate.scores)


def test_the_package_says_what_it_is(written: ModelPackage) -> None:
    """Version, origin, libraries, feature views and the model's inputs in order are read back as they were written."""
    description = written.description
    assert (description.workload, description.jurisdiction, description.version) == ("shop", "UK", 4)
    assert description.snapshots == {"feature_snapshot": "b" * 64}
    assert set(description.libraries) == {"python", "scikit-learn", "mlflow", "pandas"}
    assert list(written.schema.model_inputs.items()) == [("visits", "int64"), ("spent", "float64"), ("city", "string")]
    assert written.schema.entity.key == "customer_id"
    assert [view.name for view in written.schema.views] == ["customer"]


def test_the_digest_is_the_snapshot_id_of_the_packages_manifest(written: ModelPackage) -> None:
    """Whoever commits the folder as a snapshot gets an id equal to the digest."""
    manifest = Manifest(package_files(written.folder), {}, 0, None, {"x": "y"}, "code", 3, "aws/eu-west-2", "now")
    assert package_digest(written.folder) == manifest.snapshot_id


def test_a_package_is_known_by_its_digest_of_either_algorithm(written: ModelPackage, copy: Path) -> None:
    """What a server was told to serve before the platform's algorithm changed, it serves after; neither id passes damage."""
    identities = {algorithm: package_digest(written.folder, algorithm) for algorithm in DIGEST_ALGORITHMS}
    assert len(set(identities.values())) == len(DIGEST_ALGORITHMS)
    for identity in identities.values():
        assert read_package(copy, digest=identity).description == written.description
    (copy / "golden.json").write_text("{}")
    for algorithm, identity in identities.items():
        with pytest.raises(CorruptSnapshot, match=rf"should have digest {identity}, its files give .* by {algorithm}"):
            read_package(copy, digest=identity)


def test_one_flipped_bit_is_refused(written: ModelPackage, copy: Path) -> None:
    """With its digest given, a package damaged anywhere is refused before the model is touched."""
    digest = package_digest(written.folder)
    for file in package_files(copy):
        path = copy / file.path
        sound = path.read_bytes()
        path.write_bytes(bytes([sound[0] ^ 1]) + sound[1:])
        with pytest.raises(CorruptSnapshot, match="should have digest"):
            read_package(copy, digest=digest)
        path.write_bytes(sound)
    (copy / "model" / "extra.py").write_text("")
    with pytest.raises(CorruptSnapshot, match="should have digest"):
        read_package(copy, digest=digest)


@pytest.mark.parametrize("name", ["package.json", "golden.json", "feature_schema.json", "model/MLmodel", "model/model.pkl"])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    """A package that lacks a file is refused with the file's name."""
    (copy / name).unlink()
    with pytest.raises(CorruptSnapshot, match=f"lacks {name}"):
        read_package(copy)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("package.json", {"format": 99}, "format 99, this version reads 1"),
        ("package.json", {"version": "four"}, "version: int_parsing"),
        ("package.json", {"surprise": 1}, "surprise: "),
        ("golden.json", {"predictions": [0.5]}, "one value per prediction"),
        ("golden.json", {"columns": {}}, "one value per prediction"),
        ("feature_schema.json", {"entity": None}, "entity: "),
    ],
)
def test_a_package_that_contradicts_itself_is_refused(copy: Path, name: str, change: dict[str, Any], message: str) -> None:
    """Another format, a wrong type, an unknown field or golden rows that do not match: each is said, none is guessed."""
    document = json.loads((copy / name).read_text())
    (copy / name).write_text(json.dumps({**document, **change}))
    with pytest.raises(CorruptSnapshot, match=message):
        read_package(copy)


def test_yesterdays_model_is_caught_by_the_golden_predictions(shop: Workload, copy: Path, tmp_path: Path) -> None:
    """A model file swapped for another day's fits in every way but the golden predictions."""
    yesterday = write(tmp_path / "yesterday", shop, candidate_of(shop, seed=1))
    (copy / "model/model.pkl").write_bytes((yesterday.folder / "model/model.pkl").read_bytes())
    package = read_package(copy)
    result = check_golden(package, load_model(package))
    assert not result.passed
    assert result.max_difference > 1e-3


def test_answers_that_are_no_answers_fail_the_golden_check(written: ModelPackage) -> None:
    """Too few scores or one that is not a number counts as infinitely wrong; an unreachable server is the caller's error."""
    expected = np.array(written.golden.predictions)

    def unreachable(frame: pd.DataFrame) -> np.ndarray:
        raise ConnectionError("no answer")

    assert check_golden(written, lambda frame: expected[:-1]).max_difference == float("inf")
    assert not check_golden(written, lambda frame: np.where(expected == expected[0], np.nan, expected)).passed
    assert not check_golden(written, lambda frame: expected + 2e-9).passed
    with pytest.raises(ConnectionError):
        check_golden(written, unreachable)


@pytest.mark.parametrize("junk", [b"", b"not a pickle", b"\x80\x05K\x01", b"\x80\x05\x94."])
def test_an_unreadable_model_file_is_a_corrupt_snapshot(copy: Path, junk: bytes) -> None:
    """Whatever unpickling raises, the caller sees one typed error that names the file."""
    (copy / "model/model.pkl").write_bytes(junk)
    with pytest.raises(CorruptSnapshot, match=r"model/model\.pkl"):
        load_model(read_package(copy))


def test_another_minor_version_of_scikit_learn_is_refused(written: ModelPackage) -> None:
    """Pickles are valid within a minor version: the error says which one wrote it and which one is here."""
    import sklearn

    for recorded, accepted in (("1.2.0", False), (sklearn.__version__.rsplit(".", 1)[0] + ".99", True)):
        libraries = {**written.description.libraries, "scikit-learn": recorded}
        package = replace(written, description=replace(written.description, libraries=libraries))
        if accepted:
            load_model(package)
            continue
        with pytest.raises(ModelRejected, match=rf"scikit-learn {recorded}, here is {sklearn.__version__}"):
            load_model(package)


def test_a_model_made_of_the_workloads_own_classes_is_refused(tmp_path: Path) -> None:
    """Another location cannot read a class of `train.py`; this is found when the package is written, not when it fails over."""
    source = TRAIN + "\nclass Mine(LogisticRegression):\n    pass\n"
    workload = make_workload(tmp_path, source.replace("LogisticRegression(max_iter=500)", "Mine()"))
    with pytest.raises(ModelRejected, match="installed libraries only"):
        write(tmp_path / "package", workload, candidate_of(workload))
    workload = make_workload(tmp_path / "lambda", TRAIN.replace(
        'make_pipeline(columns,', 'make_pipeline(columns, FunctionTransformer(lambda table: table),'
    ).replace("OneHotEncoder\n", "FunctionTransformer, OneHotEncoder\n"))  # fmt: skip
    with pytest.raises(ModelRejected, match="cannot be pickled"):
        write(tmp_path / "package", workload, candidate_of(workload))
    assert not list(tmp_path.glob("*package*"))


def test_golden_inputs_are_no_persons_rows(written: ModelPackage, candidate: Candidate) -> None:
    """The inputs stored beside the model have real values, but no row of them exists in the data, and no key is among them."""
    rows = {tuple(row) for row in candidate.x_test.itertuples(index=False)}
    assert rows.isdisjoint(tuple(row) for row in golden_inputs(written).itertuples(index=False))
    for file in package_files(written.folder):
        content = (written.folder / file.path).read_bytes()
        assert str(PLANTED)[:7].encode() not in content


def test_missing_inputs_survive_as_missing(shop: Workload, candidate: Candidate, tmp_path: Path) -> None:
    """A missing value in the golden inputs is null in JSON and NaN to the model, not zero and not the text `nan`."""
    holes = candidate.x_test.copy()
    holes["city"] = np.nan
    package = write(tmp_path / "package", shop, replace(candidate, x_test=holes))
    assert set(package.golden.columns["city"]) == {None}
    assert golden_inputs(package)["city"].isna().to_numpy().all()
    assert check_golden(package, load_model(package)).passed


def test_a_package_is_written_once(written: ModelPackage, shop: Workload, candidate: Candidate) -> None:
    """A folder that holds something is left as it is."""
    with pytest.raises(ConfigurationError, match="is not empty"):
        write(written.folder, shop, candidate)


def test_the_predictor_refuses_a_table_without_its_inputs(written: ModelPackage) -> None:
    """A request that lacks a feature is an error that names it, not a score."""
    with pytest.raises(ContractViolation, match=r"\['spent'\]"):
        load_model(written)(golden_inputs(written).drop(columns="spent"))


def test_a_server_reads_a_package_without_mlflow(written: ModelPackage) -> None:
    """Loading and checking a model imports neither MLflow nor Dagster: their seconds would be failover time."""
    code = (
        "import sys; from pathlib import Path; from mcml_assets.serving.package import *\n"
        "package = read_package(Path(sys.argv[1])); print(check_golden(package, load_model(package)).passed)\n"
        "print([name for name in ('mlflow', 'dagster', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(written.folder)], capture_output=True, text=True, timeout=60)
    assert done.stdout.split("\n")[:2] == ["True", "[]"], done.stderr
