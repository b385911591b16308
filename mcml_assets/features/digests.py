"""The digests of a feature snapshot, view by view, as its manifest's annotations keep them, and how two snapshots differ.

With digests at hand locations are compared without any data. Imports nothing heavy; its functions do.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mcml_assets.domain.errors import CorruptSnapshot
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.domain.table_difference import TableDifference
from mcml_assets.domain.table_digest import TableDigest
from mcml_assets.domain.workload import Workload

ANNOTATION = "digests"
EVENT_TIMESTAMP = "event_timestamp"


def view_digests(workload: Workload, files: Mapping[str, Path]) -> dict[str, TableDigest]:
    """The digest of each view; `files` is path in the snapshot (`<view>/<date>.parquet`) -> file.

    Raises `CorruptSnapshot` when a view has no file, or one cannot be read as Parquet.
    """
    from mcml_assets.comparison.digest import digest_files  # noqa: PLC0415 - pyarrow, only where data is at hand

    return {view.name: digest_files(_of_view(files, view.name)) for view in workload.features.views}


def annotation(digests: Mapping[str, TableDigest]) -> dict[str, Any]:
    """The form that a manifest keeps."""
    return {name: digest.to_json() for name, digest in digests.items()}


def stored_digests(manifest: Manifest) -> dict[str, TableDigest] | None:
    """The digests that the manifest keeps, None where it keeps none. Raises `CorruptSnapshot` when they are damaged."""
    stored = manifest.annotations.get(ANNOTATION)
    if stored is None:
        return None
    return {name: TableDigest.from_json(document) for name, document in stored.items()}


def compare_views(
    workload: Workload, one: Mapping[str, Path], other: Mapping[str, Path], views: Collection[str] | None = None
) -> dict[str, TableDifference]:
    """The views, or those that are named, compared row by row, within the workload's tolerances; by name.

    Raises `ContractViolation` when rows cannot be matched, because a key is missing or has another type.
    """
    from mcml_assets.comparison.difference import compare_files  # noqa: PLC0415 - pyarrow, only where digests differ

    return {
        view.name: compare_files(
            _of_view(one, view.name),
            _of_view(other, view.name),
            keys=[view.join_key, EVENT_TIMESTAMP],
            tolerances=workload.tolerances,
        )
        for view in workload.features.views
        if views is None or view.name in views
    }


def _of_view(files: Mapping[str, Path], view: str) -> list[Path]:
    found = [file for path, file in sorted(files.items()) if path.split("/")[0] == view]
    if not found:
        raise CorruptSnapshot(f"the feature snapshot has no file of view {view!r}; it has {sorted(files)}")
    return found
