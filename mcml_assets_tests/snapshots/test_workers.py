"""What doing many transfers at once promises when one of them fails."""

from concurrent.futures import CancelledError
from threading import Event

import pytest

from mcml_assets.domain.errors import LocationUnavailable
from mcml_assets.snapshots.workers import run_all


@pytest.mark.parametrize("attempt", range(30))
def test_the_error_raised_is_the_first_and_not_that_of_a_transfer_told_to_stop(attempt: int) -> None:
    """Whoever decides about failover sees why the copy failed, not that its other transfers were cancelled."""
    stopped = Event()

    def work(item: int) -> None:
        if item == 3:
            raise LocationUnavailable("gcp/europe-west2", "it went dark")
        stopped.wait(10)
        raise CancelledError

    with pytest.raises(LocationUnavailable):
        run_all(work, range(4), concurrency=4, stopped=stopped)
