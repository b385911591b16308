"""What `evidence` promises: nothing counts as checked that was not, about this very snapshot."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from mcml_assets.clouds.fault_plan import clear_all_faults, set_fault
from mcml_assets.domain.faults import Fault, FaultKind
from mcml_assets_tests.assets.conftest import Bench, bench, failure_of

__all__ = ["bench"]
PRIMARY, COLD = "aws/us-east-1", "azure/eastus"


@pytest.fixture
def credit(bench: Callable[[str], Bench]) -> Bench:
    """The chain in a primary and a cold standby of the restricted workload."""
    credit = bench("credit_scoring")
    for partition, nouns in (
        ("US", ["landing"]),
        (PRIMARY, ["raw_data", "feature_snapshot"]),
        (COLD, ["raw_data", "feature_snapshot"]),
        ("US", ["training_run"]),
        (PRIMARY, ["model"]),
        (COLD, ["model"]),
    ):
        result = credit.run(partition, *nouns)
        assert result.success, failure_of(result)
    return credit


def evidence(bench: Bench, location: str) -> tuple[bool, str]:
    found = bench.check(location, "endpoint", "evidence")
    return found.passed, found.description or ""


def report(bench: Bench, noun: str, name: str, *, passed: bool, snapshot: str) -> None:
    """Put a result on record in a run, as a check that ran would."""

    @dg.op(out={})
    def op():
        yield dg.AssetCheckEvaluation(
            asset_key=bench.key(noun), check_name=name, passed=passed, metadata={"snapshot": snapshot}, partition=PRIMARY
        )

    @dg.job
    def job():
        op()

    assert job.execute_in_process(instance=bench.instance).success


def test_evidence_is_complete_or_says_what_is_missing(credit: Bench) -> None:
    """Every upstream check has to have passed about what is served: a failed, a missing, or another snapshot's does not do."""
    assert evidence(credit, PRIMARY)[0]
    assert evidence(credit, COLD)[0]

    model = credit.current(PRIMARY, "model") or ""
    report(credit, "model", "integrity", passed=False, snapshot=model[:12])
    passed, told = evidence(credit, PRIMARY)
    assert (passed, "model integrity failed in aws/us-east-1" in told) == (False, True)
    assert evidence(credit, COLD)[0], "another location's failure is its own"

    report(credit, "model", "integrity", passed=True, snapshot=model[:12])
    assert evidence(credit, PRIMARY)[0], "the newest result about the snapshot counts"
    report(credit, "model", "integrity", passed=False, snapshot="f" * 12)
    assert evidence(credit, PRIMARY)[0], "a result about another snapshot says nothing of this one"

    # A run that did not get as far as its checks, or has not yet, leaves the former results as they are.
    now = datetime.now(UTC)
    set_fault(Fault(PRIMARY, FaultKind.OUTAGE, now, now + timedelta(hours=1)), credit.stores.topology, credit.settings)
    assert not credit.run(PRIMARY, "model").success
    clear_all_faults(credit.settings)
    key = dg.AssetCheckKey(credit.key("model"), "integrity")
    newest, *_ = credit.instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
    assert newest.status.value == "PLANNED"
    assert evidence(credit, PRIMARY)[0]

    # The next landing's raw data arrives, and nobody has checked it.
    assert credit.run("US", "landing").success
    landed = credit.stores.snapshots(credit.workload, PRIMARY, "landing").current()
    assert landed is not None
    raw = credit.stores.snapshots(credit.workload, PRIMARY, "raw_data")
    raw.write_manifest(landed)
    version = raw.pointer.read()
    assert version is not None
    raw.pointer.move(landed.snapshot_id, version.pointer.epoch, version)
    passed, told = evidence(credit, PRIMARY)
    assert not passed
    assert "raw_data integrity missing" in told
    assert "raw_data parity missing" in told


def test_a_location_without_a_model_has_no_evidence(bench: Callable[[str], Bench]) -> None:
    """Nothing to serve is not evidence that all is well."""
    assert evidence(bench("credit_scoring"), PRIMARY) == (
        False,
        f"{PRIMARY} holds no raw_data, feature_snapshot, model",
    )
