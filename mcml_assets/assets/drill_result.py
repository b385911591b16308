"""`drill_result`: a rehearsed failure of the running platform, and what it showed. Rehearsing is `drills/`'s business."""

import dagster as dg

from mcml_assets.configuration.scenario_files import scenario_files, scenario_named
from mcml_assets.declaration import asset_key
from mcml_assets.domain.drill import Verdict
from mcml_assets.domain.workload import Workload
from mcml_assets.resources.stores import CloudStores


class DrillConfig(dg.Config):
    """What a drill of a workload may be told: where it is rehearsed; the first placement's jurisdiction if absent.

    `location` takes the place of the scenario's acting location or standby, and says the jurisdiction as well.
    """

    jurisdiction: str | None = None
    location: str | None = None


def build_drill_result(workload: Workload) -> dg.AssetsDefinition:
    """The `drill_result` asset of a workload."""

    @dg.asset(
        key=asset_key(workload, "drill_result"),
        group_name=workload.name,
        owners=[workload.owner],
        partitions_def=dg.StaticPartitionsDefinition(sorted(scenario_files())),
        kinds={"drill"},
    )
    def drill_result(context: dg.AssetExecutionContext, config: DrillConfig, stores: CloudStores) -> dg.MaterializeResult:
        """A rehearsed failure: what was expected, what happened, and whether the objectives were met.

        One partition per scenario. Guarantee: it is measured from events of the real failover under load, what was broken
        is mended, and a drill that could not begin is no result.
        """
        from mcml_assets.drills.results import keep, metadata  # noqa: PLC0415 - the same
        from mcml_assets.drills.run import rehearse  # noqa: PLC0415 - matplotlib and httpx, only when a drill runs

        chosen = config.location and workload.placement_of(config.location).jurisdiction
        jurisdiction = workload.placement(chosen or config.jurisdiction or workload.jurisdictions[0]).jurisdiction
        scenario, tell = scenario_named(context.partition_key), context.log.info
        result = rehearse(scenario, workload, jurisdiction, stores.settings, context.instance, tell, config.location)
        if result.verdict is Verdict.REFUSED:
            raise dg.Failure(f"the drill did not begin: {'; '.join(result.reasons)}", allow_retries=False)
        return dg.MaterializeResult(metadata=metadata(result, keep(result, stores.settings)))

    return drill_result
