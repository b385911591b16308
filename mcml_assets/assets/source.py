"""The sources of a workload: data that others own, shown so that lineage begins where the data does."""

import dagster as dg

from mcml_assets.declaration import asset_key, column_schema
from mcml_assets.domain.workload import Source, Workload


def build_sources(workload: Workload) -> list[dg.AssetSpec]:
    """One external asset per source; nothing here ever writes to one."""
    return [_source(workload, source) for source in workload.sources]


def seen_source(workload: Workload, source: Source) -> dg.AssetMaterialization:
    """What a landing saw of a source, as the event by which Dagster knows a version of data that others own."""
    stat = source.path.stat()
    return dg.AssetMaterialization(
        asset_key(workload, source.name),
        description="Seen by landing; its owner published it.",
        metadata={
            "file": source.path.name,
            "bytes": stat.st_size,
            "modified": dg.MetadataValue.timestamp(stat.st_mtime),
        },
        tags={"dagster/data_version": f"{stat.st_mtime_ns}-{stat.st_size}"},
    )


def _source(workload: Workload, source: Source) -> dg.AssetSpec:
    taken = (
        f"Incremental by `{source.event_time}`: the first landing takes {source.first_batch_days} days, "
        f"each later one the next {source.batch_days}."
        if source.event_time
        else "A reference table, taken whole whenever it changed."
    )
    return dg.AssetSpec(
        asset_key(workload, source.name),
        description=f"Source table `{source.path.name}` of {workload.name}.\n\n{taken}",
        group_name=workload.name,
        owners=[workload.owner],
        kinds={"source", "parquet"},
        metadata={"dagster/column_schema": column_schema(source.columns)},
    )
