"""Legal holds: a snapshot on hold is removed by no collection, however old it is, until the hold is released.

A hold is an object beside the snapshot's manifest, in the same location; whoever wants every copy kept places one in each.
"""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from mcml_assets.domain.errors import ConfigurationError, CorruptSnapshot, ObjectNotFound
from mcml_assets.domain.snapshot import canonical_json, check_digest
from mcml_assets.snapshots.store import SnapshotStore


@dataclass(frozen=True, slots=True)
class Hold:
    """Why, by whom and since when (ISO 8601, UTC) a snapshot must stay."""

    snapshot_id: str
    reason: str
    who: str
    placed_at: str


def place_hold(store: SnapshotStore, snapshot_id: str, reason: str, who: str) -> Hold:
    """Keep a snapshot until `release_hold`; a second hold on it replaces reason and name.

    When this returns, the snapshot is stored with all its files, and stays. Raises `ObjectNotFound` for a snapshot that
    is not stored here, `CorruptSnapshot` for one whose files are not all there, `ConfigurationError` without a reason or
    a name; then nothing is held.
    """
    check_digest(snapshot_id)
    if not reason.strip() or not who.strip():
        raise ConfigurationError("a legal hold needs a reason, and the name of who places it")
    manifest = store.manifest(snapshot_id)
    # As a writer that needs all its blobs: no collection is under way while the hold appears, and the next one sees it.
    with store.activity.writing(manifest.needs) as intent:
        manifest = store.manifest(snapshot_id)
        held = store.blobs.held({file.blob: file for file in manifest.files}.values(), 8, intent.keep)
        for file in manifest.files:
            if file.blob not in held:
                raise CorruptSnapshot(f"{store.location}: {file.path!r} of {snapshot_id} is missing, so it cannot be held")
        hold = Hold(snapshot_id, reason.strip(), who.strip(), datetime.now(UTC).isoformat(timespec="seconds"))
        intent.confirm()
        store.put_hold(snapshot_id, canonical_json(asdict(hold)))
    return hold


def release_hold(store: SnapshotStore, snapshot_id: str) -> Hold:
    """Let a snapshot go by its retention again; returns the hold that was. Raises `ObjectNotFound` when there is none."""
    check_digest(snapshot_id)
    hold = _read(store, snapshot_id)
    store.delete_hold(snapshot_id)
    return hold


def holds(store: SnapshotStore) -> tuple[Hold, ...]:
    """Every hold on snapshots of this asset in this location. Raises `CorruptSnapshot` for one that is unreadable."""
    return tuple(_read(store, snapshot_id) for snapshot_id in store.held_snapshots())


def _read(store: SnapshotStore, snapshot_id: str) -> Hold:
    try:
        return Hold(**json.loads(store.get_hold(snapshot_id)))
    except ObjectNotFound:
        raise ObjectNotFound(f"{store.location} has no hold on {snapshot_id}") from None
    except (ValueError, TypeError) as error:
        # Its name alone keeps the snapshot: a hold that nobody can read still holds.
        raise CorruptSnapshot(f"{store.location}: the hold on {snapshot_id} is unreadable: {error}") from None
