"""What the `drift` check promises in a real chain: it compares with the model served here, tells what moved, holds nothing."""

from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest

from mcml_assets.serving.package import REFERENCE
from mcml_assets_tests.assets.conftest import Bench, failure_of

JURISDICTION, LOCATION = "EU", "azure/westeurope"
MONEY = {"monetary_value", "spend_30d"}


def drift_of(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (found,) = [one for one in result.get_asset_check_evaluations() if one.check_name == "drift"]
    return found


def metadata(evaluation: dg.AssetCheckEvaluation) -> dict[str, Any]:
    return {name: value.value for name, value in evaluation.metadata.items()}


@pytest.fixture
def serving(bench: Callable[[str], Bench]) -> Bench:
    """The EU's primary holds features and the model that learnt from them; the check compares with the time before."""
    retail = bench("online_retail")
    for noun in ("landing", "feature_snapshot", "training_run", "model"):
        where = JURISDICTION if noun in ("landing", "training_run") else LOCATION
        nouns = ("raw_data", noun) if noun == "feature_snapshot" else (noun,)
        result = retail.run(where, *nouns)
        assert result.success, failure_of(result)
        if noun == "feature_snapshot":
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
    """Pounds become pence in the features code: the run succeeds, the check names the amounts, and is an error."""
    features = serving.workload.directory / "features.py"
    before = drift_of(serving.run(LOCATION, "feature_snapshot"))
    features.write_text(features.read_text().replace('* lines["UnitPrice"],', '* 100 * lines["UnitPrice"],'))
    result = serving.run(LOCATION, "feature_snapshot")
    found = drift_of(result)
    assert result.success
    assert not found.blocking
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.ERROR)
    effects = {name: metadata(found)[f"effect_{name}"] - metadata(before)[f"effect_{name}"] for name in [*MONEY, "frequency"]}
    assert all(effects[name] > 100 for name in MONEY)
    assert effects["frequency"] == 0.0
    assert "Nothing is held back" in (found.description or "")
