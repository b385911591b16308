"""The result of a drill as a document: everything that was expected, done, measured and decided. Stable, and plain JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mcml_assets.domain.drill import STAGES, Judged, Measured, Stage, Timeline, Verdict

FORMAT = 4


@dataclass(frozen=True, slots=True)
class Told:
    """One line of the timeline: when (seconds since the epoch), and what happened."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class DrillResult:
    """One drill of one scenario for one workload in one jurisdiction, rehearsed at `location`.

    `reasons` say why it was refused, aborted, or missed; `injected` are the faults as they were brought about,
    `detections` the events by which the platform noticed, `decisions` and `publications` what Dagster recorded, `surprises`
    those detections that the faults do not explain, `measured` None where the drill was refused.
    """

    id: str
    scenario: str
    title: str
    hypothesis: str
    workload: str
    jurisdiction: str
    location: str
    profile: str
    who: str
    began: float
    ended: float
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    injected: tuple[Told, ...] = ()
    detections: tuple[Told, ...] = ()
    decisions: tuple[Told, ...] = ()
    publications: tuple[Told, ...] = ()
    surprises: tuple[str, ...] = ()
    measured: Measured | None = None
    judged: tuple[Judged, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The document that `mcml drill run --json` prints; its schema is `drills/result.schema.json`."""
        measured = self.measured
        document = asdict(self)
        document["format"] = FORMAT
        document["verdict"] = self.verdict.value
        document["measured"] = None
        if measured is not None:
            document["measured"] = {
                "acting_before": measured.acting_before,
                "acting_after": measured.acting_after,
                "seconds_from_fault": {stage: _rounded(measured.timeline.seconds(stage)) for stage in STAGES},
                "recovery_seconds": _rounded(measured.timeline.seconds("served")),
                "loss_seconds": _rounded(measured.loss_seconds),
                "at_risk_seconds": _rounded(measured.at_risk_seconds),
                "runs": [asdict(run) for run in measured.runs],
                "stages": [_stage(stage, measured.timeline) for stage in measured.stages],
                "requests": {
                    **asdict(measured.requests),
                    "answered_by": dict(measured.requests.answered_by),
                },
                "rollout": asdict(measured.rollout) if measured.rollout is not None else None,
                "load": [asdict(second) for second in measured.load],
            }
        return document


def _stage(stage: Stage, timeline: Timeline) -> dict[str, Any]:
    def since(at: float | None) -> float | None:
        return None if at is None else round(at - timeline.fault, 2)

    return {
        "asset": stage.asset,
        "place": stage.place,
        "detected": _rounded(timeline.seconds("detected")),
        "decided": _rounded(timeline.seconds("decided")),
        "published": since(stage.published),
        "served": since(stage.served),
    }


def told(events: Sequence[tuple[float, str]]) -> tuple[Told, ...]:
    """Lines of a timeline, in their order."""
    return tuple(Told(at, text) for at, text in sorted(events))


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)
