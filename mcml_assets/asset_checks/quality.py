"""`quality`: a candidate is good enough to become a model, and the figures that say so.

The judgement is `training/judgement.py`'s; this shows it. The check is yielded by the asset that trains, wherever that is.
"""

from collections.abc import Iterator
from math import isfinite
from typing import TYPE_CHECKING, Any

import dagster as dg

from mcml_assets.asset_checks.partitioned import partitioned_check_spec
from mcml_assets.domain.errors import ConfigurationError, ContractViolation, CorruptSnapshot, ModelRejected
from mcml_assets.domain.workload import Workload

if TYPE_CHECKING:
    from mcml_assets.training.evaluate import Estimate, Evaluation
    from mcml_assets.training.judgement import Quality, SegmentFigures

SHOWN_SEGMENTS = 20
UNJUDGED = (ConfigurationError, ContractViolation, CorruptSnapshot, ModelRejected)
"""What is wrong with data or code, so that there is no candidate. Of a location that is down nothing is said by a check."""


def quality_check(asset: dg.AssetKey, partitions: dg.PartitionsDefinition) -> dg.AssetCheckSpec:
    """The spec of the check; the asset that trains yields its result, before it commits a package."""
    return partitioned_check_spec(
        asset,
        "quality",
        "The candidate is better than a trivial baseline and no worse than the model now served on the same held-out rows, "
        "surely bad in no segment, and its scores are the shares of positives that they promise.",
        partitions,
    )


def unjudged_result(check: dg.AssetCheckSpec, error: Exception) -> dg.AssetCheckResult:
    """The result where no candidate came about that could be judged: whatever the reason, it has not been found good."""
    return dg.AssetCheckResult(
        passed=False,
        check_name=check.name,
        asset_key=check.asset_key,
        description=f"No candidate could be judged, and what is served goes on: {error}",
        metadata={"problem": str(error), "error": type(error).__name__},
    )


def quality_figures(
    workload: Workload, evaluation: "Evaluation", quality: "Quality", reliability: bytes
) -> tuple[str, dict[str, Any]]:
    """What the check says, and every judgement with the figures it rests on and the picture of reliability (PNG)."""
    from mcml_assets.training.figures import as_markdown  # noqa: PLC0415 - only when a model is trained

    decision = quality.decision
    told = "The candidate becomes a model" if decision.passed else "The candidate is refused, and what is served goes on"
    return f"{told}: {decision.reason}.", {
        **_finite(dict(_figures(quality))),
        **evaluation_metadata(evaluation),
        "decision": decision.reason,
        "judgements": dg.MetadataValue.md(_judgements(quality)),
        **({"by_segment": dg.MetadataValue.md(_by_segment(quality))} if quality.segments else {}),
        "reliability": dg.MetadataValue.md(as_markdown("reliability", reliability)),
        "reason_of_thresholds": workload.thresholds.quality.reason or "the defaults: none are declared",
    }


def evaluation_metadata(evaluation: "Evaluation") -> dict[str, Any]:
    """An evaluation's figures as numbers, and as a table with intervals."""
    return {
        **_finite({name: estimate.value for name, estimate in evaluation.candidate.items()}),
        "calibration_error": evaluation.calibration.expected_error,
        "train_rows": evaluation.train_rows,
        "test_rows": evaluation.test_rows,
        "test_entities": evaluation.test_entities,
        "figures": dg.MetadataValue.md(_table(evaluation)),
    }


def _figures(quality: "Quality") -> Iterator[tuple[str, float]]:
    """What Dagster draws over time, beside the metrics themselves."""
    yield "calibration_error_by_chance", quality.calibration_by_chance
    yield "failed_judgements", sum(not one.passed for one in quality.judgements.values())
    if quality.served is not None:
        yield "served_version", quality.served.version
        yield "rows_compared_with_served", quality.compared_rows
    if quality.over_served is not None:
        yield "better_than_served", quality.over_served.value
        yield "better_than_served_at_least", quality.over_served.low
    judged = [one for one in quality.segments if one.judged]
    if judged:
        yield "segments", len(judged)
        yield "segments_too_small", len(quality.segments) - len(judged)
        yield "worst_segment_improvement", judged[0].improvement.value
        yield "worst_segment_rows", judged[0].rows


def _finite(figures: dict[str, float]) -> dict[str, float]:
    """Dagster stores no NaN, and draws none."""
    return {name: value for name, value in figures.items() if isfinite(value)}


def _judgements(quality: "Quality") -> str:
    lines = ["| | compared with | |", "|---|---|---|"]
    lines += [f"| {'✓' if one.passed else '✗'} | {name} | {one.reason} |" for name, one in quality.judgements.items()]
    return "\n".join(lines)


def _by_segment(quality: "Quality") -> str:
    def line(one: "SegmentFigures") -> str:
        mark = "·" if not one.judged else "✓" if one.passed else "✗"
        served = _cell(one.over_served) if one.over_served is not None else ""
        return f"| {mark} | {_cell_text(one.name)} | {one.rows} | {one.entities} | {_cell(one.improvement)} | {served} |"

    lines = [
        "| | segment | rows | entities | better than guessing | better than the served model |",
        "|---|---|---:|---:|---|---|",
    ]
    lines += [line(one) for one in quality.segments[:SHOWN_SEGMENTS]]
    more = len(quality.segments) - SHOWN_SEGMENTS
    return "\n".join([*lines, *([f"\nand {more} more, none of them worse"] if more > 0 else [])])


def _cell(estimate: "Estimate") -> str:
    if not isfinite(estimate.low):
        return "too small to judge"
    return f"{estimate.value:.4f} ({estimate.low:.4f} to {estimate.high:.4f})"


def _cell_text(text: str) -> str:
    return text.replace("|", "\\|")


def _table(evaluation: "Evaluation") -> str:
    lines = ["| metric (95 % interval) | candidate | trivial baseline | improvement |", "|---|---|---|---|"]
    for name in evaluation.candidate:
        marked = f"**{name}**" if name == evaluation.metric else name
        lines.append(
            f"| {marked} | {_cell(evaluation.candidate[name])} | {_cell(evaluation.baseline[name])} "
            f"| {_cell(evaluation.improvement[name])} |"
        )
    return "\n".join(lines)
