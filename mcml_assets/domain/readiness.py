"""Whether a location could take the work over now: the one answer that failover, status, checks and scorecard give.

Pure. The facts are gathered in `failover/facts.py`. A point that is proved is met; one that speaks against the location
unmet, and then it is not ready; one that nobody can tell, or that costs something without being wrong, is a reservation: it
is named, and by itself keeps nobody from taking over, for a platform that is new or has lost half of its eyes must still
move. Whether a location that is ready is also lawful, up and allowed is `failover.py`'s question.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from mcml_assets.domain.canary import Agreement
from mcml_assets.domain.parity import Holding, convene
from mcml_assets.domain.parity import Standing as Vote


class Health(StrEnum):
    """What a probe found out about a location; what it could not find out in time is unknown, and no reason to move."""

    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"


class Serving(StrEnum):
    """What a location can answer with: a running server, a verified package that a server starts from, or nothing."""

    READY = "ready"
    COLD = "cold"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class CanaryFacts:
    """The last canary that a location trained: what it proved, why, and when (`age_seconds` ago)."""

    agreement: Agreement
    reason: str
    age_seconds: float


@dataclass(frozen=True, slots=True)
class SyntheticFacts:
    """The last synthetic transaction with a location's server: whether it passed, how many in a row ended so, and when.

    `problem` is why it failed.
    """

    passed: bool
    in_a_row: int
    age_seconds: float
    problem: str | None = None

    @property
    def fails(self) -> bool:
        """Whether they fail now, and not for the first time."""
        return not self.passed and self.in_a_row >= FAILED_IN_A_ROW and self.age_seconds <= SYNTHETIC_SECONDS


@dataclass(frozen=True, slots=True)
class LocationFacts:
    """One location of the placement as it was found.

    `problem` says why it is not up. `snapshot` is what its `raw_data` holds (`landing` at the acting location), None for
    nothing or unknown. `lag_seconds` is its replication lag, 0 when it holds the newest snapshot and None when that
    cannot be told. `model` is the version it holds, or was last known to serve. `missing_bytes` is what it lacks of the
    newest snapshot, None when unknown. `features_current` tells that its features are those of its snapshot, `untrained`
    that those were not trained on.

    `features_of` is the raw data that its features were made of, `features_content` what is the same wherever the features
    are, `features_by` who computed them, and `feature_columns` what there is of them (`view.column`); each None when unknown.
    `model_digest` is the package it holds.
    """

    location: str
    jurisdiction: str
    health: Health
    problem: str | None = None
    snapshot: str | None = None
    lag_seconds: float | None = None
    model: int | None = None
    serving: Serving = Serving.NOTHING
    missing_bytes: int | None = None
    features_current: bool = False
    untrained: bool = False
    features_of: str | None = None
    features_content: str | None = None
    features_by: str | None = None
    feature_columns: frozenset[str] | None = None
    model_digest: str | None = None
    canary: CanaryFacts | None = None
    synthetic: SyntheticFacts | None = None

    @property
    def serves(self) -> bool:
        """Whether callers are answered from here now."""
        return self.health is Health.UP and self.serving is Serving.READY


class Standing(StrEnum):
    """How a point stands: proved, not proved but no obstacle, or an obstacle."""

    MET = "met"
    RESERVED = "reserved"
    UNMET = "unmet"


class Question(StrEnum):
    """What readiness consists of."""

    DATA = "data"
    PARITY = "parity"
    MODEL = "model"
    SCHEMA = "feature schema"
    CANARY = "canary"
    CAPACITY = "capacity"
    SYNTHETIC = "synthetic"


STALE = "stale"
NOT_READY = "not ready"
FAILED_IN_A_ROW = 2
"""Synthetic transactions that fail in a row before they count: one alone may have met a server that was just replaced."""
SYNTHETIC_SECONDS = 600.0
"""How long the last synthetic transaction says something: they come once a minute."""
DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Point:
    """One question and its answer; `kind` is the word under which a refusal is counted, `stale` or `not ready`."""

    question: Question
    standing: Standing
    text: str
    kind: str = NOT_READY


@dataclass(frozen=True, slots=True)
class Yardstick:
    """What a location is measured by: the newest snapshot, the RPO (seconds), and the other locations of its placement.

    `exact_features` tells that independently computed features have to be equal, since no tolerance is declared;
    `declared_features` are those of the workload (`view.column`).
    """

    newest: str | None
    rpo_seconds: float
    others: tuple[LocationFacts, ...]
    exact_features: bool = True
    declared_features: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Readiness:
    """All points of one location."""

    location: str
    points: tuple[Point, ...]

    @property
    def unmet(self) -> tuple[Point, ...]:
        """What speaks against it."""
        return tuple(point for point in self.points if point.standing is Standing.UNMET)

    @property
    def reservations(self) -> tuple[Point, ...]:
        """What is not proved."""
        return tuple(point for point in self.points if point.standing is Standing.RESERVED)

    @property
    def ready(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.unmet

    @property
    def sentence(self) -> str:
        """For people."""
        if not self.ready:
            return "not ready: " + "; ".join(point.text for point in self.unmet)
        if self.reservations:
            return "ready, with reservations: " + "; ".join(point.text for point in self.reservations)
        return "ready"


def readiness(facts: LocationFacts, by: Yardstick) -> Readiness:
    """Every point of a location, whatever the others say; the first that is unmet is the reason of a refusal."""
    return Readiness(
        facts.location,
        (
            _data(facts, by),
            _capacity(facts, by),
            _model(facts, by),
            _schema(facts, by),
            _parity(facts, by),
            _canary(facts),
            _synthetic(facts),
        ),
    )


def _data(facts: LocationFacts, by: Yardstick) -> Point:
    if facts.snapshot is None:
        return Point(Question.DATA, Standing.UNMET, "it holds no snapshot")
    if facts.lag_seconds is None:
        return Point(Question.DATA, Standing.UNMET, "nobody can tell what it lacks", STALE)
    lacks = f"it lacks snapshot {short(by.newest)} of {facts.lag_seconds:.0f} s ago"
    if facts.lag_seconds > by.rpo_seconds:
        return Point(Question.DATA, Standing.UNMET, f"{lacks}, past the RPO of {by.rpo_seconds:g} s", STALE)
    if facts.lag_seconds > 0:
        return Point(Question.DATA, Standing.RESERVED, f"{lacks}, within the RPO of {by.rpo_seconds:g} s")
    return Point(Question.DATA, Standing.MET, f"it holds the newest snapshot {short(facts.snapshot)}")


def _capacity(facts: LocationFacts, by: Yardstick) -> Point:
    """Before the first model nobody can be ready to serve, and only data is asked for."""
    if facts.serving is Serving.READY:
        return Point(Question.CAPACITY, Standing.MET, "a server answers")
    if facts.model is None:
        trained = any(other.model is not None for other in by.others)
        if trained:
            return Point(Question.CAPACITY, Standing.UNMET, "it holds no model")
        return Point(Question.CAPACITY, Standing.RESERVED, "no model was trained yet, so nobody serves")
    if facts.serving is Serving.NOTHING:
        return Point(Question.CAPACITY, Standing.UNMET, "no server answers there, and none is held to start")
    return Point(Question.CAPACITY, Standing.RESERVED, "its server is cold, and has to start first")


def _model(facts: LocationFacts, by: Yardstick) -> Point:
    """A former model still answers, so another one than the newest is told, and no obstacle."""
    newest = max((other for other in (facts, *by.others) if other.model is not None), key=_version, default=None)
    if newest is None or facts.model is None:
        return Point(Question.MODEL, Standing.RESERVED, "it holds no model")
    if facts.model < _version(newest):
        return Point(Question.MODEL, Standing.RESERVED, f"it has model v{facts.model}, and v{newest.model} is the newest")
    if facts.model_digest is None or newest.model_digest is None:
        return Point(Question.MODEL, Standing.RESERVED, f"nobody can tell whether its model v{facts.model} is the others'")
    held = [one for one in (facts, *by.others) if one.model is not None and one.model_digest is not None]
    quorum = convene(
        [Holding(one.location, one.model or 0, one.model_digest or "") for one in held], facts.model, lambda one, other: False
    )
    match quorum.standings[facts.location]:
        case Vote.ODD:
            agreed = ", ".join(quorum.agreed)
            return Point(Question.MODEL, Standing.UNMET, f"its model v{facts.model} is not the package that {agreed} hold")
        case Vote.UNDECIDED:
            told = f"{' and '.join(quorum.undecided)} hold different packages as model v{facts.model}"
            return Point(Question.MODEL, Standing.RESERVED, told)
        case _:
            pass
    return Point(Question.MODEL, Standing.MET, f"it holds model v{facts.model}, {short(facts.model_digest)}")


def _version(facts: LocationFacts) -> int:
    return facts.model or 0


def _schema(facts: LocationFacts, by: Yardstick) -> Point:
    """Held against a location is what others have. A feature that was just declared and is nowhere yet, no model asks for."""
    if facts.feature_columns is None:
        return Point(Question.SCHEMA, Standing.RESERVED, "nobody can tell which features it has")
    missing = by.declared_features - facts.feature_columns
    elsewhere = missing & frozenset[str]().union(*(other.feature_columns or () for other in by.others))
    if elsewhere:
        return Point(
            Question.SCHEMA, Standing.UNMET, f"its features lack {', '.join(sorted(elsewhere)[:5])}, which others have"
        )
    if missing:
        return Point(Question.SCHEMA, Standing.RESERVED, f"no location has {', '.join(sorted(missing)[:5])} yet")
    return Point(Question.SCHEMA, Standing.MET, "it has every declared feature")


def _parity(facts: LocationFacts, by: Yardstick) -> Point:
    """Features of the same raw data by their content, with the vote of the parity check; tolerances are that check's."""
    if facts.features_content is None:
        return Point(Question.PARITY, Standing.RESERVED, "it has no features to compare")
    generation = facts.features_of or ""
    voters = [
        Holding(one.location, one.features_of or "", one.features_content, one.features_by or "")
        for one in (facts, *by.others)
        if one.features_content is not None
    ]
    quorum = convene(voters, generation, lambda one, other: False)
    match quorum.standings[facts.location]:
        case Vote.AGREES:
            return Point(Question.PARITY, Standing.MET, f"features of the same data: {', '.join(quorum.agreed)} agree")
        case Vote.ODD if by.exact_features:
            return Point(
                Question.PARITY, Standing.UNMET, f"its features are not those that {', '.join(quorum.agreed)} agree on"
            )
        case Vote.ODD:
            return Point(Question.PARITY, Standing.RESERVED, "its features are not those of the others to the last digit")
        case Vote.ALONE:
            return Point(Question.PARITY, Standing.RESERVED, "nobody else has features of the same data")
        case Vote.UNDECIDED:
            return Point(Question.PARITY, Standing.RESERVED, f"{' and '.join(quorum.undecided)} disagree on the features")


def _canary(facts: LocationFacts) -> Point:
    """A canary that disagreed stands until another one here agrees."""
    if facts.canary is None:
        return Point(Question.CANARY, Standing.RESERVED, "no canary was trained here yet")
    days = f"{facts.canary.age_seconds / DAY:.0f} days ago"
    match facts.canary.agreement:
        case Agreement.AGREES:
            return Point(Question.CANARY, Standing.MET, f"its canary of {days} agrees with the served model")
        case Agreement.DISAGREES:
            return Point(Question.CANARY, Standing.UNMET, f"its canary of {days} disagrees: {facts.canary.reason}")
        case Agreement.UNKNOWN:
            return Point(Question.CANARY, Standing.RESERVED, f"its canary of {days} proves nothing: {facts.canary.reason}")


def _synthetic(facts: LocationFacts) -> Point:
    found = facts.synthetic
    if facts.serving is not Serving.READY:
        return Point(Question.SYNTHETIC, Standing.RESERVED, "no server answers yet that could be asked")
    if found is None or found.age_seconds > SYNTHETIC_SECONDS:
        return Point(Question.SYNTHETIC, Standing.RESERVED, "its server was not asked for golden predictions lately")
    if found.passed:
        return Point(Question.SYNTHETIC, Standing.MET, f"it gave golden predictions {found.age_seconds:.0f} s ago")
    said = found.problem or "no reason given"
    if not found.fails:
        return Point(Question.SYNTHETIC, Standing.RESERVED, f"its last synthetic transaction failed: {said}")
    return Point(Question.SYNTHETIC, Standing.UNMET, f"its last {found.in_a_row} synthetic transactions failed: {said}")


def points_by_question(found: Readiness) -> Iterator[tuple[str, str, str]]:
    """Question, standing and text of every point, as JSON and tables show them."""
    for point in found.points:
        yield point.question.value, point.standing.value, point.text


def short(snapshot: str | None) -> str:
    """The first digits of a snapshot's id."""
    return snapshot[:12] if snapshot else "(unknown)"
