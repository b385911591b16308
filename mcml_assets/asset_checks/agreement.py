"""`agreement`: what a standby trained on its own features is, within declared tolerances, the model that is served.

The judgement is `domain/canary.py`'s; this shows it. The asset that trains yields the result.
"""

from math import isfinite

import dagster as dg

from mcml_assets.asset_checks.partitioned import partitioned_check_spec
from mcml_assets.domain.canary import Agreement, CanaryResult, Compared
from mcml_assets.domain.workload import Workload

FOLLOWS = {
    Agreement.AGREES: "This location could train what is served",
    Agreement.DISAGREES: "This location is not ready to take the work over, until a canary here agrees",
    Agreement.UNKNOWN: "Nobody can tell; the location stays as ready as it was, with this reservation",
}
MARKS = {Agreement.AGREES: "✓", Agreement.DISAGREES: "✗", Agreement.UNKNOWN: "?"}


def agreement_check(asset: dg.AssetKey, partitions: dg.PartitionsDefinition) -> dg.AssetCheckSpec:
    """The spec of the check."""
    return partitioned_check_spec(
        asset,
        "agreement",
        "The model that was trained here agrees with the served one: in the workload's metric on the same held-out rows, and "
        "in the scores of the golden inputs where both learnt from the same data. A standby that fails it may not take over.",
        partitions,
    )


def agreement_result(
    check: dg.AssetCheckSpec, workload: Workload, compared: Compared, result: CanaryResult
) -> dg.AssetCheckResult:
    """What was compared, with the tolerances; what cannot be compared has not passed."""
    rules = workload.canary
    figures = {
        "metric_difference": compared.difference,
        "golden_difference": compared.golden_difference,
        "compared_rows": compared.rows,
    }
    rows = (
        (compared.metric, compared.difference, rules.metric_margin, f"{compared.rows} held-out rows"),
        ("golden inputs", compared.golden_difference, rules.golden_tolerance,
         "the same data" if compared.same_data else "other data, so not judged"),
    )  # fmt: skip
    lines = ["| | differs by | allowed | |", "|---|---:|---:|---|"]
    lines += [f"| {name} | {'-' if by is None else f'{by:.4g}'} | {allowed:g} | {about} |" for name, by, allowed, about in rows]
    return dg.AssetCheckResult(
        passed=result.agreement is Agreement.AGREES,
        check_name=check.name,
        asset_key=check.asset_key,
        description=f"{FOLLOWS[result.agreement]}: {result.reason}.",
        metadata={
            "agreement": result.agreement.value,
            "compared_with_version": result.version,
            "compared_with": result.against[:12],
            **{name: value for name, value in figures.items() if value is not None and isfinite(value)},
            "report": dg.MetadataValue.md("\n".join([f"{MARKS[result.agreement]} {result.reason}", "", *lines])),
            "reason_of_tolerances": rules.reason or "the defaults: none are declared",
        },
    )
