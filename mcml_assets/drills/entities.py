"""Entities to ask about in a drill: some that the acting location's features are about. They are asked about, never shown."""

from pathlib import Path
from tempfile import TemporaryDirectory

from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.workload import Workload
from mcml_assets.failover.takeover import OpenSnapshots

WANTED = 20


def known_entities(workload: Workload, location: str, open_snapshots: OpenSnapshots) -> list[int | str]:
    """Up to 20 entities of the feature snapshot in a location, always the same ones of one snapshot.

    Raises `ConfigurationError` when the location has no features, and what the store raises.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415 - 0.2 s, only when something is asked

    store = open_snapshots(workload, location, "feature_snapshot")
    manifest = store.current()
    view = next(view for view in workload.features.views if view.join_key_from is None)
    files = [] if manifest is None else sorted(file.path for file in manifest.files if file.path.startswith(f"{view.name}/"))
    if manifest is None or not files:
        raise ConfigurationError(f"{location} has no features of {workload.name}: there is nobody to ask about")
    with TemporaryDirectory() as scratch:
        newest = store.fetch(manifest, Path(scratch))[files[-1]]
        keys = pq.read_table(newest, columns=[view.join_key]).column(0).unique().to_pylist()
    step = max(1, len(keys) // WANTED)
    return keys[::step][:WANTED]
