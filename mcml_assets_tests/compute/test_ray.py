"""What a Ray cluster named in the topology promises: the same snapshots and models, and mistakes by their type."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcml_assets.build import DEFS
from mcml_assets.configuration.settings import TOPOLOGIES, Settings
from mcml_assets.domain.errors import ConfigurationError, McmlError, ModelRejected
from mcml_assets.serving.package import PICKLED_MODEL
from mcml_assets.training.candidate import train_candidate
from mcml_assets_tests.assets.conftest import Bench, failure_of
from mcml_assets_tests.training.synthetic import make_rows, make_workload

pytestmark = pytest.mark.live
PRIMARY = "azure/westeurope"
MARK = "__import__('pathlib').Path(__file__).with_name(f'{}.{{__import__(\"os\").getpid()}}').touch()"
UNPORTABLE = """
from sklearn.linear_model import LogisticRegression
class Own(LogisticRegression):
    pass
def train(x, y):
    return Own().fit(x[["visits"]], y)
"""


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """A cluster of this machine, which all of them use; each would start its own, and end it."""
    from mcml_assets.features.ray_cluster import LOCAL, connected

    with connected(LOCAL):
        yield


def with_ray(folder: Path, monkeypatch: pytest.MonkeyPatch, *, ray: bool) -> Bench:
    """The EU's example over local clouds of its own; `ray` is one line of the topology."""
    defs = folder / "defs" / "online_retail"
    shutil.copytree(DEFS / "online_retail", defs, ignore=shutil.ignore_patterns("__pycache__"))
    file = defs / "defs.yaml"
    # In this process, whose cluster it then is; a worker would start one more.
    changed(file, "    compute_profile: small  ", "    # ")
    # Who calls the users' functions is written down beside them.
    changed(defs / "features.py", "    lines = customer_lines", f"    {MARK.format('features')}\n    lines = customer_lines")
    changed(defs / "train.py", "    model = make_pipeline(", f"    {MARK.format('train')}\n    model = make_pipeline(")
    topology = shutil.copy(TOPOLOGIES / "local.yaml", folder / "topology.yaml")
    if ray:
        region = "        bucket: mcml-azure-westeurope\n"
        changed(Path(topology), region, f"{region}        compute: {{platform: local, ray: local}}\n")
    monkeypatch.setenv("MCML_TOPOLOGY", str(topology))
    bench = Bench(file, Settings(home=folder / "home"))
    for partition, nouns in (("EU", ["landing"]), (PRIMARY, ["raw_data", "feature_snapshot"]), ("EU", ["training_run"])):
        result = bench.run(partition, *nouns)
        assert result.success, failure_of(result)
    return bench


def changed(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text, file
    file.write_text(text.replace(old, new, 1))


def callers(bench: Bench, function: str) -> set[int]:
    """The processes that called a user's function."""
    return {int(file.suffix[1:]) for file in bench.workload.directory.glob(f"{function}.*") if file.suffix != ".py"}


def model_digest(bench: Bench) -> str:
    """The digest of the trained model's bytes; a package has times and ids beside it."""
    manifest = bench.stores.snapshots(bench.workload, PRIMARY, "training_run").current()
    assert manifest is not None
    (model,) = [file.digest for file in manifest.files if file.path == PICKLED_MODEL]
    return model


def test_one_line_of_the_topology_moves_work_to_ray_and_changes_no_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Features have the same snapshot id and the model the same bytes, so parity cannot tell which engine it was."""
    here = with_ray(tmp_path / "here", monkeypatch, ray=False)
    there = with_ray(tmp_path / "there", monkeypatch, ray=True)
    for function in ("features", "train"):
        assert callers(here, function) == {os.getpid()}
        assert callers(there, function).isdisjoint({os.getpid()})
        assert callers(there, function)
    assert there.current(PRIMARY, "feature_snapshot") == here.current(PRIMARY, "feature_snapshot")
    assert model_digest(there) == model_digest(here)


@pytest.mark.parametrize(
    ("source", "error", "said"),
    [
        ("def train(x, y):\n    return 1 / 0\n", ConfigurationError, r"ZeroDivisionError at train\.py:2: division by zero"),
        (UNPORTABLE, ModelRejected, "to be read, which other locations do not have"),
    ],
)
def test_a_mistake_on_ray_is_told_as_it_would_be_here(tmp_path: Path, source: str, error: type[McmlError], said: str) -> None:
    """By its type, with the user's file and line: who may act on it is the same."""
    rows, workload = make_rows(), make_workload(tmp_path, source)
    for ray in (None, "local"):
        with pytest.raises(error, match=said):
            train_candidate(workload, rows.x, rows.y, entities=rows.entities, times=rows.times, ray=ray)
