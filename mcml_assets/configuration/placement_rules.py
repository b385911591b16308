"""Which placements are lawful and possible: known locations, residency, roles, lock-in, compute, endpoint platforms.

Each rule yields what is wrong, at which key; what a location is belongs to the topology.
"""

from collections.abc import Iterator

from mcml_assets.configuration.problems import Problem
from mcml_assets.configuration.workload_model import PlacedModel, WorkloadModel
from mcml_assets.domain.endpoint_access import PLATFORM_NAMES, EndpointCapability, endpoint_capabilities
from mcml_assets.domain.topology import Topology, did_you_mean


def placement_problems(model: WorkloadModel, topology: Topology) -> Iterator[Problem]:
    """Unknown jurisdictions and locations, a location twice, a location outside its jurisdiction, a wrong role."""
    seen: dict[str, str] = {}
    for jurisdiction, placed in model.placements.items():
        here = ("placements", jurisdiction)
        known = jurisdiction in topology.jurisdictions
        if not known:
            yield Problem(here, f"unknown jurisdiction{did_you_mean(jurisdiction, topology.jurisdictions)}")
        for index, entry in enumerate(placed):
            at = (*here, index, "location")
            if entry.location in seen:
                yield Problem(at, f"{entry.location!r} is listed twice, first at {seen[entry.location]}")
                continue
            seen[entry.location] = f"placements.{jurisdiction}[{index}]"
            if entry.location not in topology.locations:
                yield Problem(at, _unknown_location(entry.location, topology))
            elif known:
                yield from _residency(at, entry.location, jurisdiction, topology)
        yield from _roles(here, placed)


def lock_in_problems(model: WorkloadModel, topology: Topology) -> Iterator[Problem]:
    """A locked-in workload is placed in its own cloud only: a standby elsewhere could never take over."""
    if model.lock_in is None:
        return
    cloud = model.lock_in.cloud
    if cloud not in topology.clouds:
        yield Problem(("lock_in", "cloud"), f"unknown cloud {cloud!r}{did_you_mean(cloud, topology.clouds)}")
        return
    for jurisdiction, index, location in _known_locations(model, topology):
        if topology.location(location).cloud != cloud:
            lawful = [
                other.key
                for other in topology.locations.values()
                if other.cloud == cloud and other.jurisdiction == jurisdiction
            ]
            yield Problem(
                ("placements", jurisdiction, index, "location"),
                f"{location!r} is not in {cloud!r}, the cloud that lock_in says the workload cannot leave"
                f"{did_you_mean(location, lawful)}",
            )


def compute_problems(model: WorkloadModel, topology: Topology, section: str, wanted: str | None) -> Iterator[Problem]:
    """The profile that a section names must be had in every location, or the workload could not move there.

    Where a location's work runs in a cluster of its own, features and training have to name one: else the run, which is in the
    control plane's cluster, would take the data there.
    """
    for _, _, location in _known_locations(model, topology):
        where = topology.location(location)
        if wanted is None:
            if where.compute.platform != "local":
                yield Problem(
                    (section,),
                    f"compute_profile is missing: work of {location} runs in that location's own cluster"
                    f"{did_you_mean('', where.compute_profiles)}",
                )
        elif wanted not in where.compute_profiles:
            yield Problem(
                (section, "compute_profile"),
                f"{location} has no compute profile {wanted!r}{did_you_mean(wanted, where.compute_profiles)}",
            )


def equivalence_problems(model: WorkloadModel, topology: Topology) -> Iterator[Problem]:
    """Who lets training fall back from an accelerator says how far its model may then be from the served one."""
    wanted = model.training.compute_profile
    if wanted is None or model.training.equivalence_tolerance is not None:
        return
    for _, _, location in _known_locations(model, topology):
        profiles = topology.location(location).compute_profiles
        if wanted in profiles and profiles[wanted].accelerator is not None and profiles[wanted].fallback:
            yield Problem(
                ("training",),
                f"equivalence_tolerance is missing: profile {wanted!r} may fall back to "
                f"{', '.join(profiles[wanted].fallback)} in {location}, and what is trained there has to be compared",
            )
            return


def capability_problems(model: WorkloadModel, topology: Topology) -> Iterator[Problem]:
    """Every location's endpoint platform can do what the workload needs."""
    for index, need in enumerate(model.serving.needs):
        lacking: dict[str, list[str]] = {}
        for _, _, location in _known_locations(model, topology):
            platform = topology.location(location).endpoints.platform
            if need not in endpoint_capabilities(platform):
                lacking.setdefault(platform, []).append(location)
        for platform, locations in lacking.items():
            yield Problem(
                ("serving", "needs", index),
                f"endpoint platform {platform!r} has no {need.value!r}, and runs the endpoints of {', '.join(locations)}; "
                f"{_who_has(need)}",
            )


def canary_problems(model: WorkloadModel) -> Iterator[Problem]:
    """A canary location is one of the placement, one in each jurisdiction, and runs a server that can be judged."""
    if model.serving.rollout is None:
        return
    placed = {entry.location: (where, entry) for where, entries in model.placements.items() for entry in entries}
    first: dict[str, str] = {}
    for index, canary in enumerate(model.serving.rollout.canaries):
        at = ("serving", "rollout", "canaries", index)
        if canary not in placed:
            yield Problem(at, f"{canary!r} is in no placement{did_you_mean(canary, placed)}")
            continue
        where, entry = placed[canary]
        if entry.standby == "cold":
            yield Problem(at, f"{canary!r} is a cold standby and runs no server that could be judged")
        if where in first:
            yield Problem(at, f"{where} has a canary location already: {first[where]!r}")
        first.setdefault(where, canary)


def traffic_problems(model: WorkloadModel, topology: Topology) -> Iterator[Problem]:
    """A location that may answer must have a target wherever the route is published, or callers could not be sent there."""
    for jurisdiction, placed in model.placements.items():
        for access in topology.traffic.get((model.name, jurisdiction), ()):
            for index, entry in enumerate(placed):
                if entry.location in topology.locations and entry.location not in access.targets:
                    yield Problem(
                        ("placements", jurisdiction, index, "location"),
                        f"{entry.location!r} has no target in the topology's traffic of kind {access.kind!r}, which publishes "
                        f"the routes of {model.name} in {jurisdiction}",
                    )


def _who_has(need: EndpointCapability) -> str:
    having = [name for name in PLATFORM_NAMES if need in endpoint_capabilities(name)]
    return f"platforms that have it: {', '.join(having)}" if having else "no platform has it"


def _known_locations(model: WorkloadModel, topology: Topology) -> Iterator[tuple[str, int, str]]:
    """Jurisdiction, index and key of every placed location that the topology knows."""
    for jurisdiction, placed in model.placements.items():
        for index, entry in enumerate(placed):
            if entry.location in topology.locations:
                yield jurisdiction, index, entry.location


def _unknown_location(key: str, topology: Topology) -> str:
    cloud, _, region = key.partition("/")
    if cloud in topology.clouds and region:
        own = [other.key for other in topology.locations.values() if other.cloud == cloud]
        return f"unknown region {region!r} of {cloud}{did_you_mean(key, own)}"
    return f"unknown location {key!r}{did_you_mean(key, topology.locations)}"


def _residency(at: tuple[str | int, ...], key: str, jurisdiction: str, topology: Topology) -> Iterator[Problem]:
    actual = topology.location(key).jurisdiction
    if actual != jurisdiction:
        lawful = sorted(other.key for other in topology.locations.values() if other.jurisdiction == jurisdiction)
        yield Problem(
            at,
            f"{key!r} lies in {actual}: data would leave {jurisdiction}, where it belongs; lawful are "
            + ", ".join(repr(other) for other in lawful),
        )


def _roles(here: tuple[str, ...], placed: list[PlacedModel]) -> Iterator[Problem]:
    for index, entry in enumerate(placed):
        if index == 0 and entry.standby is not None:
            yield Problem((*here, index, "standby"), "the first location is the primary and no standby: remove this key")
        if index > 0 and entry.standby is None:
            yield Problem((*here, index), f"{entry.location!r} is a standby: add standby: 'warm' or 'cold'")
