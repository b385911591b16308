"""Whether a candidate may become a model: against guessing, the model now served, in every segment, and calibration.

Each judgement asks for what its kind of error costs. To be better than guessing, and no worse than the served model, must be
shown: the lower end of the interval counts. A segment is one of many and may be small, so there it must not be shown to be
bad: the upper end counts, of intervals that are wider the more segments there are (C. Bonferroni; O. Dunn, Journal of the
American Statistical Association 56 (1961) 52-64). The figures are `evaluate.py`'s. Imports pandas: import this module inside
functions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from mcml_assets.domain.quality import GateDecision, QualityThresholds
from mcml_assets.domain.workload import Workload
from mcml_assets.training.candidate import Candidate
from mcml_assets.training.evaluate import CONFIDENCE, MIN_ENTITIES_PER_CLASS, Estimate, advantages, gate
from mcml_assets.training.metrics import Calibration, calibration, calibration_by_chance
from mcml_assets.training.segments import Segment, divide

RESAMPLES = 400
"""Draws in a segment: there are many of them, and their intervals are wide anyway."""


@dataclass(frozen=True, slots=True)
class Served:
    """The model now served, asked about a candidate's held-out rows.

    `scores` have shape (test rows,); None when it cannot be asked, and `problem` says why. `held_out_from` is when the rows
    begin that it was not trained on; None when its package does not say.
    """

    version: int
    scores: np.ndarray | None
    held_out_from: datetime | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class SegmentFigures:
    """A candidate in one segment: its advantages over guessing and the served model, and whether it is surely bad there."""

    name: str
    rows: int
    entities: int
    improvement: Estimate
    over_served: Estimate | None
    passed: bool

    @property
    def judged(self) -> bool:
        return not np.isnan(self.improvement.high)


@dataclass(frozen=True, slots=True)
class Quality:
    """All that was found of a candidate, beside its `evaluation`.

    `over_served` is the advantage over the served model on `compared_rows` rows; `segments` are worst first;
    `calibration_by_chance` is the calibration error that chance alone explains; `judgements` by name.
    """

    served: Served | None
    over_served: Estimate | None
    compared_rows: int
    served_calibration: Calibration | None
    segments: tuple[SegmentFigures, ...]
    calibration_by_chance: float
    judgements: dict[str, GateDecision]

    @property
    def decision(self) -> GateDecision:
        """All judgements as one; what did not pass comes first."""
        ordered = sorted(self.judgements.values(), key=lambda one: one.passed)
        return GateDecision(all(one.passed for one in ordered), "; ".join(one.reason for one in ordered))


def judge(workload: Workload, candidate: Candidate, served: Served | None) -> Quality:
    """Judge a candidate by its workload's thresholds; without a `served` model there is nothing to fall behind."""
    thresholds, metric = workload.thresholds.quality, workload.training.metric
    fair = _fair_rows(candidate, served)
    over_served = None
    if served is not None and served.scores is not None and fair.any():
        y, scores = candidate.y_test.to_numpy()[fair], candidate.scores[fair]
        others = {"served": served.scores[fair]}
        over_served = advantages(y, scores, others, candidate.entities[fair], metric=metric)["served"]
    segments = _segments(workload, candidate, served if over_served is not None else None, fair)
    chance = calibration_by_chance(candidate.scores, candidate.entities)
    return Quality(
        served=served,
        over_served=over_served,
        compared_rows=int(fair.sum()) if over_served is not None else 0,
        served_calibration=calibration(candidate.y_test.to_numpy(dtype="float64")[fair], served.scores[fair])
        if over_served is not None and served is not None and served.scores is not None
        else None,
        segments=segments,
        calibration_by_chance=chance,
        judgements={
            "baseline": gate(candidate.evaluation, thresholds),
            "served": _against_served(served, over_served, metric, thresholds),
            "segments": _in_segments(segments, metric, thresholds),
            "calibration": _calibrated(candidate, chance, thresholds),
        },
    )


def _fair_rows(candidate: Candidate, served: Served | None) -> np.ndarray:
    """The test rows that the served model was not trained on either."""
    if served is None or served.held_out_from is None:
        return np.ones(len(candidate.times), dtype=bool)
    return (candidate.times >= served.held_out_from).to_numpy()


def _against_served(
    served: Served | None, over_served: Estimate | None, metric: str, thresholds: QualityThresholds
) -> GateDecision:
    if served is None:
        return GateDecision(True, "no model is served yet that it could fall behind")
    if over_served is None:
        # Only what a new model cures comes this far: were it a failure, no model could ever be trained again.
        why = served.problem or "it was trained on all held-out rows"
        return GateDecision(True, f"not compared with the served version {served.version}: {why}")
    passed = over_served.low >= -thresholds.served_margin  # False for NaN
    verdict = "within" if passed else "not within"
    figures = f"against the served version {served.version} on the same rows {metric} is better by {over_served}"
    return GateDecision(passed, f"{figures}; its lower end is {verdict} the margin of {thresholds.served_margin:g}")


def _segments(workload: Workload, candidate: Candidate, served: Served | None, fair: np.ndarray) -> tuple[SegmentFigures, ...]:
    features = workload.thresholds.quality.segments
    parts = divide(candidate.x_test, candidate.x_train, features, workload.unshown_features)
    judged = [part for part in parts if _fewest_entities(candidate, part) >= MIN_ENTITIES_PER_CLASS]
    comparisons = len(judged) * (1 if served is None else 2)
    confidence = 1 - (1 - CONFIDENCE) / max(1, comparisons)
    found = [_segment(workload, candidate, served, fair, part, confidence) for part in parts]
    return tuple(sorted(found, key=lambda one: (one.passed, not one.judged, one.improvement.value)))


def _fewest_entities(candidate: Candidate, part: Segment) -> int:
    y = candidate.y_test.to_numpy()
    return min(len(np.unique(candidate.entities[part.rows & (y == label)])) for label in (0, 1))


def _segment(
    workload: Workload, candidate: Candidate, served: Served | None, fair: np.ndarray, part: Segment, confidence: float
) -> SegmentFigures:
    thresholds, metric = workload.thresholds.quality, workload.training.metric
    y, entities = candidate.y_test.to_numpy(), candidate.entities
    others = {"baseline": np.full(len(y), candidate.evaluation.prior)}
    if served is not None and served.scores is not None:
        others["served"] = served.scores

    def over(names: Sequence[str], rows: np.ndarray) -> dict[str, Estimate]:
        scores = {name: others[name][rows] for name in names}
        return advantages(
            y[rows], candidate.scores[rows], scores, entities[rows], metric=metric, confidence=confidence, resamples=RESAMPLES
        )

    compared = part.rows & fair
    if np.array_equal(compared, part.rows):
        found = over(tuple(others), part.rows)  # the same draws do for both
    else:
        found = over(("baseline",), part.rows) | (over(("served",), compared) if "served" in others and compared.any() else {})
    improvement, over_served = found["baseline"], found.get("served")
    # Comparisons with NaN are false: what nobody can tell accuses nobody here, and is shown as not judged.
    bad = improvement.high < 0 or (over_served is not None and over_served.high < -thresholds.served_margin)
    return SegmentFigures(
        part.name, int(part.rows.sum()), len(np.unique(entities[part.rows])), improvement, over_served, not bad
    )


def _in_segments(segments: tuple[SegmentFigures, ...], metric: str, thresholds: QualityThresholds) -> GateDecision:
    judged = [one for one in segments if one.judged]
    if not judged:
        why = "no segments are declared" if not segments else f"all {len(segments)} segments are too small to judge"
        return GateDecision(True, why)
    worst = judged[0]
    size = f"{worst.rows} rows of {worst.entities} entities"
    small = f"; {len(segments) - len(judged)} are too small to judge" if len(judged) < len(segments) else ""
    figures = f"{metric} beats guessing by {worst.improvement} there"
    if worst.over_served is not None:
        figures += f", the served model by {worst.over_served}"
    bad = [one for one in judged if not one.passed]
    if not bad:
        return GateDecision(True, f"the worst of {len(judged)} segments is {worst.name} ({size}): {figures}{small}")
    told = f"surely bad in {len(bad)} of {len(judged)} segments, worst in {worst.name} ({size}): {figures}"
    return GateDecision(False, f"{told}; allowed is to lose {thresholds.served_margin:g} against the served model{small}")


def _calibrated(candidate: Candidate, chance: float, thresholds: QualityThresholds) -> GateDecision:
    error = candidate.evaluation.calibration.expected_error
    passed = error <= max(thresholds.max_calibration_error, chance)
    allowed = f"{thresholds.max_calibration_error:g} is allowed, and chance explains up to {chance:.4f}"
    return GateDecision(passed, f"calibration error {error:.4f}; {allowed}")
