"""A quorum's verdict as the check of one location: what passes, what people see, and what it says of the others' checks.

Who is wrong is `domain/parity.py`'s decision; what is compared is each check's own business.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from mcml_assets.asset_checks.evaluation import evaluation
from mcml_assets.declaration import asset_key
from mcml_assets.domain.parity import Quorum, Standing
from mcml_assets.domain.workload import Workload

CHECK = "parity"
HISTORY = 200
"""How many of a check's newest results are looked through for the last one of a location."""
MARKS = {Standing.AGREES: "✓", Standing.ALONE: "·", Standing.ODD: "✗", Standing.UNDECIDED: "?"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a parity check found in one location.

    `problem` is what is wrong here whatever the others hold, `alone_is_enough` whether nobody else is needed: the acting
    location's content is the reference, and whoever publishes first has nobody to compare with yet. `snapshot` is the
    id that was compared, `contents` what every location holds, for people; `remedy` what mends a location that is wrong.
    """

    location: str
    snapshot: str
    quorum: Quorum
    contents: Mapping[str, str]
    alone_is_enough: bool
    remedy: str
    problem: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def passed(self) -> bool:
        return self.problem is None and self.passes(self.location)

    def passes(self, location: str) -> bool:
        """Whether the quorum finds nothing against a location."""
        standing = self.quorum.standings[location]
        return standing is Standing.AGREES or (standing is Standing.ALONE and self.alone_is_enough)

    @property
    def description(self) -> str:
        """What people read first."""
        told = f"{self.problem} " if self.problem else ""
        if self.passed:
            return told + self.quorum.sentence()
        return (
            f"{told}{self.quorum.sentence()} What is downstream in {self.location} waits until this passes, what serves goes "
            f"on. {self.remedy}"
        )


def verdict_result(
    context: dg.AssetCheckExecutionContext, workload: Workload, noun: str, verdict: Verdict
) -> dg.AssetCheckResult:
    """This location's result; and where the quorum contradicts what is on record for another location, that one's too.

    A location that was checked first had nobody to contradict it: the last voice corrects it.
    """
    _correct_others(context, workload, noun, verdict)
    return dg.AssetCheckResult(
        passed=verdict.passed, description=verdict.description, metadata=_metadata(verdict, verdict.location)
    )


def unreadable(problem: object) -> dg.AssetCheckResult:
    """What cannot be read does not agree, whatever the reason."""
    kind = {"error": type(problem).__name__} if isinstance(problem, Exception) else {}
    return dg.AssetCheckResult(passed=False, description=str(problem), metadata={"problem": str(problem), **kind})


def _correct_others(context: dg.AssetCheckExecutionContext, workload: Workload, noun: str, verdict: Verdict) -> None:
    others = [location for location in verdict.quorum.standings if location != verdict.location]
    if not others:
        return
    key = dg.AssetCheckKey(asset_key(workload, noun), CHECK)
    for info in context.instance.event_log_storage.get_asset_check_partition_info([key], partition_keys=others):
        location, status = str(info.partition_key), info.latest_execution_status.value
        passed = verdict.passes(location)
        if status not in ("SUCCEEDED", "FAILED") or (status == "SUCCEEDED") == passed:
            continue
        if passed and _has_own_problem(context.instance, key, location):
            continue
        context.log.warning("%s in %s: parity now %s", noun, location, "passes" if passed else "fails")
        context.op_execution_context.log_event(
            # An event of this run: of runless ones Dagster keeps one per check and partition, and refuses the second.
            evaluation(  # pyright: ignore[reportArgumentType] - accepted, and missing in its annotation
                context.instance,
                key,
                location,
                passed=passed,
                description=f"Found from {verdict.location}: {verdict.quorum.sentence()}",
                metadata={**_metadata(verdict, location), "found_from": verdict.location},
            )
        )


def _has_own_problem(instance: dg.DagsterInstance, key: dg.AssetCheckKey, location: str) -> bool:
    """Whether a location's last result names something wrong there whatever the others hold: no vote takes that away."""
    for record in instance.event_log_storage.get_asset_check_execution_history(key, limit=HISTORY):
        evaluation = record.evaluation
        if isinstance(evaluation, dg.AssetCheckEvaluation) and evaluation.partition == location:
            return "problem" in evaluation.metadata
    return False


def _metadata(verdict: Verdict, location: str) -> dict[str, Any]:
    quorum = verdict.quorum
    return {
        "snapshot": verdict.snapshot[:12] if location == verdict.location else verdict.contents[location],
        **({"problem": verdict.problem} if verdict.problem is not None and location == verdict.location else {}),
        "standing": quorum.standings[location].value,
        "agreeing_locations": len(quorum.agreed),
        "accused_locations": len(quorum.accused),
        "undecided_locations": len(quorum.undecided),
        "abstaining_locations": len(quorum.abstained),
        **(verdict.metadata if location == verdict.location else {}),
        "report": dg.MetadataValue.md(_report(verdict)),
    }


def _report(verdict: Verdict) -> str:
    quorum = verdict.quorum
    lines = [verdict.quorum.sentence(), "", "| | location | holds | of | |", "|---|---|---|---|---|"]
    for location, standing in quorum.standings.items():
        name = f"**{location}**" if location == verdict.location else location
        cells = (MARKS[standing], name, verdict.contents[location], quorum.generation, standing.value)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    for location, generation in quorum.other_generation.items():
        lines.append(f"| · | {location} | {verdict.contents[location]} | {generation} | no witness |")
    lines += [f"| · | {location} | | | abstains: {reason} |" for location, reason in quorum.abstained.items()]
    return "\n".join(lines)
