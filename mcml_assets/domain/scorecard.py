"""The resilience scorecard of a workload: how much of what should be proved is proved, and by which event.

Pure. Every point comes from an event about a subject that was expected beforehand: what nobody proved counts as nothing,
what was proved long ago counts less, and evidence about anything else does not count at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

DAY = 86400.0
FRESH_DAYS = 30.0
"""Evidence up to this age counts in full."""
WORTHLESS_DAYS = 90.0
"""From here on it counts nothing; between the two, its value falls evenly. An annual test is not a present ability."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One event that proves or disproves something: `value` from 0 (disproved) to 1, `at` seconds since the epoch (UTC).

    `event` names it where it can be looked up, `text` says what it showed.
    """

    event: str
    at: float
    value: float
    text: str

    def worth(self, now: float) -> float:
        """Its value as it counts at `now`."""
        days = (now - self.at) / DAY
        faded = (WORTHLESS_DAYS - days) / (WORTHLESS_DAYS - FRESH_DAYS)
        return max(0.0, min(1.0, self.value)) * max(0.0, min(1.0, faded))


@dataclass(frozen=True, slots=True)
class Component:
    """One question of the scorecard: its weight in points, the subjects it must be answered for, and what was found."""

    name: str
    question: str
    weight: float
    subjects: tuple[str, ...]
    evidence: Mapping[str, Evidence]

    def share(self, now: float) -> float:
        """How much of it is proved, from 0 to 1; without a subject nothing is."""
        if not self.subjects:
            return 0.0
        return sum(self.evidence[one].worth(now) for one in self.subjects if one in self.evidence) / len(self.subjects)

    def missing(self) -> tuple[str, ...]:
        """The subjects about which no event tells anything."""
        return tuple(one for one in self.subjects if one not in self.evidence)


@dataclass(frozen=True, slots=True)
class Scorecard:
    """All components of one workload as they stand at `now` (seconds since the epoch, UTC)."""

    workload: str
    now: float
    components: tuple[Component, ...]

    @property
    def score(self) -> float:
        """0 to 100: the weighted mean of the components' shares."""
        total = sum(component.weight for component in self.components)
        return 100 * sum(self.points(component) for component in self.components) / total if total else 0.0

    def points(self, component: Component) -> float:
        """What a component contributes, of its weight."""
        return component.weight * component.share(self.now)

    def to_json(self) -> dict[str, object]:
        """The document that `mcml scorecard --json` prints; its schema is `scorecard/scorecard.schema.json`."""
        return {
            "format": 1,
            "workload": self.workload,
            "at": self.now,
            "score": round(self.score, 1),
            "components": [
                {
                    "name": component.name,
                    "question": component.question,
                    "weight": component.weight,
                    "points": round(self.points(component), 2),
                    "missing": list(component.missing()),
                    "evidence": [
                        {
                            "subject": subject,
                            "event": component.evidence[subject].event,
                            "at": component.evidence[subject].at,
                            "value": component.evidence[subject].value,
                            "worth": round(component.evidence[subject].worth(self.now), 3),
                            "text": component.evidence[subject].text,
                        }
                        for subject in component.subjects
                        if subject in component.evidence
                    ],
                }
                for component in self.components
            ],
        }


def newest(found: Sequence[tuple[str, Evidence]]) -> dict[str, Evidence]:
    """The newest evidence about each subject: an old success does not outlive a new failure."""
    by_subject: dict[str, Evidence] = {}
    for subject, evidence in found:
        if subject not in by_subject or evidence.at >= by_subject[subject].at:
            by_subject[subject] = evidence
    return by_subject
