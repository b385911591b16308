"""Canary training: whether a model that a standby trained by itself agrees with the one that is served. Pure.

A standby holds features, and a copy of a model; that it could also train is proved by doing it. Training is `training/`'s
business, recording what came of it `assets/canary_training.py`'s, and what follows for a failover `readiness.py`'s.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from math import isfinite
from typing import Any


class Agreement(StrEnum):
    """What a canary proved: its model agrees, it does not, or nobody can tell because the two cannot be compared."""

    AGREES = "agrees"
    DISAGREES = "disagrees"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CanaryRules:
    """When standbys train, and within which tolerance they must agree; `reason` says why these figures.

    `metric_margin`: by how much the two may differ in the workload's metric, on the same held-out rows. `golden_tolerance`:
    by how much scores of the golden inputs may differ on average, where both learnt from the same data.
    """

    cron: str = "40 3 * * 0"
    metric_margin: float = 0.02
    golden_tolerance: float = 0.02
    reason: str = ""


DEFAULT_CANARY = CanaryRules()


@dataclass(frozen=True, slots=True)
class Compared:
    """A canary beside the served model.

    `difference` is the canary's advantage in the workload's metric on `rows` held-out rows that neither was trained on, in
    the metric's unit; `golden_difference` the mean absolute difference of the scores of the golden inputs. `same_data` tells
    whether both learnt from the same raw data, `same_code` whether by the same code. `problem` is why they cannot be
    compared.
    """

    metric: str
    difference: float | None
    rows: int
    golden_difference: float | None
    same_data: bool
    same_code: bool
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class CanaryResult:
    """What a canary proved, with the sentence that says why; `against` is the served package's digest, of `version`."""

    agreement: Agreement
    reason: str
    against: str
    version: int

    def annotations(self) -> dict[str, Any]:
        """As the manifest of its evidence records it, where who decides about a failover reads it."""
        return asdict(self)

    @classmethod
    def from_annotations(cls, annotations: Mapping[str, Any]) -> "CanaryResult":
        """Read it back. What is not there, or is no word of ours, is unknown."""
        said = str(annotations.get("agreement"))
        agreement = Agreement(said) if said in set(Agreement) else Agreement.UNKNOWN
        reason = str(annotations.get("reason", "its evidence does not say"))
        return cls(agreement, reason, str(annotations.get("against", "")), int(annotations.get("version", 0)))


def judge_canary(compared: Compared, rules: CanaryRules) -> tuple[Agreement, str]:
    """Whether they agree, and why.

    Code that changed since the served model was trained, or a model that cannot be asked, is no fault of the location: then
    nobody can tell. Other data moves scores, so the golden inputs are judged only where both learnt from the same.
    """
    if compared.problem is not None:
        return Agreement.UNKNOWN, compared.problem
    if not compared.same_code:
        return Agreement.UNKNOWN, "the served model was trained by other code than is declared now"
    if compared.difference is None or compared.rows == 0:
        return Agreement.UNKNOWN, "there are no held-out rows that the served model was not trained on"
    off = abs(compared.difference)
    figures = f"{compared.metric} differs by {compared.difference:+.4f} on {compared.rows} held-out rows"
    allowed = f"{rules.metric_margin:g} is allowed"
    if not off <= rules.metric_margin:  # so that NaN is told as what it is: not shown to agree
        return Agreement.DISAGREES, f"{figures}, and {allowed}"
    if not compared.same_data:
        return Agreement.AGREES, f"{figures}, and {allowed}; trained on other data, so scores are not compared one by one"
    golden = compared.golden_difference
    if golden is None or not isfinite(golden) or golden > rules.golden_tolerance:
        said = "cannot be compared" if golden is None else f"differ by {golden:.4g} on average"
        return Agreement.DISAGREES, f"scores of the golden inputs {said}, and {rules.golden_tolerance:g} is allowed; {figures}"
    return Agreement.AGREES, f"{figures}, scores of the golden inputs by {golden:.2g} on average"
