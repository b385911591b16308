"""Replication lag: for how long a location has lacked the newest snapshot. Where snapshots are read is decided above."""

from datetime import datetime


def replication_lag(holds_newest: bool, newest_committed_at: str | None, now: datetime) -> float | None:
    """Seconds since the newest snapshot was committed (ISO 8601 with a zone), if the location does not hold it; else 0.

    None, unknown, when the newest snapshot is unknown. Clocks that disagree never make a lag negative.
    """
    if newest_committed_at is None:
        return None
    if holds_newest:
        return 0.0
    return max(0.0, (now - datetime.fromisoformat(newest_committed_at)).total_seconds())
