"""When a person is told: once per cause, again when it spreads or lasts, and of its end; never of the same thing twice."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from mcml_assets.domain.alert import MOST_TRIES, Alert, Finding, Notice, Owed, Told, due, grouped, owe

NOW = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def tick(told: dict[str, Told], after: timedelta, *found: tuple[str, str]) -> tuple[list[tuple[str, str]], dict[str, Told]]:
    now = NOW + after
    findings = [Finding(cause, f"{cause}!", where, "why") for cause, where in found]
    notices, then = due(grouped(findings, told, now), told, now, DAY)
    return [(notice.action, notice.alert.cause) for notice in notices], then


def test_one_cause_is_one_alert_in_however_many_places() -> None:
    """Six findings of one outage are one notice that names the three places."""
    found = [Finding("outage/aws", "aws outage", where, f"{n}") for where in ("a", "b", "c") for n in (1, 2)]
    (alert,) = grouped(found, {}, NOW)
    assert (alert.where, alert.details) == (("a", "b", "c"), ("1", "2"))


def test_a_cause_is_told_again_only_when_it_spreads_or_lasts_and_its_end_is_told() -> None:
    """New, the same, fewer places, one more, a day later, gone, and gone still."""
    said, told = tick({}, timedelta(0), ("x", "a"), ("x", "b"))
    assert said == [("trigger", "x")]
    since = told["x"].since
    said, told = tick(told, timedelta(hours=1), ("x", "a"), ("x", "b"))
    assert said == []
    said, told = tick(told, timedelta(hours=2), ("x", "a"))
    assert said == []
    said, told = tick(told, timedelta(hours=3), ("x", "a"), ("x", "c"))
    assert said == [("trigger", "x")]
    said, told = tick(told, timedelta(hours=28), ("x", "a"))
    assert said == [("trigger", "x")]
    assert told["x"].since == since
    said, told = tick(told, timedelta(hours=29))
    assert said == [("resolve", "x")]
    assert tick(told, timedelta(hours=30)) == ([], {})


def test_a_cause_that_comes_to_place_after_place_is_no_storm() -> None:
    """Of twelve places in a minute two notices come of it: the first, and after a pause all of them."""
    told: dict[str, Told] = {}
    said: list[tuple[str, str]] = []
    for second in range(0, 181, 5):
        found = [("x", str(place)) for place in range(min(12, second // 5 + 1))]
        more, told = tick(told, timedelta(seconds=second), *found)
        said += more
    assert said == [("trigger", "x")] * 2
    assert len(told["x"].where) == 12


def test_what_is_owed_is_tried_ever_more_seldom_and_then_given_up() -> None:
    """Pauses double from a minute on; after the last try nothing is owed."""
    notice = Notice("trigger", Alert("x", "x!", ("a",), (), NOW.isoformat()))
    owed: list[Owed] = []
    for tries in range(1, MOST_TRIES):
        one = owe(notice, "slack", tries, "HTTP 503", NOW)
        assert one is not None
        owed.append(one)
    pauses = [(datetime.fromisoformat(one.again_at) - NOW).total_seconds() for one in owed]
    assert pauses == [60.0 * 2**n for n in range(MOST_TRIES - 1)]
    assert owe(notice, "slack", MOST_TRIES, "HTTP 503", NOW) is None


ticks = st.lists(st.sets(st.tuples(st.sampled_from("xy"), st.sampled_from("ab"))), max_size=12)


@given(ticks)
def test_whatever_happens_every_end_follows_a_beginning(history: list[set[tuple[str, str]]]) -> None:
    """No cause is resolved that was not told, none is told as new while it stands, and what is wrong now has been told."""
    told: dict[str, Told] = {}
    standing: set[str] = set()
    for minute, found in enumerate(history):
        said, told = tick(told, timedelta(minutes=minute), *sorted(found))
        for action, cause in said:
            assert (cause in standing) or action == "trigger"
            standing = standing | {cause} if action == "trigger" else standing - {cause}
        assert standing == {cause for cause, _ in found}
