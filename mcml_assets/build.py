"""The one assembly point: settings, topology and workloads become Definitions.

What an asset does is in `assets/`, when it runs in `automation.py`; this module only puts them together. A workload
that cannot be read is shown as such, and the others load.
"""

from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path

import dagster as dg

from mcml_assets.asset_checks.contract import build_feature_contract, build_raw_data_contract
from mcml_assets.asset_checks.drift import build_feature_drift, build_prediction_drift
from mcml_assets.asset_checks.endpoint_parity import build_endpoint_parity
from mcml_assets.asset_checks.evidence import build_evidence
from mcml_assets.asset_checks.feature_parity import build_feature_parity
from mcml_assets.asset_checks.global_traffic import build_global_traffic
from mcml_assets.asset_checks.health import build_endpoint_health, build_route_health
from mcml_assets.asset_checks.integrity import build_integrity
from mcml_assets.asset_checks.online_parity import build_online_parity
from mcml_assets.asset_checks.parity import build_model_parity, build_raw_data_parity
from mcml_assets.asset_checks.readiness import build_readiness
from mcml_assets.asset_checks.replication_lag import ORIGINS, build_replication_lag
from mcml_assets.asset_checks.user_checks import build_user_checks
from mcml_assets.assets.canary_training import build_canary_training
from mcml_assets.assets.drill_result import build_drill_result
from mcml_assets.assets.endpoint import build_endpoint
from mcml_assets.assets.feature_snapshot import build_feature_snapshot
from mcml_assets.assets.landing import build_landing
from mcml_assets.assets.model import build_model
from mcml_assets.assets.raw_data import build_raw_data
from mcml_assets.assets.resilience_scorecard import build_resilience_scorecard
from mcml_assets.assets.source import build_sources
from mcml_assets.assets.traffic_route import build_traffic_route
from mcml_assets.assets.training_run import build_training_run
from mcml_assets.configuration.settings import DEFS, PROJECT_ROOT, Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.configuration.workload import find_workload_files, load_workload, load_workloads
from mcml_assets.declaration import GRAIN_TAG
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.workload import Workload
from mcml_assets.jobs import collection, integrity_scrub, replication_lag
from mcml_assets.rehearsals.drills import build_rehearsals
from mcml_assets.rehearsals.gameday_reminder import gameday_reminder, quarterly_gameday_reminder
from mcml_assets.rehearsals.restore_rehearsal import restore_rehearsal, weekly_restore_rehearsal
from mcml_assets.resources.alerts import Alerts
from mcml_assets.resources.endpoints import Endpoints
from mcml_assets.resources.stores import CloudStores
from mcml_assets.schedules import daily_collection, daily_scrub, lag_watch
from mcml_assets.sensors.alerting import alerting
from mcml_assets.sensors.endpoint_health import endpoint_health
from mcml_assets.sensors.failover import build_failover
from mcml_assets.sensors.pace import LOOP_SECONDS, every
from mcml_assets.sensors.recovery import build_recovery
from mcml_assets.sensors.repair import build_repair
from mcml_assets.sensors.retraining import build_retraining
from mcml_assets.sensors.synthetic_transactions import build_synthetic_transactions
from mcml_assets.sensors.watchdog import watchdog


def build_definitions(settings: Settings | None = None) -> dg.Definitions:
    """The whole code location: every workload under `mcml_assets/defs`, resources, and the automation sensor."""
    settings = settings or Settings()
    return dg.Definitions.merge(
        load_workload_definitions(settings),
        build_resources(settings),
        dg.Definitions(sensors=[*_automation_sensors(), alerting, endpoint_health, *build_failover_sensors(settings)]),
        dg.Definitions(sensors=[build_synthetic_transactions(_all_workloads(settings))]),
        dg.Definitions(
            jobs=[integrity_scrub, collection, replication_lag, restore_rehearsal, gameday_reminder],
            schedules=[daily_scrub, daily_collection, lag_watch, weekly_restore_rehearsal, quarterly_gameday_reminder],
        ),
        build_rehearsals(settings),
    )


def build_resources(settings: Settings) -> dg.Definitions:
    """What the assets run with: the location's stores, the endpoint platform, and the executor."""
    return dg.Definitions(
        resources={
            "stores": CloudStores.from_settings(settings),
            "endpoints": Endpoints.from_settings(settings),
            "alerts": Alerts.from_settings(settings),
        },
        # One process per run: a run of four assets costs what one costs, the default executor three times as much.
        executor=dg.in_process_executor,
    )


def build_failover_sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """The sensors that decide over all workloads; they read the declarations at their first tick, and then remember them."""
    workloads = _all_workloads(settings)
    over_all = (build_failover, build_recovery, build_repair, build_retraining)
    return [*(build(workloads) for build in over_all), watchdog]


def _all_workloads(settings: Settings) -> Callable[[], tuple[Workload, ...]]:
    return partial(_loaded_workloads, DEFS, settings.topology_file)


@cache
def _loaded_workloads(defs: Path, topology_file: Path) -> tuple[Workload, ...]:
    return tuple(load_workloads(defs, load_topology(topology_file))[0])


def load_workload_definitions(settings: Settings) -> dg.Definitions:
    """Definitions of all workloads; a broken one becomes one asset that tells what is wrong with its file."""
    topology = load_topology(settings.topology_file)
    files = find_workload_files(DEFS)
    sound: list[dg.Definitions] = []
    broken: list[dg.Definitions] = []
    for file in files:
        try:
            sound.append(build_workload(load_workload(file, topology)))
        except ConfigurationError as error:
            broken.append(_broken_workload(file.parent.name, error))
    if broken:
        # Dagster's own loader stops at the first file it cannot read, so it must not see any of them.
        return dg.Definitions.merge(*sound, *broken)
    # The tree behind `load_from_defs_folder`, folder by folder: loaded as a whole it also imports every installed
    # plugin of Dagster to describe its components, which with the clouds' integrations costs each run 5 s.
    tree = dg.ComponentTree.for_project(PROJECT_ROOT)
    return dg.Definitions.merge(*(tree.build_defs_at_path(file.parent) for file in files))


def build_workload(workload: Workload) -> dg.Definitions:
    """All assets and checks of one workload; no workload is treated differently from another."""
    assets = [
        build_landing(workload),
        build_raw_data(workload),
        build_feature_snapshot(workload),
        build_training_run(workload),
        build_model(workload),
        build_endpoint(workload),
        build_traffic_route(workload),
        build_canary_training(workload),
    ]
    checks = [
        build_raw_data_contract(workload),
        build_feature_contract(workload),
        *build_user_checks(workload),
        build_integrity(workload, "raw_data"),
        build_integrity(workload, "feature_snapshot"),
        build_integrity(workload, "model"),
        build_raw_data_parity(workload),
        build_feature_parity(workload),
        build_online_parity(workload),
        build_model_parity(workload),
        build_endpoint_parity(workload),
        build_feature_drift(workload),
        build_prediction_drift(workload),
        *(build_replication_lag(workload, noun) for noun in ORIGINS),
        build_endpoint_health(workload),
        build_readiness(workload),
        build_route_health(workload),
        *build_global_traffic(workload),
    ]
    evidence = build_evidence(workload, [*assets, *checks])
    return dg.Definitions(
        assets=[*build_sources(workload), *assets, build_drill_result(workload), build_resilience_scorecard(workload)],
        asset_checks=[*checks, evidence],
    )


def _automation_sensors() -> list[dg.AutomationConditionSensorDefinition]:
    """One sensor for assets by location, one for the few assets by jurisdiction, whose runs pass the others in the queue."""
    by_jurisdiction = dg.AssetSelection.tag(GRAIN_TAG, "jurisdiction")
    return [
        _automation_sensor("automation_by_location", dg.AssetSelection.all() - by_jurisdiction, run_tags={}),
        # A training run or a route holds up, or releases, every location of a jurisdiction.
        _automation_sensor("automation_by_jurisdiction", by_jurisdiction, run_tags={"dagster/priority": "1"}),
    ]


def _automation_sensor(
    name: str, target: dg.AssetSelection, run_tags: Mapping[str, str]
) -> dg.AutomationConditionSensorDefinition:
    return dg.AutomationConditionSensorDefinition(
        name,
        target=target,
        run_tags=run_tags,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=every(LOOP_SECONDS),
        # One run per location, not a backfill over several: a backfill would wait for the slowest location.
        emit_backfills=False,
        description="Requests what has become due, by the conditions in automation.py.",
    )


def _broken_workload(name: str, error: ConfigurationError) -> dg.Definitions:
    return dg.Definitions(
        assets=[
            dg.AssetSpec(
                dg.AssetKey([name, "configuration"]),
                group_name=name,
                kinds={"error"},
                description=f"This workload is not loaded. Mend its file, then reload the code location.\n\n```\n{error}\n```",
            )
        ]
    )
