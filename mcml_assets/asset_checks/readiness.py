"""`readiness`: whether a location could take the work over now, point by point, as the next failover would find it.

The points are `domain/readiness.py`'s; this shows them. A reservation passes and is named; what speaks against a location
fails, and is told to people before the outage that would tell them.
"""

from collections.abc import Sequence

import dagster as dg

from mcml_assets.asset_checks.partitioned import partitioned_check
from mcml_assets.declaration import asset_key
from mcml_assets.domain.errors import McmlError
from mcml_assets.domain.readiness import Standing, points_by_question
from mcml_assets.domain.workload import Workload
from mcml_assets.failover.standbys import Standby, standbys_of
from mcml_assets.partitions import by_location
from mcml_assets.resources.control import control_of
from mcml_assets.resources.endpoints import Endpoints
from mcml_assets.resources.stores import CloudStores

CHECK = "readiness"
MARKS = {Standing.MET: "✓", Standing.RESERVED: "·", Standing.UNMET: "✗"}


def build_readiness(workload: Workload) -> dg.AssetChecksDefinition:
    """The check of a workload's endpoints."""

    @partitioned_check(
        asset_key(workload, "endpoint"),
        CHECK,
        "This location could take the work over now: data fresh, features and model those of the others, canary, server and "
        "synthetic transactions; what is not proved is a reservation, and named.",
        by_location(workload),
        blocking=False,
    )
    def readiness(context: dg.AssetCheckExecutionContext, stores: CloudStores, endpoints: Endpoints) -> dg.AssetCheckResult:
        location = context.partition_key
        try:
            found = readiness_of(workload, stores, endpoints)
        except McmlError as error:
            return dg.AssetCheckResult(passed=False, metadata={"problem": str(error), "error": type(error).__name__})
        return readiness_result(next(one for one in found if one.location == location), found)

    return readiness


def readiness_of(workload: Workload, stores: CloudStores, endpoints: Endpoints) -> list[Standby]:
    """Every location of a workload."""
    control = control_of(stores, endpoints)
    probes = control.probes([workload])
    return [one for placement in workload.placements for one in standbys_of(control, workload, placement, probes)]


def readiness_result(one: Standby, found: Sequence[Standby]) -> dg.AssetCheckResult:
    """The points of a location, and a table of its whole placement."""
    points = one.readiness.points if one.readiness is not None else ()
    lines = ["| | question | |", "|---|---|---|"]
    lines += [f"| {MARKS[point.standing]} | {point.question} | {point.text} |" for point in points]
    return dg.AssetCheckResult(
        passed=one.ready,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{one.location} is {'acting and ' if one.acting else ''}{one.sentence}.",
        metadata={
            "ready": one.ready,
            "acting": one.acting,
            "met_points": sum(point.standing is Standing.MET for point in points),
            "reservations": sum(point.standing is Standing.RESERVED for point in points),
            "unmet_points": sum(point.standing is Standing.UNMET for point in points),
            "report": dg.MetadataValue.md("\n".join(lines)),
            "placement": dg.MetadataValue.md(
                readiness_table([other for other in found if other.jurisdiction == one.jurisdiction])
            ),
        },
    )


def readiness_table(found: Sequence[Standby]) -> str:
    """Locations by question, with what is not met in words."""
    if not any(one.readiness for one in found):
        return "nobody can tell"
    names = [name for name, *_ in next(points_of(one) for one in found if one.readiness is not None)]
    lines = [f"| location | {' | '.join(names)} | |", f"|---|{'---|' * len(names)}---|"]
    for one in found:
        marks = [MARKS[Standing(standing)] for _, standing, _ in points_of(one)] or ["?"] * len(names)
        lines.append(f"| {one.location}{' (acts)' if one.acting else ''} | {' | '.join(marks)} | {one.sentence} |")
    return "\n".join(lines)


def points_of(one: Standby) -> list[tuple[str, str, str]]:
    """Question, standing and text of a location's points; none where nobody can tell."""
    return list(points_by_question(one.readiness)) if one.readiness is not None else []
