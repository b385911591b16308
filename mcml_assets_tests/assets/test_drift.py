"""What the `drift` check promises in a real chain: it compares with the model served here, tells what moved, holds nothing."""

import shutil
from typing import Any

import dagster as dg
import pytest

from mcml_assets.build import DEFS
from mcml_assets.configuration.settings import Settings
from mcml_assets.serving.package import REFERENCE
from mcml_assets_tests.assets.conftest import Bench, failure_of

JURISDICTION, LOCATION = "EU", "azure/westeurope"
MONEY = ("monetary_value", "spend_30d")


def drift_of(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (found,) = [one for one in result.get_asset_check_evaluations() if one.check_name == "drift"]
    return found


def effect_of(evaluation: dg.AssetCheckEvaluation, name: str) -> float:
    return metadata(evaluation)[f"effect_{name}"]


def metadata(evaluation: dg.AssetCheckEvaluation) -> dict[str, Any]:
    return {name: value.value for name, value in evaluation.metadata.items()}


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The EU's primary holds features and the model that learnt from them. Made once: it takes a training."""
    folder = tmp_path_factory.mktemp("drift")
    shutil.copytree(DEFS / "online_retail", folder / "online_retail", ignore=shutil.ignore_patterns("__pycache__"))
    retail = Bench(folder / "online_retail" / "defs.yaml", Settings(home=folder / "home"))
    here = (LOCATION, "raw_data", "feature_snapshot"), (JURISDICTION, "training_run"), (LOCATION, "model")
    for where, *nouns in ((JURISDICTION, "landing"), *here):
        result = retail.run(where, *nouns)
        assert result.success, failure_of(result)
        if "feature_snapshot" in nouns:
            assert drift_of(result).passed
            assert "serves no model yet" in (drift_of(result).description or "")
    return retail


def test_what_the_model_learnt_from_travels_with_it(serving: Bench) -> None:
    """The held package has a reference with every model input, and the newest features are compared with it."""
    manifest = serving.stores.snapshots(serving.workload, LOCATION, "model").current()
    assert manifest is not None
    assert REFERENCE in {file.path for file in manifest.files}
    found = metadata(drift_of(serving.run(LOCATION, "feature_snapshot")))
    assert (found["features"], found["model"], found["reference"]) == (12, manifest.snapshot_id[:12], "training")
    assert found["worst_features"].startswith("![worst features](data:image/png;base64,")
    assert isinstance(found["effect_monetary_value"], float)


def test_a_change_of_units_is_found_and_holds_nothing_back(serving: Bench) -> None:
    """Pounds become pence in the features code: the run succeeds, and amounts and predictions are told, counts are not."""
    before, calm = drift_of(serving.run(LOCATION, "feature_snapshot")), serving.check(LOCATION, "endpoint", "drift")
    assert (metadata(calm)["features"], metadata(calm)["reference"], metadata(calm)["drifted_features"]) == (1, "training", 0)
    features = serving.workload.directory / "features.py"
    features.write_text(features.read_text().replace('* lines["UnitPrice"],', '* 100 * lines["UnitPrice"],'))
    result = serving.run(LOCATION, "feature_snapshot")
    found, scores = drift_of(result), serving.check(LOCATION, "endpoint", "drift")
    assert result.success
    assert not found.blocking
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.ERROR)
    rise = {name: effect_of(found, name) - effect_of(before, name) for name in (*MONEY, "frequency")}
    assert all(rise[name] > 100 for name in MONEY)
    assert rise["frequency"] == 0.0
    assert "Nothing is held back" in (found.description or "")
    assert (scores.passed, scores.blocking) == (False, False)
    assert effect_of(scores, "predictions") > effect_of(calm, "predictions") + 0.1
