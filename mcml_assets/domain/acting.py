"""Who does a jurisdiction's work now: the acting location and its epoch.

Pure: where the answer is kept, and how it changes, is decided above.
"""

from dataclasses import dataclass

from mcml_assets.domain.workload import Placement, Role

FIRST_EPOCH = 1


@dataclass(frozen=True, slots=True)
class Acting:
    """The acting location of a jurisdiction, and the epoch under which it writes."""

    location: str
    epoch: int


def initial_acting(placement: Placement) -> Acting:
    """Before anything failed the primary acts, in the first epoch."""
    return Acting(placement.primary.key, FIRST_EPOCH)


def computes_features(placement: Placement, acting: Acting, location: str) -> bool:
    """Whether a location computes features itself: the acting one and warm standbys do, cold standbys copy them."""
    if location == acting.location:
        return True
    return any(placed.key == location and placed.role is not Role.COLD for placed in placement.locations)
