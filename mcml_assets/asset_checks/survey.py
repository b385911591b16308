"""What every location of a placement holds of an asset, for checks that compare; who does not answer is named, not raised."""

from collections.abc import Mapping
from dataclasses import dataclass

from mcml_assets.domain.errors import McmlError
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.domain.workload import Workload
from mcml_assets.resources.stores import CloudStores


@dataclass(frozen=True, slots=True)
class Survey:
    """The manifests by location, why a location has none here, and which of those could not be asked at all."""

    manifests: Mapping[str, Manifest]
    abstained: Mapping[str, str]
    unreachable: frozenset[str]


def survey(workload: Workload, stores: CloudStores, jurisdiction: str, noun: str, *, origin: tuple[str, str]) -> Survey:
    """Ask every location of the placement for its current snapshot of `noun`; reads manifests, no data.

    `origin` is a location and the asset to ask there instead: who made a snapshot answers with what it made.
    """
    manifests: dict[str, Manifest] = {}
    abstained: dict[str, str] = {}
    unreachable: set[str] = set()
    for placed in workload.placement(jurisdiction).locations:
        asked = origin[1] if placed.key == origin[0] else noun
        try:
            manifest = stores.snapshots(workload, placed.key, asked).current()
        except McmlError as error:
            abstained[placed.key] = type(error).__name__
            unreachable.add(placed.key)
            continue
        if manifest is None:
            abstained[placed.key] = f"has no {asked} yet"
        else:
            manifests[placed.key] = manifest
    return Survey(manifests, abstained, frozenset(unreachable))
