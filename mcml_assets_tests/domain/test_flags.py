"""Promises of feature flags: what is decided is on record, whatever happens to the route, and nonsense is refused."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.flags import KEPT_CHANGES, FlagChange, FlagName, RouteFlag, with_change
from mcml_assets.domain.route import Route, RouteLocation

PLACES = ("aws/eu-west-2", "gcp/europe-west2")
TIME = "2024-07-01T00:00:00+00:00"
ROUTE = Route("shop", "UK", 3, 1, tuple(RouteLocation(key, 100, number) for number, key in enumerate(PLACES)), TIME)
CHANGES = st.lists(
    st.builds(
        FlagChange,
        name=st.sampled_from([name.value for name in FlagName]),
        location=st.sampled_from(PLACES),
        value=st.sampled_from([None, 1]),
        who=st.just("ada"),
        reason=st.just("case 17"),
        at=st.just(TIME),
    ),
    max_size=20,
)


@settings(deadline=None)
@given(CHANGES)
def test_what_is_set_is_what_was_set_last(changes: list[FlagChange]) -> None:
    """A flag has the value of its last change and none when that cleared it; every change that counted is on record."""
    flags: tuple[RouteFlag, ...] = ()
    record: tuple[FlagChange, ...] = ()
    expected: dict[tuple[str, str], int] = {}
    for change in changes:
        key = (change.name, change.location)
        if change.value is None and key not in expected:
            with pytest.raises(ConfigurationError, match="is not set in"):
                with_change(flags, record, change)
            continue
        flags, record = with_change(flags, record, change)
        assert record[-1] == change
        if change.value is None:
            del expected[key]
        else:
            expected[key] = change.value
    assert {(flag.name, flag.location): flag.value for flag in flags} == expected
    route = replace(ROUTE, flags=flags, flag_changes=record)
    assert Route.from_json(route.to_json()) == route


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("read_onli", 1, "did you mean 'read_only'?"),
        ("read_only", 2, "from 0 to 1, not 2"),
        ("shadow", 101, "from 0 to 100, not 101"),
        ("model_version", 0, "from 1, not 0"),
    ],
)
def test_a_value_that_a_flag_may_not_have_is_refused(name: str, value: int, told: str) -> None:
    """The message says what would be right, from a command and from a stored route alike."""
    with pytest.raises(ConfigurationError, match=told.replace("?", r"\?")):
        with_change((), (), FlagChange(name, PLACES[0], value, "ada", "case 17", TIME))
    with pytest.raises(ConfigurationError, match=told.replace("?", r"\?")):
        replace(ROUTE, flags=(RouteFlag(name, PLACES[0], value, "ada", "case 17", TIME),))


def test_the_record_is_bounded() -> None:
    """Years of changes do not make a route that nobody can send: the newest hundred stay."""
    flags: tuple[RouteFlag, ...] = ()
    record: tuple[FlagChange, ...] = ()
    for number in range(KEPT_CHANGES + 5):
        flags, record = with_change(flags, record, FlagChange("shadow", PLACES[0], number % 100, "ada", f"{number}", TIME))
    assert [entry.reason for entry in record] == [f"{number}" for number in range(5, KEPT_CHANGES + 5)]
