"""How the platform's typed errors reach Dagster: which are retried in place, which stop, and what the event says.

The error's type is kept in the failure's metadata for people, and in the run's tags, so that whoever decides about
failover reads a word, not prose, and of a hundred failed runs with one query.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from mcml_assets.automation import ERROR_TAG, UNAVAILABLE_TAG
from mcml_assets.domain.errors import LocationUnavailable, McmlError, TransientError

RETRIES = 3
RETRY_SECONDS = 2.0


@contextmanager
def typed_failures() -> Iterator[None]:
    """Raise `dg.RetryRequested` for a transient error, `dg.Failure` without retries for every other typed one."""
    try:
        yield
    except TransientError as error:
        _tag_run(error)
        raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=RETRY_SECONDS) from error
    except McmlError as error:
        _tag_run(error)
        metadata = {"error": type(error).__name__}
        if isinstance(error, LocationUnavailable):
            metadata["location"] = error.location
        raise dg.Failure(f"{type(error).__name__}: {error}", metadata=metadata, allow_retries=False) from error


def _tag_run(error: McmlError) -> None:
    context = dg.AssetExecutionContext.get()
    tags = {ERROR_TAG: type(error).__name__}
    if isinstance(error, LocationUnavailable):
        tags |= {ERROR_TAG: LocationUnavailable.__name__, UNAVAILABLE_TAG: error.location}
    context.instance.add_run_tags(context.run.run_id, tags)
