"""From what people wrote, once judged, to the frozen facts that everything else works with.

No rule belongs here: what reaches this module is right.
"""

from pathlib import Path

from mcml_assets.configuration.code_rules import function_signature
from mcml_assets.configuration.workload_model import (
    FeaturesModel,
    ObjectivesModel,
    PlacedModel,
    QualityModel,
    RolloutModel,
    ServingModel,
    SourceModel,
    WorkloadModel,
)
from mcml_assets.domain.canary import DEFAULT_CANARY, CanaryRules
from mcml_assets.domain.drift import DriftThresholds
from mcml_assets.domain.error_budget import Objectives
from mcml_assets.domain.quality import DEFAULT_QUALITY, QualityThresholds
from mcml_assets.domain.retention import Retention
from mcml_assets.domain.table_difference import Tolerance
from mcml_assets.domain.topology import Topology
from mcml_assets.domain.workload import (
    Entity,
    Features,
    FeatureView,
    FunctionReference,
    JurisdictionColumn,
    LockIn,
    PlacedLocation,
    Placement,
    Role,
    RolloutSteps,
    Serving,
    Source,
    Thresholds,
    Training,
    UserCheck,
    Workload,
)


def workload_facts(model: WorkloadModel, directory: Path, topology: Topology) -> Workload:
    """The workload of a judged model; paths and functions are those beside its `defs.yaml`, in `directory`."""
    training = model.training
    return Workload(
        name=model.name,
        owner=model.owner,
        description=model.description,
        classification=model.classification,
        personal_columns=tuple(model.personal_columns),
        regulations=tuple(model.regulations),
        placements=tuple(_placement(model.name, where, placed, topology) for where, placed in model.placements.items()),
        rto_seconds=model.rto_seconds,
        rpo_seconds=model.rpo_seconds,
        managed_services=tuple(model.managed_services),
        lock_in=LockIn(model.lock_in.cloud, model.lock_in.reason) if model.lock_in is not None else None,
        cron=model.cron,
        sources=tuple(_source(name, source, directory) for name, source in model.sources.items()),
        contract=_function(model.contract, directory),
        features=_features(model.features, directory),
        training=Training(
            train=_function(training.train, directory),
            target=_function(training.target, directory),
            metric=training.metric,
            horizon_days=training.horizon_days,
            test_share=training.test_share,
            compute_profile=training.compute_profile,
            equivalence_tolerance=training.equivalence_tolerance,
        ),
        serving=_serving(model.serving),
        thresholds=Thresholds(
            quality=_quality(model.thresholds.quality),
            drift=DriftThresholds(**model.thresholds.drift.model_dump()),
        ),
        directory=directory,
        tolerances={name: Tolerance(**entry.model_dump()) for name, entry in model.tolerances.items()},
        retention=Retention(**model.retention.model_dump()),
        failback=model.failback,
        contract_version=model.contract_version,
        on_breaking_contract=model.on_breaking_contract,
        checks=tuple(_check(reference, directory) for reference in model.checks),
        canary=CanaryRules(**model.canary.model_dump()) if model.canary is not None else DEFAULT_CANARY,
    )


def _serving(serving: ServingModel) -> Serving:
    return Serving(
        compute_profile=serving.compute_profile,
        golden_predictions=serving.golden_predictions,
        golden_tolerance=serving.golden_tolerance,
        timeout_seconds=serving.timeout_seconds,
        needs=tuple(serving.needs),
        objectives=_objectives(serving.objectives),
        rollout=_rollout(serving.rollout) if serving.rollout is not None else None,
    )


def _rollout(rollout: RolloutModel) -> RolloutSteps:
    return RolloutSteps(
        percents=tuple(rollout.steps),
        dwell_seconds=rollout.dwell_seconds,
        shadow_seconds=rollout.shadow_seconds,
        shadow_percent=rollout.shadow_percent,
        canaries=tuple(rollout.canaries),
    )


def _objectives(objectives: ObjectivesModel) -> Objectives:
    latency = objectives.latency
    return Objectives(objectives.availability, latency.milliseconds, latency.share, objectives.period_days)


def _quality(quality: QualityModel | None) -> QualityThresholds:
    if quality is None:
        return DEFAULT_QUALITY
    return QualityThresholds(
        quality.min_improvement, quality.served_margin, tuple(quality.segments), quality.max_calibration_error, quality.reason
    )


def _placement(workload: str, jurisdiction: str, placed: list[PlacedModel], topology: Topology) -> Placement:
    return Placement(
        jurisdiction,
        tuple(PlacedLocation(topology.location(entry.location), Role(entry.standby or "primary")) for entry in placed),
        topology.traffic.get((workload, jurisdiction), ()),
    )


def _source(name: str, source: SourceModel, directory: Path) -> Source:
    placed_by = source.placed_by
    return Source(
        name=name,
        path=directory / source.path,
        columns=dict(source.columns),
        event_time=source.event_time,
        first_batch_days=source.first_batch_days,
        batch_days=source.batch_days,
        placed_by=JurisdictionColumn(placed_by.column, {key: tuple(values) for key, values in placed_by.values.items()})
        if placed_by is not None
        else None,
    )


def _features(features: FeaturesModel, directory: Path) -> Features:
    as_of = features.as_of
    return Features(
        function=_function(features.function, directory),
        entity=Entity(features.entity.name, features.entity.key, features.entity.type),
        views=tuple(
            FeatureView(
                name=name,
                join_key=view.join_key,
                join_key_type=view.join_key_type,
                join_key_from=view.join_key_from,
                ttl_days=view.ttl_days,
                features=dict(view.features),
            )
            for name, view in features.views.items()
        ),
        first_after_days=as_of.first_after_days if as_of is not None else None,
        every_days=as_of.every_days if as_of is not None else None,
        contract=_function(features.contract, directory) if features.contract is not None else None,
        compute_profile=features.compute_profile,
    )


def _check(reference: str, directory: Path) -> UserCheck:
    parameters, description = function_signature(directory, reference) or (("raw_data",), "")
    return UserCheck(_function(reference, directory), parameters[0], description)


def _function(reference: str, directory: Path) -> FunctionReference:
    file, _, name = reference.partition(":")
    return FunctionReference(directory / file, name)
