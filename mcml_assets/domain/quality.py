"""What a candidate is judged by, and a judgement with its reason. Measuring is `training/`'s business."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QualityThresholds:
    """Thresholds in the unit of the workload's metric, and why they are what they are.

    `min_improvement`: the least advantage over the trivial baseline, at the lower end of its 95 % confidence interval.
    `served_margin`: by how much the model now served may be better, at that end of the interval of the paired difference.
    `segments`: features by whose values the held-out rows are divided; in none of them may a candidate surely be worse than
    the baseline, nor by more than the margin than the served model. `max_calibration_error`: the largest expected
    calibration error, unless chance explains more.
    """

    min_improvement: float = 0.0
    served_margin: float = 0.02
    segments: tuple[str, ...] = ()
    max_calibration_error: float = 0.1
    reason: str = ""


DEFAULT_QUALITY = QualityThresholds()


@dataclass(frozen=True, slots=True)
class GateDecision:
    """Whether a candidate may become a model, and the sentence that says why."""

    passed: bool
    reason: str
