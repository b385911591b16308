"""`parity` of endpoints: every location's own server gives the package's golden predictions, asked over HTTP.

A cold standby runs no server: there the held package is loaded and asked. Where a version takes over by steps, its own
server is asked; while it waits for its turn, the former version's is, about that one's package, and nobody is accused.
Whoever answers with the same package has a voice, and so has the package itself, whose bytes were verified and whose answers
are as old as the model: of two servers that differ it tells which one is wrong, and a server that differs from it is wrong
whatever the others say.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite

import dagster as dg

from mcml_assets.asset_checks.partitioned import partitioned_check
from mcml_assets.asset_checks.verdict import CHECK, Verdict, unreadable, verdict_result
from mcml_assets.declaration import asset_key
from mcml_assets.domain.errors import LocationUnavailable, McmlError, ObjectNotFound
from mcml_assets.domain.parity import Holding, convene
from mcml_assets.domain.workload import Workload
from mcml_assets.partitions import by_location
from mcml_assets.resources.endpoints import Endpoints
from mcml_assets.resources.packages import held_package
from mcml_assets.resources.stores import CloudStores
from mcml_assets.serving.interfaces import EndpointState, EndpointStatus
from mcml_assets.serving.package import ModelPackage


@dataclass(frozen=True, slots=True)
class Answer:
    """What one location gave: the package's digest, its predictions, and how far they are from the golden ones."""

    digest: str
    predictions: tuple[float, ...]
    max_difference: float
    passed: bool
    asked: str

    @property
    def shown(self) -> str:
        """For people, in a table's cell."""
        return f"{self.digest[:12]}, off by {self.max_difference:.3g}, asked at {self.asked}"


GOLDEN = "the package's own record"


def build_endpoint_parity(workload: Workload) -> dg.AssetChecksDefinition:
    """Golden predictions are equal within the workload's tolerance, wherever they are asked for."""

    @partitioned_check(
        asset_key(workload, "endpoint"),
        CHECK,
        "This location's own server gives the golden predictions of the package it should serve, within the workload's "
        "tolerance; a cold standby's held package does. The other locations are asked too, and the odd one out is named.",
        by_location(workload),
    )
    def parity(context: dg.AssetCheckExecutionContext, stores: CloudStores, endpoints: Endpoints) -> dg.AssetCheckResult:
        location = context.partition_key
        try:
            manifest = stores.snapshots(workload, location, "model").current()
            if manifest is None:
                return unreadable(f"{location} holds no model")
            package = held_package(workload, stores, location, manifest)
            status = endpoints.status(workload, location)
            if status.state is EndpointState.ROLLING_OUT and status.new_address is None:
                return _before_its_turn(workload, stores, status)
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
        verdict = _verdict(location, package, manifest.snapshot_id, here, others)
        if status.rollout is not None:
            verdict = replace(verdict, metadata={**verdict.metadata, "rollout": status.rollout})
        return verdict_result(context, workload, "endpoint", verdict)

    return parity


def _before_its_turn(workload: Workload, stores: CloudStores, status: EndpointStatus) -> dg.AssetCheckResult:
    """The verdict on a location whose new version has no server yet: the former one has to be as its own package is."""
    import numpy as np  # noqa: PLC0415 - only when a model is at hand

    from mcml_assets.serving.golden import ask_golden  # noqa: PLC0415 - only checks ask
    from mcml_assets.serving.package import check_golden  # noqa: PLC0415 - numpy, only when a model is at hand

    if status.address is None:
        raise LocationUnavailable(status.location, f"its endpoint is {status.state}: {status.message}")
    answer = ask_golden(status.location, status.address, workload.name)
    former = held_package(
        workload, stores, status.location, stores.snapshots(workload, status.location, "model").manifest(answer.digest)
    )
    result = check_golden(former, lambda _: np.asarray(answer.predictions))
    told = f"{status.rollout}. Until then version {answer.model_version} answers" + (
        ", and gives its own golden predictions." if result.passed else f", and misses its own by {result.max_difference:.3g}."
    )
    metadata = {"rollout": status.rollout or "", "former_package": answer.digest[:12]}
    return dg.AssetCheckResult(passed=result.passed, description=told, metadata=metadata)


def _answer(workload: Workload, stores: CloudStores, endpoints: Endpoints, location: str, package: ModelPackage) -> Answer:
    """A location's golden predictions, compared with the package's. Raises `McmlError` when it gives none."""
    import numpy as np  # noqa: PLC0415 - only when a model is at hand

    from mcml_assets.serving.package import check_golden, golden_inputs, load_model  # noqa: PLC0415 - numpy, only when a model is at hand

    status = endpoints.status(workload, location)
    if status.state is EndpointState.COLD:
        held = stores.snapshots(workload, location, "model").current()
        if held is None:
            raise ObjectNotFound(f"{location} holds no model")
        predict = load_model(held_package(workload, stores, location, held))
        given = tuple(map(float, predict(golden_inputs(package))))
        digest, asked = held.snapshot_id, "the held package"
    else:
        answer = endpoints.golden_predictions(workload, location)
        given, digest, asked = answer.predictions, answer.digest, status.new_address or status.address or ""
    result = check_golden(package, lambda _: np.asarray(given))
    return Answer(digest, given, result.max_difference, result.passed, asked)


def _verdict(location: str, package: "ModelPackage", digest: str, here: Answer, others: Mapping[str, Answer | str]) -> Verdict:
    tolerance = package.golden.tolerance
    answers = {location: here, **{key: answer for key, answer in others.items() if isinstance(answer, Answer)}}
    witnesses = {**answers, GOLDEN: Answer(digest, package.golden.predictions, 0.0, True, "its files")}
    problem = None
    if here.digest != digest:
        problem = f"{location} answers with package {here.digest[:12]}, and holds {digest[:12]}."
    elif not here.passed:
        problem = f"{location} misses its golden predictions by {here.max_difference:.3g}; {tolerance:g} is tolerated."
    quorum = convene(
        [Holding(key, answer.digest[:12], key) for key, answer in witnesses.items()],
        here.digest[:12],
        # Each may be off by the tolerance, to either side.
        lambda one, other: _apart(witnesses[one].predictions, witnesses[other].predictions) <= 2 * tolerance,
        {key: answer for key, answer in others.items() if isinstance(answer, str)},
    )
    return Verdict(
        location=location,
        snapshot=digest,
        quorum=quorum,
        contents={key: answer.shown for key, answer in witnesses.items()},
        alone_is_enough=True,
        remedy="Materialize `endpoint` where it is wrong: a new server has to give the golden predictions before it answers.",
        problem=problem,
        metadata={
            "golden_predictions": len(package.golden.predictions),
            # Dagster stores no infinite number, and draws none.
            **({"golden_max_difference": here.max_difference} if isfinite(here.max_difference) else {}),
            "golden_tolerance": tolerance,
        },
    )


def _apart(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """The largest difference; infinite for another number of predictions, or one that is no number."""
    if len(one) != len(other) or not all(map(isfinite, (*one, *other))):
        return float("inf")
    return max((abs(first - second) for first, second in zip(one, other, strict=True)), default=0.0)
