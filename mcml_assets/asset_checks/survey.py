"""What every location of a placement holds of an asset, for checks that compare; who does not answer is named, not raised."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mcml_assets.domain.errors import McmlError
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.domain.workload import Placement
from mcml_assets.snapshots.store import SnapshotStore


@dataclass(frozen=True, slots=True)
class Survey:
    """The manifests by location, why a location has none here, and which of those could not be asked at all."""

    manifests: Mapping[str, Manifest]
    abstained: Mapping[str, str]
    unreachable: frozenset[str]


def survey(placement: Placement, noun: str, open_at: Callable[[str], SnapshotStore]) -> Survey:
    """Ask every location of a placement for its current snapshot of `noun`; reads manifests, no data.

    `open_at` opens the store to ask in a location: who made a snapshot answers with what it made, others with their copy.
    """
    manifests: dict[str, Manifest] = {}
    abstained: dict[str, str] = {}
    unreachable: set[str] = set()
    for placed in placement.locations:
        try:
            manifest = open_at(placed.key).current()
        except McmlError as error:
            abstained[placed.key] = type(error).__name__
            unreachable.add(placed.key)
            continue
        if manifest is None:
            abstained[placed.key] = f"has no {noun} yet"
        else:
            manifests[placed.key] = manifest
    return Survey(manifests, abstained, frozenset(unreachable))
