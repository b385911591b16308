"""The bill of an outage: predictions that were served from an older model or older features than the acting location had.

Read from the prediction logs and the snapshots' own times in the buckets. Printing is `commands/prediction.py`'s business.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from mcml_assets.audit.explain import Archive
from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.domain.prediction import PredictionRow
from mcml_assets.domain.workload import Placement, Workload

AGED = ("model", "feature_snapshot")


@dataclass(frozen=True, slots=True)
class StalePrediction:
    """One prediction, the asset that was older than it had to be, and for how long the newer one had been there.

    `behind_seconds` is None when the acting location does not hold what was served, so that its age cannot be told.
    """

    row: PredictionRow
    asset: str
    served: str
    newest: str
    behind_seconds: float | None


@dataclass(frozen=True, slots=True)
class History:
    """When the acting location came to hold each snapshot of an asset, by its bucket's clock, oldest first."""

    stored_at: tuple[datetime, ...]
    snapshot_ids: tuple[str, ...]

    def newest(self, at: datetime) -> tuple[str, datetime] | None:
        """The snapshot that was the newest there at a time, and since when; None before the first."""
        place = bisect_right(self.stored_at, at)
        return (self.snapshot_ids[place - 1], self.stored_at[place - 1]) if place else None


def stale_predictions(
    archive: Archive, workload: Workload, placement: Placement, acting: str, since: datetime, until: datetime
) -> Iterator[StalePrediction]:
    """Predictions made between two times with an older model or older features than `acting` held at that moment.

    A snapshot that the acting location holds no more, because it was collected, is not known to have been newer.
    Raises `LocationUnavailable` when the acting location or a log does not answer: an unread log is no empty one.
    """
    histories = {asset: history(archive, workload, acting, asset) for asset in AGED}
    for placed in placement.locations:
        for entry in archive.prediction_log(workload, placed.key).rows(since):
            at = datetime.fromisoformat(entry.row.time)
            if since <= at <= until:
                yield from _stale(entry.row, at, histories)


def history(archive: Archive, workload: Workload, location: str, asset: str) -> History:
    """The snapshots of an asset that a location holds, by when it stored them."""
    store: ObjectStore = archive.bucket(location)
    stored = sorted(
        (meta.modified or datetime.min.replace(tzinfo=UTC), meta.key.rpartition("/")[2].removesuffix(".json"))
        for meta in store.list(f"{workload.name}/{asset}/manifests")
    )
    return History(tuple(at for at, _ in stored), tuple(snapshot_id for _, snapshot_id in stored))


def _stale(row: PredictionRow, at: datetime, histories: dict[str, History]) -> Iterator[StalePrediction]:
    for asset, served in (("model", row.model_digest), ("feature_snapshot", row.feature_snapshot)):
        found = histories[asset].newest(at)
        if found is not None and found[0] != served:
            known = served in histories[asset].snapshot_ids
            yield StalePrediction(row, asset, served, found[0], (at - found[1]).total_seconds() if known else None)
