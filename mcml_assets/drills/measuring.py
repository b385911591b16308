"""From what was recorded and asked to what a drill measured: moments, stages by asset and place, requests.

What the figures are judged by is `domain/drill.py`'s business.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mcml_assets.domain.acting import Acting
from mcml_assets.domain.drill import Asked, Ended, Measured, Requests, RolledOut, Stage, Timeline, by_second
from mcml_assets.drills.events import Recorded


@dataclass(frozen=True, slots=True)
class Seen:
    """What the drill itself saw of a fault that began at `fault`; times are seconds since the epoch, None for never.

    `first_fault` is when the first of several faults began, None where `fault` was the first: callers count from then on.
    """

    fault: float
    before: Acting
    after: Acting | None
    decided: float | None
    mended: float | None
    returned: float | None
    at_risk_seconds: float | None
    runs: tuple[Ended, ...]
    rollout: RolledOut | None = None
    first_fault: float | None = None


def measured(seen: Seen, since: Recorded, asked: Sequence[Asked]) -> Measured:
    """Everything in one place: moments by their events since the fault, and requests from the first fault on."""
    under_new_route = [one for one in asked if one.epoch is not None and one.epoch > seen.before.epoch and not one.failed]
    landed = [event.at for event in since.publications if event.asset == "landing"]
    first_seen = [event.at for event in since.detections if event.at >= seen.fault]
    first_fault = seen.first_fault if seen.first_fault is not None else seen.fault
    decided = seen.decided
    return Measured(
        acting_before=seen.before.location,
        acting_after=(seen.after or seen.before).location,
        timeline=Timeline(
            fault=seen.fault,
            # A decision is never earlier than what it rests on, and tells of it where nothing else does.
            detected=min([*first_seen, *([decided] if decided is not None else [])], default=None),
            decided=decided,
            first_run=since.first_run,
            published=min((at for at in landed if decided is not None and at > decided), default=None),
            served=min((one.due + one.seconds for one in under_new_route), default=None),
            mended=seen.mended,
            returned=seen.returned,
        ),
        requests=Requests.of([one for one in asked if one.due >= first_fault]),
        loss_seconds=since.lag_seconds,
        load=by_second(asked, seen.fault),
        at_risk_seconds=seen.at_risk_seconds,
        runs=seen.runs,
        stages=_stages(since, asked, decided if decided is not None else seen.fault),
        rollout=seen.rollout,
    )


def _stages(since: Recorded, asked: Sequence[Asked], from_then: float) -> tuple[Stage, ...]:
    """Each asset and place that published, or from which somebody was answered, after the decision (without one, the fault)."""
    published: dict[tuple[str, str], float] = {}
    for event in since.publications:
        if event.at > from_then:
            published.setdefault((event.asset, event.partition), event.at)
    served: dict[tuple[str, str], float] = {}
    for one in sorted(asked, key=lambda one: one.due):
        if one.due >= from_then and one.location and not one.failed:
            served.setdefault(("endpoint", one.location), one.due + one.seconds)
    keys = sorted({*published, *served}, key=lambda key: min(published.get(key, served.get(key, 0.0)), served.get(key, 1e12)))
    return tuple(Stage(asset, place, published.get((asset, place)), served.get((asset, place))) for asset, place in keys)
