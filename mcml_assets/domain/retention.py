"""How long snapshots are kept: the decision, from what is known about them. Removing the others is `snapshots/`'s work."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Retention:
    """A snapshot of an asset is kept while it is among the `keep_last` newest or younger than `keep_days`."""

    keep_last: int
    keep_days: float


def kept(
    stored: Mapping[str, datetime | None],
    retention: Retention,
    *,
    needed: Collection[str],
    grace: timedelta,
    now: datetime,
) -> frozenset[str]:
    """Which of an asset's stored snapshots stay.

    `stored` gives by snapshot id when its manifest was stored, None where the store does not tell; such a one stays, for
    nothing is removed for lack of information. `needed` stay whatever their age: the current one and the one before, those
    on hold, served, or an origin of a current one. One that was superseded less than `grace` ago stays for its readers.
    """
    dated = sorted(((at, snapshot) for snapshot, at in stored.items() if at is not None), reverse=True)
    newest = {snapshot for _, snapshot in dated[: retention.keep_last]}
    young = {snapshot for at, snapshot in dated if now - at < max(timedelta(days=retention.keep_days), grace)}
    # Between neighbours: the later of two was stored when the earlier ceased to be the newest.
    read_lately = {snapshot for (superseded, _), (_, snapshot) in pairwise(dated) if now - superseded < grace}
    undated = {snapshot for snapshot, at in stored.items() if at is None}
    return frozenset(stored.keys() & (newest | young | read_lately | undated | set(needed)))
