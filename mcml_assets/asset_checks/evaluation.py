"""Results of checks that are reported outside of the run that published what they are about."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as Target,  # no public name leads to it
)


def evaluation(
    instance: dg.DagsterInstance,
    check: dg.AssetCheckKey,
    partition: str,
    *,
    passed: bool,
    metadata: Mapping[str, Any],
    description: str | None = None,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckEvaluation:
    """A result that Dagster shows for this partition until something newer is published there.

    Dagster ties only those results to the newest materialization that a check's own step yields, and of one that is tied to
    none it shows no status at all.
    """
    newest = instance.fetch_materializations(
        dg.AssetRecordsFilter(check.asset_key, asset_partitions=[partition]), limit=1
    ).records
    target = Target(storage_id=newest[0].storage_id, run_id=newest[0].run_id, timestamp=newest[0].timestamp) if newest else None
    return dg.AssetCheckEvaluation(
        asset_key=check.asset_key,
        check_name=check.name,
        passed=passed,
        metadata=metadata,
        target_materialization_data=target,
        severity=severity,
        description=description,
        partition=partition,
    )
