"""How the platform's typed errors reach Dagster: which are retried in place, which stop, and what the event says.

The error's type is kept in the failure's metadata, so that whoever decides about failover reads a word, not prose.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from mcml_assets.domain.errors import LocationUnavailable, McmlError, TransientError

RETRIES = 3
RETRY_SECONDS = 2.0


@contextmanager
def typed_failures() -> Iterator[None]:
    """Raise `dg.RetryRequested` for a transient error, `dg.Failure` without retries for every other typed one."""
    try:
        yield
    except TransientError as error:
        raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=RETRY_SECONDS) from error
    except McmlError as error:
        metadata = {"error": type(error).__name__}
        if isinstance(error, LocationUnavailable):
            metadata["location"] = error.location
        raise dg.Failure(f"{type(error).__name__}: {error}", metadata=metadata, allow_retries=False) from error
