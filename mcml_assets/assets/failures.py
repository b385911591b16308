"""How the platform's typed errors reach Dagster: which are retried in place, which stop, and what the event says.

The error's type is kept in the failure's metadata for people, and in the run's tags, so that whoever decides about
failover reads a word, not prose, and of a hundred failed runs with one query.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from mcml_assets.automation import ERROR_TAG, NEXT_EPOCH_TAG, UNAVAILABLE_TAG
from mcml_assets.domain.errors import LocationUnavailable, McmlError, StaleEpoch, TransientError
from mcml_assets.domain.workload import Workload
from mcml_assets.failover.takeover import COPIES
from mcml_assets.resources.stores import CloudStores

RETRIES = 3
RETRY_SECONDS = 2.0


@contextmanager
def typed_failures(stores: CloudStores, workload: Workload) -> Iterator[None]:
    """Raise `dg.RetryRequested` where the same work may succeed here, `dg.Failure` without retries for every other typed error.

    That is after a transient error, and once in a run when the epoch changed under it and the work is still the same.
    Work by location asks for that location from here on.
    """
    context = dg.AssetExecutionContext.get()
    if context.has_partition_key and "/" in context.partition_key:
        stores.work_for(context.partition_key)
    try:
        yield
    except TransientError as error:
        _tag_run(error)
        raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=RETRY_SECONDS) from error
    except StaleEpoch as error:
        if _goes_on_under_the_next_epoch(stores, workload):
            retries = dg.AssetExecutionContext.get().retry_number
            raise dg.RetryRequested(max_retries=retries + 1, seconds_to_wait=0.0) from error
        raise _failure(error) from error
    except McmlError as error:
        raise _failure(error) from error


def _goes_on_under_the_next_epoch(stores: CloudStores, workload: Workload) -> bool:
    """Whether a writer that was refused may try again under the epoch that refused it, once in its run.

    What an acting location makes, the next one makes by its own takeover: there only a location that acts again goes on.
    Copies, features and routes are made for whoever acts, so they are due under the next epoch too.
    """
    context = dg.AssetExecutionContext.get()
    run = context.instance.get_run_by_id(context.run.run_id)
    if run is None or NEXT_EPOCH_TAG in run.tags:
        return False
    partition = context.partition_key
    by_jurisdiction = partition in workload.jurisdictions
    try:
        former, acting = stores.renew(workload, partition if by_jurisdiction else workload.placement_of(partition).jurisdiction)
    except McmlError:
        return False  # nobody can tell who acts, so nothing may be written
    if former is None or acting.epoch <= former.epoch:
        return False
    if context.asset_key.path[-1] in COPIES and acting.location != former.location:
        return False
    context.log.warning("epoch %d is over: it goes on under epoch %d of %s", former.epoch, acting.epoch, acting.location)
    context.instance.add_run_tags(run.run_id, {NEXT_EPOCH_TAG: str(acting.epoch)})
    return True


def _failure(error: McmlError) -> dg.Failure:
    _tag_run(error)
    metadata = {"error": type(error).__name__}
    if isinstance(error, LocationUnavailable):
        metadata["location"] = error.location
    return dg.Failure(f"{type(error).__name__}: {error}", metadata=metadata, allow_retries=False)


def _tag_run(error: McmlError) -> None:
    context = dg.AssetExecutionContext.get()
    tags = {ERROR_TAG: type(error).__name__}
    if isinstance(error, LocationUnavailable):
        tags |= {ERROR_TAG: LocationUnavailable.__name__, UNAVAILABLE_TAG: error.location}
    context.instance.add_run_tags(context.run.run_id, tags)
