"""What replication lag means: time since the newest snapshot that a location lacks, and unknown is not zero."""

from datetime import UTC, datetime, timedelta

from mcml_assets.domain.lag import replication_lag

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)


def test_lag_counts_from_the_commit_of_what_is_lacking() -> None:
    """A location with the newest snapshot lags 0 s, one without it since that snapshot was committed."""
    committed = (NOW - timedelta(seconds=90)).isoformat()
    assert replication_lag(True, committed, NOW) == 0
    assert replication_lag(False, committed, NOW) == 90


def test_an_unknown_lag_is_not_zero() -> None:
    """Who cannot say what is newest cannot say that nothing is lacking; a clock that is ahead gives no negative lag."""
    assert replication_lag(True, None, NOW) is None
    assert replication_lag(False, (NOW + timedelta(seconds=5)).isoformat(), NOW) == 0
