"""What `parity` promises beyond the catalogue: sums in another order pass, two accuse nobody alone, silence is named."""

import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from mcml_assets.asset_checks import replication_lag as lag_check
from mcml_assets_tests.asset_checks.planting import SPOILT, changed, recommit, without_a_row
from mcml_assets_tests.assets.conftest import Bench, bench, failure_of

__all__ = ["bench"]
PRIMARY, COLD = "azure/westeurope", "aws/eu-central-1"


@pytest.fixture
def retail(bench: Callable[[str], Bench]) -> Bench:
    """The EU: a primary and a warm standby that compute, and a cold one that copies."""
    retail = bench("online_retail")
    assert retail.run("EU", "landing").success
    for location in (PRIMARY, SPOILT, COLD):
        result = retail.run(location, "raw_data", "feature_snapshot")
        assert result.success, failure_of(result)
    return retail


def a_hair_more(table: pa.Table) -> pa.Table:
    """What sums in another order may come to: the next number."""
    return changed(table, "monetary_value", lambda values: values.to_numpy() * (1 + 2**-52))


def test_sums_in_another_order_pass_and_are_counted(retail: Bench) -> None:
    """Within the declared tolerance locations agree, and the report says how many cells needed it."""
    recommit(retail, "feature_snapshot", a_hair_more)
    found = retail.check(SPOILT, "feature_snapshot", "parity")
    assert found.passed, found.description
    figures = {name: value.value for name, value in found.metadata.items()}
    assert (figures["compared_by"], figures["differing_rows"]) == ("rows", 0)
    assert int(str(figures["tolerated_cells"])) > 100
    assert int(str(figures["bytes_read_from_elsewhere"])) > 0
    assert "monetary_value" in str(figures["differences"])


def test_of_two_computations_neither_is_trusted_until_they_agree(retail: Bench) -> None:
    """A cold copy adds no voice: both computations fail and the sentence says why; once they agree both pass again."""
    former = retail.stores.snapshots(retail.workload, SPOILT, "feature_snapshot").pointer.read()
    assert former is not None
    recommit(retail, "feature_snapshot", without_a_row)
    found = retail.check(SPOILT, "feature_snapshot", "parity")
    assert "neither is trusted" in (found.description or "")
    assert retail.recorded("feature_snapshot", "parity") == {PRIMARY: False, SPOILT: False, COLD: False}
    pointer = retail.stores.snapshots(retail.workload, SPOILT, "feature_snapshot").pointer
    pointer.move(former.pointer.snapshot_id, 1, pointer.read())
    assert retail.check(SPOILT, "feature_snapshot", "parity").passed
    assert retail.recorded("feature_snapshot", "parity") == {PRIMARY: True, SPOILT: True, COLD: True}


def test_no_personal_key_is_in_a_report(retail: Bench) -> None:
    """The rows that differ are named by their number where the key stands for a person."""
    recommit(retail, "feature_snapshot", lambda table: changed(table, "frequency", lambda values: values.to_numpy() + 1))
    found = retail.check(SPOILT, "feature_snapshot", "parity")
    report = str(found.metadata["differences"].value)
    assert "| customer | frequency |" in report
    assert re.search(r"row \d+, event_timestamp `2011-05-30", report)
    assert "customer_id" not in report


def test_a_dead_location_abstains_and_is_named(retail: Bench) -> None:
    """With one cloud gone the others go on agreeing; a standby that is left with nobody to ask does not pass."""
    shutil.rmtree(retail.settings.clouds_folder / "gcp" / retail.stores.topology.location(SPOILT).bucket)
    for noun in ("raw_data", "feature_snapshot"):
        found = retail.check(PRIMARY, noun, "parity")
        assert found.passed
        assert f"{SPOILT} abstains (LocationUnavailable)" in (found.description or "")
    shutil.rmtree(retail.settings.clouds_folder / "azure" / retail.stores.topology.location(PRIMARY).bucket)
    left_alone = retail.check(COLD, "raw_data", "parity")
    assert not left_alone.passed
    assert PRIMARY in (left_alone.description or "")


def test_lag_warns_past_the_rpo_and_when_it_is_unknown(retail: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A standby without the newest landing lags since it was committed; without an acting location nobody knows."""

    class Later(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(UTC) + timedelta(hours=2)

    assert retail.run("EU", "landing").success
    within = retail.check(SPOILT, "raw_data", "replication_lag")
    assert within.passed
    monkeypatch.setattr(lag_check, "datetime", Later)
    past = retail.check(SPOILT, "raw_data", "replication_lag")
    assert not past.passed
    assert 7200 <= float(str(past.metadata["replication_lag_seconds"].value)) < 8000
    shutil.rmtree(retail.settings.clouds_folder / "azure" / retail.stores.topology.location(PRIMARY).bucket)
    unknown = retail.check(SPOILT, "raw_data", "replication_lag")
    assert (unknown.passed, "unknown" in (unknown.description or "")) == (False, True)
