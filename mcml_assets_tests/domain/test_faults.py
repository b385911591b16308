"""What a fault says: what it strikes and when is certain beforehand, and what cannot be is refused with what can."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.faults import AMOUNTS, APPLIES, MEANINGS, SIDE, Fault, FaultKind, duration

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def a_fault(kind: FaultKind = FaultKind.OUTAGE, **changes: Any) -> Fault:
    facts: dict[str, Any] = {"target": "aws", "begins": NOW, "expires": NOW + timedelta(minutes=10)}
    return Fault(kind=kind, **facts | changes)


@st.composite
def faults(draw: st.DrawFn) -> Fault:
    kind = draw(st.sampled_from(FaultKind))
    amounts = {name: st.floats(amount.least, amount.most) for name, amount in AMOUNTS.get(kind, {}).items()}
    sides = {SIDE: st.just("azure")} if kind is FaultKind.PARTITION else {}
    selectors = {"operation": st.sampled_from(APPLIES[kind]), "key": st.text(min_size=1)}
    return Fault(
        target=draw(st.sampled_from(["aws", "aws/eu-west-2", "gcp"])),
        kind=kind,
        begins=NOW,
        expires=NOW + timedelta(seconds=draw(st.integers(1, 86400))),
        parameters=draw(st.fixed_dictionaries(sides, optional={**amounts, **selectors})),
        probability=draw(st.floats(0, 1, exclude_min=True)),
        seed=draw(st.integers(0, 2**32)),
        why=draw(st.text()),
        who=draw(st.text()),
    )


@given(faults())
def test_a_fault_is_the_same_after_it_was_stored(fault: Fault):
    """Whatever is set is read back from JSON as it was, with the same id."""
    read = Fault.from_json(json.loads(json.dumps(fault.to_json())))
    assert (read, read.id) == (fault, fault.id)
    assert read.to_json()["id"] == fault.id


@given(faults(), st.integers(0, 10_000))
def test_the_same_seed_strikes_the_same_requests(fault: Fault, number: int):
    """Whether a request is struck depends on seed and number alone, so that a drill can be repeated."""
    again = Fault.from_json(fault.to_json())
    assert fault.strikes(number) == again.strikes(number)
    assert 0 <= fault.draw(number, "bit") < 1


@given(st.integers(0, 2**32), st.floats(0.05, 0.95))
def test_the_probability_is_the_share_that_is_struck(seed: int, probability: float):
    """Of many requests about the given share is struck, and all of them at probability 1."""
    fault = a_fault(probability=probability, seed=seed)
    assert sum(map(fault.strikes, range(2000))) / 2000 == pytest.approx(probability, abs=0.08)
    assert all(map(a_fault(seed=seed).strikes, range(100)))


def test_throttling_comes_in_bursts():
    """Requests in a row are refused together, as a service does that asks to slow down."""
    fault = a_fault(FaultKind.THROTTLING, parameters={"burst": 4}, probability=0.5, seed=1)
    bursts = [{fault.strikes(number) for number in range(first, first + 4)} for first in range(0, 400, 4)]
    assert all(len(burst) == 1 for burst in bursts)
    assert {True} in bursts
    assert {False} in bursts


def test_a_partition_without_another_side_is_refused():
    """Whom it parts the target from has to be said."""
    with pytest.raises(ConfigurationError, match="another side: name it as parameter 'other'"):
        a_fault(FaultKind.PARTITION)


def test_a_fault_ends_by_itself():
    """A fault counts from its beginning until just before it expires."""
    fault = a_fault()
    times = [NOW - timedelta(microseconds=1), NOW, fault.expires - timedelta(microseconds=1), fault.expires]
    assert [fault.active(time) for time in times] == [False, True, True, False]


def test_a_cloud_is_all_of_its_locations():
    """A fault of a cloud concerns each of its locations, one of a location only that one; names are compared whole."""
    assert a_fault().concerns("aws/eu-west-2")
    assert not a_fault().concerns("aws2/eu-west-2")
    assert not a_fault().concerns("gcp/europe-west2")
    assert a_fault(target="aws/eu-west-2").concerns("aws/eu-west-2")
    assert not a_fault(target="aws/eu-west-2").concerns("aws/eu-west-1")


def test_a_fault_can_be_narrowed_to_one_operation_and_key():
    """With `operation` and `key` only those requests can be struck, without them all that the kind applies to."""
    narrow = a_fault(parameters={"operation": "put_if_match", "key": "*/current.json"})
    assert narrow.selects("put_if_match", "retail/landing/current.json")
    assert not narrow.selects("put_if_match", "retail/landing/other.json")
    assert not narrow.selects("get", "retail/landing/current.json")
    assert not a_fault(FaultKind.FLIPPED_BIT).selects("put", "a")
    assert a_fault().selects("predict", "")


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (FaultKind.LATENCY, {"parameters": {"msec": 1}}, "no parameter 'msec'; did you mean 'ms'"),
        (FaultKind.LATENCY, {"parameters": {"ms": "soon"}}, "'soon', not a number of milliseconds"),
        (FaultKind.LATENCY, {"parameters": {"ms": -1}}, "between 0 and 600000 milliseconds"),
        (FaultKind.LATENCY, {"parameters": {"ms": float("nan")}}, "between 0"),
        (FaultKind.FLIPPED_BIT, {"parameters": {"operation": "put"}}, "does not concern the operation 'put'"),
        (FaultKind.OUTAGE, {"parameters": {"operation": "predikt"}}, "did you mean 'predict'"),
        (FaultKind.OUTAGE, {"probability": 0}, "more than 0"),
        (FaultKind.OUTAGE, {"probability": 1.1}, "at most 1"),
        (FaultKind.OUTAGE, {"probability": float("nan")}, "more than 0"),
        (FaultKind.OUTAGE, {"expires": NOW}, "lasts 0:00:00"),
        (FaultKind.OUTAGE, {"expires": NOW + timedelta(hours=24, seconds=1)}, "at most 24 h"),
        (FaultKind.OUTAGE, {"begins": NOW.replace(tzinfo=None)}, "time zone"),
    ],
)
def test_what_cannot_be_is_refused(kind: FaultKind, changes: dict[str, Any], message: str):
    """A wrong word is answered with the nearest right one, a wrong number with its bounds."""
    with pytest.raises(ConfigurationError, match=message):
        a_fault(kind, **changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "outge"}, "unknown kind of fault 'outge'; did you mean 'outage'"),
        ({"kind": None}, "field 'kind' of a fault is None"),
        ({"tarket": "aws"}, "unknown field 'tarket' of a fault; did you mean 'target'"),
        ({"begins": "yesterday"}, "expected fields"),
        ({"probability": "often"}, "expected fields"),
        ({"parameters": 3}, "expected fields"),
    ],
)
def test_a_damaged_record_is_refused(change: dict[str, Any], message: str):
    """A stored fault that a person or a disk has changed is refused with what is wrong about it."""
    with pytest.raises(ConfigurationError, match=message):
        Fault.from_json(a_fault().to_json() | change)
    with pytest.raises(ConfigurationError, match="JSON object"):
        Fault.from_json([change])


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.dictionaries(st.text(), inner)))
def test_anything_else_is_refused_with_a_typed_error(document: object):
    """No JSON value makes reading a fault fail in any other way."""
    with pytest.raises(ConfigurationError):
        Fault.from_json(document)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400), ("1d", 86400), (" 5m ", 300)])
def test_durations_are_written_as_people_do(text: str, seconds: float):
    """A number and a unit are a duration."""
    assert duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "-5m", "10 minutes", "1e3s"])
def test_other_durations_are_refused(text: str):
    """Anything else is refused with an example."""
    with pytest.raises(ConfigurationError, match=r"write 90s, 10m or 1\.5h"):
        duration(text)


def test_every_kind_is_explained():
    """Each kind has a meaning for people and something that it can strike."""
    assert set(MEANINGS) == set(APPLIES) == set(FaultKind)
    assert all(APPLIES.values())
