"""Removing the snapshots and blobs of a workload in one bucket that nothing needs any more.

What may go is decided in `domain/retention.py`. A snapshot stays while it is current or was just before, is among the
newest, young, on legal hold, served or kept for rollback by an endpoint, an origin of a current snapshot, or superseded so
lately that somebody may still read it. A blob stays while a snapshot that stays names it, a writer at work needs it, or it
is younger than the grace period: so what a crashed writer left goes after that.

Why this is safe while others write is argued in `intents.py`; this module keeps its part of it: the marker first, the
intents next, then everything that names blobs, and only then removals, manifests before blobs. When anything that stays
cannot be read, what it needs is unknown and nothing is removed. Readers are protected by time: a copy from here that takes
longer than the grace period, out of a snapshot that is superseded meanwhile, may lose its source, and fails as such.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from mcml_assets.clouds.interfaces import CloudStore, ObjectMeta, ObjectStore
from mcml_assets.domain.errors import CorruptSnapshot, ObjectNotFound
from mcml_assets.domain.retention import Retention, kept
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.snapshots.intents import Lease, WorkloadActivity
from mcml_assets.snapshots.store import SnapshotStore
from mcml_assets.snapshots.workers import run_all

GRACE = timedelta(hours=24)
BATCH = 256
CONCURRENCY = 8


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection found and did in one bucket: how many snapshots and blobs went and stayed, and the bytes.

    `discarded_uploads` were begun by processes that died.
    """

    removed_snapshots: int
    removed_blobs: int
    removed_bytes: int
    kept_snapshots: int
    kept_blobs: int
    kept_bytes: int
    discarded_uploads: int
    seconds: float


@dataclass(slots=True)
class _Stored:
    """What a listing of the workload's folder shows, by what it is."""

    manifests: dict[str, dict[str, ObjectMeta]] = field(default_factory=lambda: defaultdict(dict))
    holds: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    blobs: list[ObjectMeta] = field(default_factory=list[ObjectMeta])


def collect(
    store: ObjectStore,
    workload: str,
    retention: Retention,
    *,
    needed: Collection[str] = (),
    grace: timedelta = GRACE,
    now: datetime | None = None,
) -> Collected:
    """Remove from one bucket what the workload needs no more.

    `needed` are ids of snapshots that somebody outside of the bucket needs: the model packages of endpoints. `grace` is
    how long a blob that nothing names, and a snapshot that was superseded, stay.

    Raises `TransientError` while another collection is under way, or when this one stood still for so long that others
    may take it for dead; `CorruptSnapshot` when something that stays cannot be read; `LocationUnavailable`. In each case
    everything that stays is whole, and the next collection goes on.
    """
    began = datetime.now(UTC)
    now = now or began
    activity = WorkloadActivity(store, workload)
    with activity.collecting() as marker:
        at_work = activity.protected()
        stored = _stored(store, workload, marker)
        live, manifests = _live(store, workload, stored, retention, at_work | set(needed), grace, now, marker)
        dead = [
            meta.key
            for asset, of_asset in stored.manifests.items()
            for snapshot_id, meta in of_asset.items()
            if snapshot_id not in live[asset]
        ]
        named = at_work.union(*(manifest.needs for manifest in manifests))
        orphans = [
            meta
            for meta in stored.blobs
            if meta.key.rpartition("/")[2] not in named and meta.modified is not None and now - meta.modified > grace
        ]
        _remove(store, dead, marker)
        _remove(store, [meta.key for meta in orphans], marker)
        # One that is still under way after a day is nobody's: a request ends within half an hour.
        uploads = store.discard_uploads(workload, now - max(grace, GRACE)) if isinstance(store, CloudStore) else 0
    removed = sum(meta.size for meta in orphans)
    return Collected(
        removed_snapshots=len(dead),
        removed_blobs=len(orphans),
        removed_bytes=removed,
        kept_snapshots=sum(map(len, stored.manifests.values())) - len(dead),
        kept_blobs=len(stored.blobs) - len(orphans),
        kept_bytes=sum(meta.size for meta in stored.blobs) - removed,
        discarded_uploads=uploads,
        seconds=(datetime.now(UTC) - began).total_seconds(),
    )


def _stored(store: ObjectStore, workload: str, marker: Lease) -> _Stored:
    stored = _Stored()
    for meta in store.list(workload):
        marker.keep()
        match meta.key.removeprefix(f"{workload}/").split("/"):
            case ["blobs", _, _, _]:
                stored.blobs.append(meta)
            case [asset, "manifests", name]:
                stored.manifests[asset][name.removesuffix(".json")] = meta
            case [asset, "holds", name]:
                stored.holds[asset].add(name.removesuffix(".json"))
            case _:
                pass  # pointers, intents, the marker, and what is not ours
    return stored


def _live(
    store: ObjectStore,
    workload: str,
    stored: _Stored,
    retention: Retention,
    needed: frozenset[str],
    grace: timedelta,
    now: datetime,
    marker: Lease,
) -> tuple[Mapping[str, frozenset[str]], Sequence[Manifest]]:
    """The ids of the snapshots that stay, by asset, and all their manifests."""
    assets = {asset: SnapshotStore(store, workload, asset) for asset in stored.manifests}
    wanted: dict[str, set[str]] = {asset: stored.holds[asset] | needed for asset in assets}
    for asset, snapshots in assets.items():
        marker.keep()
        pointer = snapshots.current_pointer()
        if pointer is None:
            continue
        wanted[asset] |= {pointer.snapshot_id, pointer.previous or pointer.snapshot_id}
        for origin, snapshot_id in _manifest(snapshots, pointer.snapshot_id).parents.items():
            wanted.setdefault(origin, set()).add(snapshot_id)
    live = {
        asset: kept(
            {snapshot_id: meta.modified for snapshot_id, meta in manifests.items()},
            retention, needed=wanted[asset], grace=grace, now=now,
        )
        for asset, manifests in stored.manifests.items()
    }  # fmt: skip
    manifests: list[Manifest] = []
    for asset, snapshot_ids in live.items():
        for snapshot_id in snapshot_ids:
            marker.keep()
            manifests.append(_manifest(assets[asset], snapshot_id))
    return live, manifests


def _manifest(snapshots: SnapshotStore, snapshot_id: str) -> Manifest:
    try:
        return snapshots.manifest(snapshot_id)
    except ObjectNotFound as error:
        raise CorruptSnapshot(f"{snapshots.location}: the manifest of {snapshot_id}, which is needed, is missing") from error


def _remove(store: ObjectStore, keys: Sequence[str], marker: Lease) -> None:
    for start in range(0, len(keys), BATCH):
        marker.keep()
        run_all(store.delete, keys[start : start + BATCH], concurrency=CONCURRENCY)
