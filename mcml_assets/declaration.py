"""What all assets of a workload declare alike: key, group, owner, tags; and the form of their metadata.

What one asset is and does belongs in that asset's own module.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, TypedDict

import dagster as dg

from mcml_assets.domain.snapshot import Manifest
from mcml_assets.domain.workload import Workload


def asset_key(workload: Workload, noun: str) -> dg.AssetKey:
    """`[workload, noun]`, the only form an asset key has here."""
    return dg.AssetKey([workload.name, noun])


GRAIN_TAG = "mcml/grain"
DATA_VERSION_TAG = "dagster/data_version"
BY_JURISDICTION = ("landing", "training_run", "traffic_route")


class Declaration(TypedDict):
    """Arguments of `@dg.asset` that follow from the workload alone."""

    key: dg.AssetKey
    group_name: str
    owners: list[str]
    tags: dict[str, str]
    code_version: str


def declared(workload: Workload, noun: str) -> Declaration:
    """What every asset of a workload declares alike; its grain is a tag, because automation asks for it."""
    return Declaration(
        key=asset_key(workload, noun),
        group_name=workload.name,
        owners=[workload.owner],
        tags={
            "mcml/classification": workload.classification.value,
            GRAIN_TAG: "jurisdiction" if noun in BY_JURISDICTION else "location",
        },
        code_version=code_version(workload),
    )


def code_version(workload: Workload) -> str:
    """A digest of what the user wrote beside `defs.yaml`: other code, other version."""
    digest = sha256()
    for file in sorted(workload.directory.glob("*.py")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def now() -> str:
    """The present in UTC, as manifests record it (ISO 8601, seconds)."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def watermark_of(manifest: Manifest) -> datetime | None:
    """Up to when the snapshot's source was complete; None where time has no meaning."""
    return moment_of(manifest.watermark)


def moment_of(watermark: str | None) -> datetime | None:
    """A watermark as a moment; times without a zone are UTC by declaration."""
    if watermark is None:
        return None
    moment = datetime.fromisoformat(watermark)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def snapshot_metadata(manifest: Manifest) -> dict[str, Any]:
    """What people want to see of any snapshot; numbers stay numbers, so that Dagster plots them over time."""
    table = {"dagster/row_count": manifest.row_count, "watermark": manifest.watermark} if manifest.schema else {}
    return {
        **table,
        "bytes": manifest.size,
        "files": len(manifest.files),
        "snapshot": manifest.snapshot_id[:12],
        "epoch": manifest.epoch,
        "producer": manifest.producer,
    }


def column_schema(columns: Mapping[str, str]) -> dg.TableSchema:
    """A table's columns and Arrow types in the form the UI shows."""
    return dg.TableSchema(columns=[dg.TableColumn(name, kind) for name, kind in columns.items()])


def published(manifest: Manifest, metadata: Mapping[str, Any]) -> dg.MaterializeResult:
    """The result of every asset that is a snapshot: its `DataVersion` is the snapshot id, so parity compares tags."""
    return dg.MaterializeResult(
        data_version=dg.DataVersion(manifest.snapshot_id),
        metadata={**snapshot_metadata(manifest), **metadata},
    )
