"""Decisions as Dagster shows and runs them: an observation that tells the reasons, and the runs that are requested.

What is decided is `domain/failover.py`'s business; when, each sensor's.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from mcml_assets.automation import TAKEOVER_TAG
from mcml_assets.domain.acting import Acting
from mcml_assets.domain.failover import Decision, RequestedRun
from mcml_assets.domain.workload import Workload

PRIORITY_TAG = "dagster/priority"
TAKEOVER_PRIORITY = "10"
"""Before anything that automation requests: callers wait for it."""


def takeover_runs(workload: Workload, jurisdiction: str, acting: Acting, runs: Sequence[RequestedRun]) -> list[dg.RunRequest]:
    """The runs by which the acting location takes over; their keys are the epoch's, so that no epoch asks twice."""
    takeover = f"{workload.name}/{jurisdiction}/{acting.epoch}"
    return [requested_run(workload, run, f"takeover/{takeover}/{run.partition}", {TAKEOVER_TAG: takeover}) for run in runs]


def requested_run(workload: Workload, run: RequestedRun, run_key: str, tags: dict[str, str]) -> dg.RunRequest:
    """A request for some assets of a workload in one partition, with their checks."""
    return dg.RunRequest(
        run_key=run_key,
        partition_key=run.partition,
        asset_selection=[dg.AssetKey([workload.name, noun]) for noun in run.nouns],
        tags={PRIORITY_TAG: TAKEOVER_PRIORITY, **tags},
    )


def told(decision: Decision, runs: Sequence[RequestedRun] = (), *, down_since: float | None = None) -> dg.AssetObservation:
    """The event of a decision: on the route, in its jurisdiction, with everything that it rests on.

    `down_since` is when the acting location was first found down, in Unix seconds; None while it answers.
    """
    metadata: dict[str, Any] = {
        "decision": "moves" if decision.moves else "stays",
        "cause": decision.cause.value,
        "acting_location": (decision.after or decision.before).location,
        "epoch": (decision.after or decision.before).epoch,
        "reasons": dg.MetadataValue.md("\n".join(f"- {reason}" for reason in decision.reasons)),
    }
    if down_since is not None:
        metadata["down_since"] = dg.MetadataValue.timestamp(down_since)
    if decision.moves:
        metadata["former_acting_location"] = decision.before.location
        metadata["requested"] = ", ".join(f"{' + '.join(run.nouns)} [{run.partition}]" for run in runs or decision.runs)
    if decision.rejected:
        rows = [f"| {rejected.location} | {rejected.reason} |" for rejected in decision.rejected]
        metadata["rejected"] = dg.MetadataValue.md("\n".join(["| location | why not |", "|---|---|", *rows]))
    if decision.loss is not None:
        metadata["left_behind_snapshot"] = decision.loss.snapshot[:12]
        metadata["lag_seconds"] = decision.loss.seconds
    return _observation(decision.workload, decision.jurisdiction, decision.summary, metadata)


def told_change(workload: str, jurisdiction: str, acting: Acting, runs: Sequence[RequestedRun]) -> dg.AssetObservation:
    """The event of a change that somebody else made in the register: a command, or a former life of this sensor."""
    metadata = {
        "decision": "moved",
        "acting_location": acting.location,
        "epoch": acting.epoch,
        "requested": ", ".join(f"{' + '.join(run.nouns)} [{run.partition}]" for run in runs) or "nothing",
    }
    summary = f"{workload} in {jurisdiction}: {acting.location} acts, epoch {acting.epoch}, and takes over"
    return _observation(workload, jurisdiction, summary, metadata)


def _observation(workload: str, jurisdiction: str, summary: str, metadata: dict[str, Any]) -> dg.AssetObservation:
    return dg.AssetObservation(
        dg.AssetKey([workload, "traffic_route"]), partition=jurisdiction, description=summary, metadata=metadata
    )
