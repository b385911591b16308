"""What failed in a drill beyond the fault itself: what its report tells as a surprise."""

from collections.abc import Collection, Iterable, Sequence

from mcml_assets.domain.drill import Ended
from mcml_assets.drills.events import Event

PLANNED = "an outage was planned"
"""What a location says that is dark for the drill's own fault."""


def surprises(detections: Iterable[Event], runs: Sequence[Ended], struck: Collection[str]) -> tuple[str, ...]:
    """Runs that nobody asked to fail, and answers that were none, in the order of `detections`.

    What blames a location that a fault strikes is what the fault is for, and no surprise.
    """
    wanted = tuple(f"the run of {run.what} failed" for run in runs if run.fails)
    return tuple(
        event.text
        for event in detections
        if " failed: " in event.text
        and event.blames not in struck
        and PLANNED not in event.text
        and not event.text.startswith(wanted)
    )
