"""Restoring an earlier snapshot by a person's order: whether it may be, the restoring itself, and the event that tells it.

How a pointer goes back is `snapshots/restore.py`'s business; arguments and printing are in `commands/snapshot.py`.
"""

from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from mcml_assets.declaration import BY_JURISDICTION, DATA_VERSION_TAG, asset_key, snapshot_metadata
from mcml_assets.domain.acting import Acting
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.domain.workload import Workload
from mcml_assets.resources.stores import CloudStores
from mcml_assets.snapshots.pointer import PointerVersion
from mcml_assets.snapshots.restore import restore as go_back
from mcml_assets.snapshots.store import SnapshotStore


@dataclass(frozen=True, slots=True)
class Order:
    """What a person orders: which asset where, to which snapshot, and for the record who and why."""

    workload: Workload
    noun: str
    location: str
    snapshot_id: str
    who: str
    why: str

    @property
    def partition(self) -> str:
        """The asset's partition that the location's pointer stands for."""
        return self.workload.placed(self.location).location.jurisdiction if self.noun in BY_JURISDICTION else self.location


@dataclass(frozen=True, slots=True)
class Restored:
    """What came of an order: the former snapshot's id, the epoch, whether the pointer moved, whether Dagster was told."""

    former: str
    epoch: int
    moved: bool
    recorded: bool


def restore(stores: CloudStores, order: Order, dagster_home: Path, *, dry_run: bool = False) -> Restored:
    """Carry out an order, and report it to the Dagster instance of `dagster_home` where there is one.

    Raises `ConfigurationError` where nothing can be restored or another location has the say, `RegisterUnavailable` when
    nobody can tell who acts, and as `snapshots.restore.restore` does.
    """
    acting = stores.acting(order.workload, order.workload.placement_of(order.location).jurisdiction)
    store = stores.snapshots(order.workload, order.location, order.noun)
    former = _former(store, order, acting)
    manifest, moved = go_back(store, order.snapshot_id, acting.epoch, former, dry_run=dry_run)
    recorded = moved and _report(order, manifest, former.pointer.snapshot_id, acting.epoch, dagster_home)
    return Restored(former.pointer.snapshot_id, acting.epoch, moved, recorded)


def _former(store: SnapshotStore, order: Order, acting: Acting) -> PointerVersion:
    """The pointer as it is; refused where moving it would be undone, or would stand for something else."""
    if order.noun in BY_JURISDICTION and order.location != acting.location:
        raise ConfigurationError(
            f"{order.noun} of {order.partition} is what {acting.location} has, which is acting: restore it there"
        )
    former = store.pointer.read_as(acting.epoch)
    if former is None:
        raise ConfigurationError(f"{order.location} never had a snapshot of {order.noun}: there is nothing to go back from")
    if order.noun in BY_JURISDICTION and former.pointer.epoch < acting.epoch:
        raise ConfigurationError(
            f"{order.location} acts since epoch {acting.epoch} and has not taken {order.noun} over yet: "
            f"materialize {order.noun} of {order.partition} first"
        )
    return former


def _report(order: Order, manifest: Manifest, former: str, epoch: int, dagster_home: Path) -> bool:
    """Report the restored snapshot as a materialization, which what is downstream follows; False without an instance."""
    if not (dagster_home / "dagster.yaml").exists():
        return False
    event = dg.AssetMaterialization(
        asset_key(order.workload, order.noun),
        partition=order.partition,
        description=f"Restored by {order.who}: an earlier snapshot is current again. {order.why}".strip(),
        metadata={
            **snapshot_metadata(manifest),
            "restored_in": order.location,
            "restored_from": former[:12],
            "restored_by": order.who,
            "restored_under_epoch": epoch,
            "why": order.why,
        },
        tags={DATA_VERSION_TAG: manifest.snapshot_id},
    )
    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        instance.report_runless_asset_event(event)
    return True
