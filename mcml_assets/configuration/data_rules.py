"""What sources and feature views must say to fit each other and the placements.

Each rule yields what is wrong, at which key. Whether a source's file is there, and holds what is declared, is found
when it is read: a file that vanishes must stop its landing, and not take the workload's endpoints off the map.
"""

from collections.abc import Iterator, Mapping

from mcml_assets.configuration.problems import Problem
from mcml_assets.configuration.workload_model import FeatureViewModel, PlacedByModel, SourceModel, WorkloadModel
from mcml_assets.configuration.yaml_lines import KeyPath
from mcml_assets.domain.topology import did_you_mean

RESERVED_COLUMNS = ("event_timestamp",)


def source_problems(model: WorkloadModel) -> Iterator[Problem]:
    """Event times and batch lengths."""
    for name, source in model.sources.items():
        yield from _event_time(("sources", name), source)


def division_problems(model: WorkloadModel) -> Iterator[Problem]:
    """How rows are divided among the jurisdictions of the placements."""
    for name, source in model.sources.items():
        here = ("sources", name)
        if source.placed_by is not None:
            yield from _placed_by((*here, "placed_by"), source.placed_by, source.columns, list(model.placements))
        elif source.event_time is not None and len(model.placements) > 1:
            yield Problem(
                here,
                f"placed_by is missing: it must say which rows belong to {' and which to '.join(model.placements)}",
            )


def personal_column_problems(model: WorkloadModel) -> Iterator[Problem]:
    """A personal column that no source has protects nobody."""
    columns = [column for source in model.sources.values() for column in source.columns]
    for index, column in enumerate(model.personal_columns):
        if column not in columns:
            yield Problem(("personal_columns", index), f"no source has a column {column!r}{did_you_mean(column, columns)}")


def view_problems(model: WorkloadModel) -> Iterator[Problem]:
    """Every view's join key must be known when a prediction is asked for, and every feature's name be its own."""
    views, owners = model.features.views, dict[str, str]()
    for name, view in views.items():
        here = ("features", "views", name)
        if view.join_key_from is not None:
            yield from _join_key_from((*here, "join_key_from"), name, views)
        else:
            yield from _entity_key(here, view, model)
        for feature in view.features:
            at = (*here, "features", feature)
            if feature in (view.join_key, *RESERVED_COLUMNS):
                yield Problem(at, f"{feature!r} is the view's key or time, and cannot be a feature of it")
            if feature in owners:
                yield Problem(at, f"view {owners[feature]!r} has a feature of this name too: a model could not tell them apart")
            owners.setdefault(feature, name)


def tolerance_problems(model: WorkloadModel) -> Iterator[Problem]:
    """A tolerance needs a feature that is a fraction, and a size."""
    types = {name: type_ for view in model.features.views.values() for name, type_ in view.features.items()}
    for name, tolerance in model.tolerances.items():
        at = ("tolerances", name)
        if name not in types:
            yield Problem(at, f"no view has a feature {name!r}{did_you_mean(name, list(types))}")
        elif not types[name].startswith("float"):
            yield Problem(at, f"{name!r} is {types[name]}: only fractions depend on the order of computation")
        elif not tolerance.absolute and not tolerance.relative:
            yield Problem(at, "tolerates nothing: give absolute or relative, or remove it")


def segment_problems(model: WorkloadModel) -> Iterator[Problem]:
    """Held-out rows are divided by what a model takes, and each feature divides them once."""
    quality = model.thresholds.quality
    views = model.features.views.values()
    keys = {view.join_key for view in views}
    offered = [name for view in views for name in view.features if name not in keys]
    seen: set[str] = set()
    for index, name in enumerate(quality.segments if quality is not None else ()):
        at = ("thresholds", "quality", "segments", index)
        if name in keys:
            yield Problem(at, f"{name!r} is a key, and every row would be a segment: name a feature")
        elif name not in offered:
            yield Problem(at, f"no view has a feature {name!r}{did_you_mean(name, offered)}")
        elif name in seen:
            yield Problem(at, f"{name!r} is listed twice")
        seen.add(name)


def _event_time(here: KeyPath, source: SourceModel) -> Iterator[Problem]:
    days = ("first_batch_days", "batch_days")
    if source.event_time is None:
        for key in days:
            if getattr(source, key) is not None:
                yield Problem((*here, key), "batches go by time: name the timestamp column with event_time")
        return
    declared = source.columns.get(source.event_time)
    if declared is None:
        nearest = did_you_mean(source.event_time, list(source.columns))
        yield Problem((*here, "event_time"), f"the source has no column {source.event_time!r}{nearest}")
    elif not declared.startswith("timestamp"):
        times = [column for column, type_ in source.columns.items() if type_.startswith("timestamp")]
        yield Problem(
            (*here, "event_time"),
            f"{source.event_time!r} is {declared}, and must be a timestamp{did_you_mean(source.event_time, times)}",
        )
    for key in days:
        if getattr(source, key) is None:
            yield Problem((*here, "event_time"), f"{key} is missing: how many days a landing takes")


def _placed_by(at: KeyPath, placed_by: PlacedByModel, columns: Mapping[str, str], placed: list[str]) -> Iterator[Problem]:
    column, values = placed_by.column, placed_by.values
    declared = columns.get(column)
    if declared is None:
        yield Problem((*at, "column"), f"the source has no column {column!r}{did_you_mean(column, list(columns))}")
    elif declared != "string":
        yield Problem((*at, "column"), f"{column!r} is {declared}, and must be a string")
    owners: dict[str, str] = {}
    for jurisdiction, of_jurisdiction in values.items():
        if jurisdiction not in placed:
            nearest = did_you_mean(jurisdiction, placed)
            yield Problem((*at, "values", jurisdiction), f"the workload has no placement in {jurisdiction!r}{nearest}")
        for index, value in enumerate(of_jurisdiction):
            if value in owners:
                yield Problem(
                    (*at, "values", jurisdiction, index),
                    f"{value!r} is already listed for {owners[value]}: a row belongs to one jurisdiction",
                )
            owners.setdefault(value, jurisdiction)
    for jurisdiction in placed:
        if jurisdiction not in values:
            yield Problem((*at, "values"), f"no values for {jurisdiction}: nothing would ever land there")


def _join_key_from(at: KeyPath, name: str, views: dict[str, FeatureViewModel]) -> Iterator[Problem]:
    view = views[name]
    others = [other for other in views if other != name]
    origin = view.join_key_from or ""
    if origin not in others:
        yield Problem(at, f"there is no other view {origin!r}{did_you_mean(origin, others)}")
        return
    offered = views[origin].features
    if view.join_key not in offered:
        nearest = did_you_mean(view.join_key, list(offered))
        yield Problem(at, f"view {origin!r} has no feature {view.join_key!r}, the join key here{nearest}")
    elif offered[view.join_key] != view.join_key_type:
        yield Problem(
            at,
            f"feature {view.join_key!r} of view {origin!r} is {offered[view.join_key]}, and here {view.join_key_type}",
        )
    if views[origin].join_key_from is not None:
        yield Problem(at, f"view {origin!r} needs a key from a view itself: take one keyed by the entity")


def _entity_key(here: KeyPath, view: FeatureViewModel, model: WorkloadModel) -> Iterator[Problem]:
    entity = model.features.entity
    if view.join_key != entity.key:
        yield Problem(
            (*here, "join_key"),
            f"{view.join_key!r} is not the entity's key {entity.key!r}: say with join_key_from which view has it",
        )
    elif view.join_key_type != entity.type:
        yield Problem((*here, "join_key_type"), f"{view.join_key_type}, but the entity's key is {entity.type}")
