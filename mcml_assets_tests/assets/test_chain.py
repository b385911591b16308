"""What the chain from landing to model promises in every location, without a server: parity, copies, gates, secrecy."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pyarrow import parquet

from mcml_assets_tests.assets.conftest import Bench, checks_of, failure_of


@pytest.fixture
def retail(bench: Callable[[str], Bench]) -> Bench:
    """The EU: a primary, a warm and a cold standby, and little data."""
    retail = bench("online_retail")
    assert retail.run("EU", "landing").success
    return retail


PRIMARY, WARM, COLD = "azure/westeurope", "gcp/europe-west1", "aws/eu-central-1"


def test_every_location_ends_with_the_same_snapshots(retail: Bench) -> None:
    """Primary and warm standby compute, the cold one copies, and all three hold the same features and the same model."""
    for location in (PRIMARY, WARM, COLD):
        result = retail.run(location, "raw_data", "feature_snapshot")
        assert result.success, failure_of(result)
        checks = checks_of(result)
        assert {
            "contract",
            "integrity",
            "parity",
            "online_parity",
            "replication_lag",
            "drift",
            "no_negative_baskets",
        } <= checks.keys()
        assert all(checks.values()), checks
    assert retail.run("EU", "training_run").success
    for location in (PRIMARY, WARM, COLD):
        result = retail.run(location, "model")
        assert result.success, failure_of(result)
        assert checks_of(result) == {"integrity": True, "parity": True, "replication_lag": True}
    for noun in ("raw_data", "feature_snapshot", "model"):
        assert len({retail.current(location, noun) for location in (PRIMARY, WARM, COLD)}) == 1
    cold = retail.stores.snapshots(retail.workload, COLD, "feature_snapshot").current()
    assert cold is not None
    assert cold.producer in (PRIMARY, WARM)


def test_a_flipped_byte_fails_integrity_here_and_nowhere_else(retail: Bench) -> None:
    """The check names the corrupt file, blocks what is downstream in that location, and no other location is accused."""
    for location in (PRIMARY, WARM):
        retail.run(location, "raw_data")
    bucket = retail.settings.clouds_folder / "gcp" / retail.stores.topology.location(WARM).bucket
    blob = max((bucket / "online_retail" / "blobs").rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    spoilt = bytearray(blob.read_bytes())
    spoilt[100] ^= 1
    blob.chmod(0o644)
    blob.write_bytes(spoilt)
    accused = retail.run(WARM, "raw_data", "feature_snapshot")
    assert checks_of(accused)["integrity"] is False
    (said,) = [each.metadata["report"].value for each in accused.get_asset_check_evaluations() if not each.passed]
    assert f"{blob.name[:12]}, is corrupt" in str(said)
    assert f"Materialize `raw_data` in {WARM} with `verify: true`" in str(said)
    assert not accused.success
    assert retail.current(WARM, "feature_snapshot") is None
    assert checks_of(retail.run(PRIMARY, "raw_data"))["integrity"] is True


def test_a_location_that_is_gone_is_named(retail: Bench) -> None:
    """With its bucket gone, a location's run fails with `LocationUnavailable`; nothing is created in its place."""
    bucket = retail.settings.clouds_folder / "gcp" / retail.stores.topology.location(WARM).bucket
    shutil.rmtree(bucket)
    result = retail.run(WARM, "raw_data")
    assert "LocationUnavailable" in failure_of(result)
    assert WARM in failure_of(result)
    assert not bucket.exists()
    assert retail.run(PRIMARY, "raw_data").success


def test_a_candidate_worse_than_what_is_served_is_refused(bench: Callable[[str], Bench]) -> None:
    """A model that learnt nothing fails `quality` by guessing, the served model and segments; no location ever sees it."""
    retail = bench("online_retail")
    retail.run("EU", "landing")
    retail.run(PRIMARY, "raw_data", "feature_snapshot")
    first = retail.run("EU", "training_run")
    assert checks_of(first) == {"quality": True}
    assert "no model is served yet" in quality_of(first).description
    retail.run(PRIMARY, "model")
    served = retail.current(PRIMARY, "training_run")
    train = retail.workload.directory / "train.py"
    blind = "    x = x.fillna(0) * 0\n    with threadpool_limits"
    train.write_text(train.read_text().replace("    with threadpool_limits", blind))
    result = retail.run("EU", "training_run")
    found = quality_of(result)
    assert checks_of(result) == {"quality": False}
    assert "ModelRejected" in failure_of(result)
    assert "against the served version 1 on the same rows roc_auc is better by -0." in found.description
    assert "what is served goes on" in found.description
    figures = {name: value.value for name, value in found.metadata.items()}
    assert (figures["served_version"], figures["failed_judgements"]) == (1, 3)
    assert float(str(figures["better_than_served"])) < -0.1
    assert str(figures["reliability"]).startswith("![reliability](data:image/png;base64,")
    assert retail.current(PRIMARY, "training_run") == served


def quality_of(result: dg.ExecuteInProcessResult) -> Any:
    (found,) = [one for one in result.get_asset_check_evaluations() if one.check_name == "quality"]
    return found


def test_personal_data_leaves_no_trace(
    bench: Callable[[str], Bench], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """No personal key of the restricted workload is in a log, an event, MLflow's files or the model package."""
    credit = bench("credit_scoring")
    location = "aws/us-east-1"
    results = [
        credit.run("US", "landing"),
        credit.run(location, "raw_data", "feature_snapshot"),
        credit.run("US", "training_run"),
        credit.run(location, "model"),
    ]
    assert [failure_of(result) for result in results if not result.success] == []
    loans = next(source for source in credit.workload.sources if source.name == "loans")
    keys = set(parquet.read_table(loans.path, columns=["dob_ssn"])["dob_ssn"].to_pylist())
    events = "\n".join(str(record) for record in credit.instance.all_logs(results[2].run_id))
    written = [*(credit.settings.clouds_folder / "aws" / "mlflow").rglob("*")]
    written += [*(credit.settings.location_folder(location) / "models").rglob("*")]
    texts = [events, *capfd.readouterr(), *(file.read_bytes().decode("latin-1") for file in written if file.is_file())]
    assert len(texts) > 10
    found = {key for text in texts for key in keys if key in text}
    assert len(found) == 0  # the keys themselves stay out of the message, too
