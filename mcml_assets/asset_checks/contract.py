"""`contract`: the workload's pandera contract on what is about to land. The rules are the user's, beside `defs.yaml`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from mcml_assets.asset_checks.partitioned import partitioned_check_spec

if TYPE_CHECKING:
    from mcml_assets.sources.contract import RuleResult


def contract_check(asset: dg.AssetKey, partitions: dg.PartitionsDefinition) -> dg.AssetCheckSpec:
    """The spec of the check; `landing` yields its result before it commits."""
    return partitioned_check_spec(
        asset,
        "contract",
        "Every rule of the workload's contract holds for the batch; else nothing is committed.",
        partitions,
    )


def contract_result(check: dg.AssetCheckSpec, rules: Sequence["RuleResult"]) -> dg.AssetCheckResult:
    """Each rule with its count; passes only if there is a rule and none is broken."""
    broken = [rule for rule in rules if rule.failures]
    return dg.AssetCheckResult(
        passed=bool(rules) and not broken,
        check_name=check.name,
        asset_key=check.asset_key,
        metadata={
            "rules": len(rules),
            "broken_rules": len(broken),
            "failures": sum(rule.failures for rule in rules),
            "report": dg.MetadataValue.md(_report(rules)),
        },
    )


def _report(rules: Sequence["RuleResult"]) -> str:
    lines = ["| | table | column | rule | failures | examples |", "|---|---|---|---|---:|---|"]
    for rule in sorted(rules, key=lambda rule: -rule.failures):
        examples = ", ".join(f"`{example}`" for example in rule.examples)
        lines.append(
            f"| {'✗' if rule.failures else '✓'} | {rule.table} | {rule.column or ''} | {rule.rule} "
            f"| {rule.failures} | {examples} |"
        )
    return "\n".join(lines)
