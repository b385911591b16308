"""What training at the standbys promises: it agrees where all is well, and a location that would train otherwise is told."""

from collections.abc import Callable

import pytest

from mcml_assets.domain.canary import Agreement, CanaryResult
from mcml_assets_tests.assets.conftest import Bench, checks_of, failure_of

OTHERWISE = "otherwise"
PRIMARY, COLD = "aws/us-east-1", "azure/eastus"


@pytest.fixture
def credit(bench: Callable[[str], Bench]) -> Bench:
    """A workload that has trained, and whose cold standby has everything but the model."""
    credit = bench("credit_scoring")
    train = credit.workload.directory / "train.py"
    written = train.read_text().replace("import pandas as pd", "from pathlib import Path\n\nimport pandas as pd", 1)
    spoilt = f'    y = 1 - y if Path(__file__).with_name("{OTHERWISE}").exists() else y\n    encode ='
    train.write_text(written.replace("    encode =", spoilt, 1))
    assert credit.run("US", "landing").success
    for location in (PRIMARY, COLD):
        assert credit.run(location, "raw_data", "feature_snapshot").success
    assert credit.run("US", "training_run").success
    return credit


def evidence(credit: Bench, location: str) -> CanaryResult:
    manifest = credit.stores.snapshots(credit.workload, location, "canary_training").current()
    assert manifest is not None
    return CanaryResult.from_annotations(manifest.annotations)


def test_a_standby_trains_what_is_served_until_it_would_train_something_else(credit: Bench) -> None:
    """A cold standby agrees on the same data, disagrees where training gives something else, and by other code nobody knows."""
    nothing_yet = credit.run(COLD, "canary_training")
    assert "holds no model of credit_scoring yet" in failure_of(nothing_yet)
    assert credit.run(COLD, "model").success
    well = credit.run(COLD, "canary_training")
    assert well.success, failure_of(well)
    assert checks_of(well) == {"quality": True, "agreement": True}
    found = evidence(credit, COLD)
    assert (found.agreement, found.version) == (Agreement.AGREES, 1)
    assert found.against == credit.current(COLD, "model")
    first = credit.current(COLD, "canary_training")

    # As if a library computed otherwise here: what is declared is the same, and what comes of it is not.
    (credit.workload.directory / OTHERWISE).touch()
    other = credit.run(COLD, "canary_training")
    assert checks_of(other)["agreement"] is False
    assert evidence(credit, COLD).agreement is Agreement.DISAGREES
    assert "roc_auc differs by -0." in evidence(credit, COLD).reason
    assert credit.current(COLD, "canary_training") != first

    train = credit.workload.directory / "train.py"
    train.write_text(train.read_text() + "# declared anew\n")
    unknown = credit.run(COLD, "canary_training")
    assert checks_of(unknown)["agreement"] is False
    assert evidence(credit, COLD).agreement is Agreement.UNKNOWN
    assert "other code" in evidence(credit, COLD).reason
