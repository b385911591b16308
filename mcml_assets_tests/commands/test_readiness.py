"""What `mcml readiness` promises: each standby with what speaks against it, as the next failover would find it."""

import json

from typer.testing import CliRunner

from mcml_assets.cli import app
from mcml_assets.domain.canary import Agreement, CanaryResult
from mcml_assets.serving.manifest import endpoint_name
from mcml_assets.serving.synthetic_results import record_synthetic
from mcml_assets_tests.failover.stage import Stage
from mcml_assets_tests.snapshots.committing import commit

A, B, C = "aws/eu-west-2", "gcp/europe-west2", "azure/uksouth"
SHOP = "online_retail"


def judged(stage: Stage) -> dict[str, dict]:
    stage.beat()
    result = CliRunner().invoke(app, ["readiness", SHOP, "--json"])
    found = {one["location"]: one for one in json.loads(result.stdout)}
    standbys_ready = all(one["ready"] for one in found.values() if not one["acting"])
    assert result.exit_code == (0 if standbys_ready else 1), result.output
    return found


def standing(one: dict, question: str) -> tuple[str, str]:
    return next((point["standing"], point["text"]) for point in one["points"] if point["question"] == question)


def test_evidence_against_a_standby_is_told_before_the_outage(stage_in_shell: Stage) -> None:
    """All standbys are ready with reservations; then a canary that disagreed makes one unready, and what-if passes it over."""
    stage = stage_in_shell
    well = judged(stage)
    assert [one["acting"] for one in well.values()].count(True) == 2
    assert all(one["ready"] for one in well.values())
    assert standing(well[B], "canary") == ("reserved", "no canary was trained here yet")
    result = CanaryResult(Agreement.DISAGREES, "roc_auc differs by -0.2", "d" * 64, 1)
    evidence = stage.snapshots(stage.workloads[SHOP], B, "canary_training")
    commit(evidence, {"canary.json": b"{}"}, stage.scratch, epoch=1, annotations=result.annotations())
    record_synthetic(stage.platform.folder, endpoint_name(SHOP, C), passed=True, in_a_row=3, problem=None, jurisdiction="UK")
    found = judged(stage)
    assert not found[B]["ready"]
    assert "roc_auc differs by -0.2" in standing(found[B], "canary")[1]
    assert found[C]["ready"]
    stage.beat()
    plans = json.loads(CliRunner().invoke(app, ["whatif", "--down", A, "--json"]).stdout)
    assert next(plan["to"] for plan in plans if (plan["workload"], plan["jurisdiction"]) == (SHOP, "UK")) == C
    stage.darken("gcp")
    assert judged(stage)[B]["problem"].startswith("down: ")
