"""The automation conditions, each with its reason. What they decide about is in `assets/`; where they run, in `build.py`.

Conditions are made of Dagster's own operands only: custom ones would have to be evaluated in the code server, which
takes at most 500 assets and checks.
"""

import dagster as dg

ACTING_TAG = "mcml/acting"
"""Put on a run by an asset that did the acting location's work, with the epoch as its value."""
TAKEOVER_TAG = "mcml/takeover"
"""On the runs by which a new acting location takes over: `<workload>/<jurisdiction>/<epoch>`."""
ERROR_TAG = "mcml/error"
"""Put on a run that failed with a typed error, with the error's class; a run that was killed has none."""
UNAVAILABLE_TAG = "mcml/unavailable"
"""Beside `mcml/error: LocationUnavailable` (or one of its kinds): the location that did not answer."""
DRILL_TAG = "mcml/drill"
"""On every run of a rehearsal, whoever requested it, and on the event of its result: such runs count in no figure of
production.
"""
NEXT_EPOCH_TAG = "mcml/next_epoch"
"""On a run whose epoch ended under it, and that went on under this one."""

_C = dg.AutomationCondition

# A check that failed in an earlier run holds its dependants back; one that is about to run again does not. Without the
# second half a location's chain would be split into a run per asset, a tick apart. A check that does not block, such as
# `drift`, warns people and holds nothing.
_UPSTREAM_CHECKS_HOLD = ~_C.any_deps_match(_C.any_checks_match(_C.check_failed(), blocking_only=True) & ~_C.will_be_requested())


def when_missing_or_on_cron(cron: str) -> dg.AutomationCondition:
    """`landing`: once when the partition is missing, and on the workload's cron.

    A failed landing is not retried before the next tick of the cron: `missing` stays true, but is not newly true.
    """
    due = _C.missing().newly_true() | _C.cron_tick_passed(cron)
    # Not `since_last_handled()`: it forgets what was missing at the first evaluation, so a fresh platform would idle.
    return (due.since(_C.newly_requested() | _C.newly_updated()) & ~_C.in_progress()).with_label("missing_or_on_cron")


def when_upstream_published(*, without_updates_of: dg.AssetKey | None = None) -> dg.AutomationCondition:
    """Assets by location: as soon as what they are made of was published and none of its checks failed.

    All assets of one location that become due together are requested together, and so share one run. An asset in
    `without_updates_of` has to be there, sound and at rest, but its updates alone are no reason to act: a running
    server takes new features by itself.
    """
    condition = _C.eager()
    if without_updates_of is not None:
        updated = _C.any_deps_updated()
        condition = condition.replace(updated, updated.ignore(dg.AssetSelection.assets(without_updates_of)))
    return (condition & _UPSTREAM_CHECKS_HOLD).with_label("upstream_published")


def when_canary_is_due(cron: str) -> dg.AutomationCondition:
    """`canary_training`: on the workload's cron, once what it trains on and compares with is there and sound.

    Not when it is missing: a platform that fills itself has more urgent things to do, and a standby without a canary may
    still take over.
    """
    due = _C.cron_tick_passed(cron).since(_C.newly_requested() | _C.newly_updated())
    return (due & ~_C.any_deps_missing() & ~_C.in_progress() & _UPSTREAM_CHECKS_HOLD).with_label("canary_is_due")


def when_acting_location_published() -> dg.AutomationCondition:
    """Assets by jurisdiction: as soon as the acting location published; the other locations are not waited for.

    `eager()` would wait while any location is missing, so that one dead cloud would stop a whole jurisdiction.
    """
    published = _C.any_deps_match(_C.any_new_update_has_run_tags(tag_keys={ACTING_TAG}))
    handled = _C.newly_requested() | _C.newly_updated()
    return (published.since(handled) & ~_C.in_progress()).with_label("acting_location_published")
