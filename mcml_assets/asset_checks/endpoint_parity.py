"""`parity` of endpoints: every location's own server gives the package's golden predictions, asked over HTTP.

A cold standby runs no server: there the held package is loaded and asked. The package, whose bytes were verified, says
what is right; so a server that differs is wrong even where nobody else answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg

from mcml_assets.asset_checks.partitioned import partitioned_check
from mcml_assets.asset_checks.verdict import CHECK, unreadable
from mcml_assets.declaration import asset_key
from mcml_assets.domain.errors import McmlError
from mcml_assets.domain.workload import Workload
from mcml_assets.partitions import by_location
from mcml_assets.resources.endpoints import Endpoints
from mcml_assets.resources.packages import held_package
from mcml_assets.resources.stores import CloudStores
from mcml_assets.serving.interfaces import EndpointState
from mcml_assets.serving.package import ModelPackage


@dataclass(frozen=True, slots=True)
class Answer:
    """What one location gave: the package's digest, and how far its predictions are from the golden ones."""

    digest: str
    max_difference: float
    passed: bool
    asked: str


def build_endpoint_parity(workload: Workload) -> dg.AssetChecksDefinition:
    """Golden predictions are equal within the workload's tolerance, wherever they are asked for."""

    @partitioned_check(
        asset_key(workload, "endpoint"),
        CHECK,
        "This location's own server gives the golden predictions of the package it should serve, within the workload's "
        "tolerance; a cold standby's held package does. The other locations are asked too, and shown beside it.",
        by_location(workload),
    )
    def parity(context: dg.AssetCheckExecutionContext, stores: CloudStores, endpoints: Endpoints) -> dg.AssetCheckResult:
        location = context.partition_key
        try:
            manifest = stores.snapshots(workload, location, "model").current()
            if manifest is None:
                return unreadable(f"{location} holds no model")
            package = held_package(workload, stores, location, manifest)
            here = _answer(workload, stores, endpoints, location, package)
        except McmlError as error:
            return unreadable(error)
        others: dict[str, Answer | str] = {}
        for placed in workload.placement_of(location).locations:
            if placed.key != location:
                try:
                    others[placed.key] = _answer(workload, stores, endpoints, placed.key, package)
                except McmlError as error:
                    others[placed.key] = type(error).__name__
        return _result(location, package, manifest.snapshot_id, here, others)

    return parity


def _answer(workload: Workload, stores: CloudStores, endpoints: Endpoints, location: str, package: ModelPackage) -> Answer:
    """A location's golden predictions, compared with the package's. Raises `McmlError` when it gives none."""
    import numpy as np  # noqa: PLC0415 - only when a model is at hand

    from mcml_assets.serving.package import check_golden, load_model  # noqa: PLC0415 - numpy, only when a model is at hand

    status = endpoints.status(workload, location)
    if status.state is EndpointState.COLD:
        held = stores.snapshots(workload, location, "model").current()
        if held is None:
            return Answer("nothing", float("inf"), False, "the held package")
        result = check_golden(package, load_model(held_package(workload, stores, location, held)))
        return Answer(held.snapshot_id, result.max_difference, result.passed, "the held package")
    answer = endpoints.golden_predictions(workload, location)
    result = check_golden(package, lambda _: np.asarray(answer.predictions))
    return Answer(answer.digest, result.max_difference, result.passed, status.address or "")


def _result(
    location: str, package: ModelPackage, digest: str, here: Answer, others: Mapping[str, Answer | str]
) -> dg.AssetCheckResult:
    passed = here.passed and here.digest == digest
    tolerance = package.golden.tolerance
    if here.digest != digest:
        told = f"{location} answers with package {here.digest[:12]}, and holds {digest[:12]}."
    elif not here.passed:
        told = f"{location} misses its golden predictions by {here.max_difference:.3g}; {tolerance:g} is tolerated."
    else:
        told = f"{location} gives the golden predictions of version {package.description.version}."
    compared = [other for other in others.values() if isinstance(other, Answer) and other.digest == digest]
    lines = ["| | location | asked | package | largest difference |", "|---|---|---|---|---:|"]
    for key, answer in {location: here, **others}.items():
        name = f"**{key}**" if key == location else key
        if isinstance(answer, str):
            lines.append(f"| · | {name} | abstains: {answer} | | |")
            continue
        mark = "·" if answer.digest != digest and key != location else "✓" if answer.passed else "✗"
        lines.append(f"| {mark} | {name} | {answer.asked} | {answer.digest[:12]} | {answer.max_difference:.3g} |")
    return dg.AssetCheckResult(
        passed=passed,
        description=told,
        metadata={
            "snapshot": digest[:12],
            "golden_predictions": len(package.golden.predictions),
            # Dagster stores no infinite number, and draws none.
            **({"golden_max_difference": here.max_difference} if here.max_difference < float("inf") else {}),
            "golden_tolerance": tolerance,
            "agreeing_locations": sum(answer.passed for answer in (here, *compared)),
            "abstaining_locations": sum(isinstance(answer, str) for answer in others.values()),
            "report": dg.MetadataValue.md("\n".join(lines)),
        },
    )
