"""`quality`: a candidate is better than guessing, by more than chance. The judgement is `training/`'s; this shows it."""

from typing import TYPE_CHECKING, Any

import dagster as dg

from mcml_assets.asset_checks.partitioned import partitioned_check_spec

if TYPE_CHECKING:
    from mcml_assets.training.evaluate import Estimate, Evaluation, GateDecision


def quality_check(asset: dg.AssetKey, partitions: dg.PartitionsDefinition) -> dg.AssetCheckSpec:
    """The spec of the check; `training_run` yields its result before it commits a package."""
    return partitioned_check_spec(
        asset,
        "quality",
        "The lower end of the 95 % interval of the improvement over a trivial baseline is above the threshold.",
        partitions,
    )


def quality_result(check: dg.AssetCheckSpec, evaluation: "Evaluation", decision: "GateDecision") -> dg.AssetCheckResult:
    """The gate's decision with the figures it rests on."""
    return dg.AssetCheckResult(
        passed=decision.passed,
        check_name=check.name,
        asset_key=check.asset_key,
        metadata={**evaluation_metadata(evaluation), "decision": decision.reason},
    )


def evaluation_metadata(evaluation: "Evaluation") -> dict[str, Any]:
    """An evaluation's figures as numbers, and as a table with intervals."""
    return {
        **{name: estimate.value for name, estimate in evaluation.candidate.items()},
        "calibration_error": evaluation.calibration.expected_error,
        "train_rows": evaluation.train_rows,
        "test_rows": evaluation.test_rows,
        "test_entities": evaluation.test_entities,
        "figures": dg.MetadataValue.md(_table(evaluation)),
    }


def _table(evaluation: "Evaluation") -> str:
    def cell(estimate: "Estimate") -> str:
        return f"{estimate.value:.4f} ({estimate.low:.4f} to {estimate.high:.4f})"

    lines = ["| metric (95 % interval) | candidate | trivial baseline | improvement |", "|---|---|---|---|"]
    for name in evaluation.candidate:
        marked = f"**{name}**" if name == evaluation.metric else name
        lines.append(
            f"| {marked} | {cell(evaluation.candidate[name])} | {cell(evaluation.baseline[name])} "
            f"| {cell(evaluation.improvement[name])} |"
        )
    return "\n".join(lines)
