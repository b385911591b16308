"""`resilience_scorecard`: how much of a workload's resilience is proved by events; `scorecard/` gathers them."""

import time

import dagster as dg

from mcml_assets.declaration import asset_key
from mcml_assets.domain.workload import Workload
from mcml_assets.resources.stores import CloudStores

DAILY = "40 5 * * *"


def build_resilience_scorecard(workload: Workload) -> dg.AssetsDefinition:
    """The `resilience_scorecard` asset of a workload."""

    @dg.asset(
        key=asset_key(workload, "resilience_scorecard"),
        group_name=workload.name,
        owners=[workload.owner],
        automation_condition=dg.AutomationCondition.cron_tick_passed(DAILY) & ~dg.AutomationCondition.in_progress(),
        kinds={"scorecard"},
    )
    def resilience_scorecard(context: dg.AssetExecutionContext, stores: CloudStores) -> dg.MaterializeResult:
        """How much of the workload's resilience is proved, from 0 to 100, and by which events.

        One for the workload, every day. Guarantee: each point names its event, evidence older than 30 days loses value,
        and what no event proves counts as nothing.
        """
        from mcml_assets.scorecard.page import heat_map  # noqa: PLC0415 - matplotlib, only when one is made
        from mcml_assets.scorecard.publish import publish  # noqa: PLC0415 - the same
        from mcml_assets.training.figures import as_markdown  # noqa: PLC0415 - the same

        scorecard, file = publish(workload, context.instance, stores.settings, time.time())
        parts = {f"{part.name}_points": scorecard.points(part) for part in scorecard.components}
        rows = [
            f"| {part.question} | {scorecard.points(part):.1f} of {part.weight:g} | {len(part.missing())} |"
            for part in scorecard.components
        ]
        table = "\n".join(["| question | points | no event about |", "|---|---:|---:|", *rows])
        return dg.MaterializeResult(
            metadata={
                "score": scorecard.score,
                **parts,
                "page": dg.MetadataValue.path(str(file)),
                "rehearsals": dg.MetadataValue.md(as_markdown("rehearsals", heat_map(scorecard))),
                "report": dg.MetadataValue.md(table),
            }
        )

    return resilience_scorecard
