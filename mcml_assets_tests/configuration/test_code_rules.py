"""Cron expressions: whatever passes here passes in Dagster too, which would else refuse the whole code location."""

import warnings

import dagster as dg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcml_assets.configuration.code_rules import cron_problems

RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def field(first: int, last: int) -> st.SearchStrategy[str]:
    """A cron field, now and then out of range."""
    number = st.integers(max(first - 1, 0), last + 1)
    spread = st.tuples(number, number).map(lambda ends: f"{ends[0]}-{ends[1]}")
    item = st.one_of(st.just("*"), number.map(str), spread)
    stepped = st.tuples(item, st.integers(0, last)).map(lambda parts: f"{parts[0]}/{parts[1]}")
    return st.lists(item | stepped, min_size=1, max_size=2).map(",".join)


@settings(max_examples=300)
@given(st.tuples(*(field(first, last) for first, last in RANGES)).map(" ".join))
def test_dagster_accepts_every_cron_expression_that_we_accept(expression: str) -> None:
    """A schedule that passed the judgement of a file never breaks the code location."""
    if not problems(expression):
        assert accepted_by_dagster(expression)


@pytest.mark.parametrize(
    "expression", ["0 * * * *", "*/15 6-20 * * mon-fri", "0 0 1 jan,jul *", "30 4 29 2 *", "@daily", "@hourly", "5/10 * * * *"]
)
def test_usual_expressions_are_accepted(expression: str) -> None:
    """Steps, ranges, lists, names of months and weekdays and the common words work."""
    assert problems(expression) == []
    assert accepted_by_dagster(expression)


@pytest.mark.parametrize("expression", ["", "hourly", "* * * * * *", "60 * * * *", "*/0 * * * *", "0 0 30 2 *", "a * * * *"])
def test_what_dagster_refuses_is_refused_here_first(expression: str) -> None:
    """The error names the line of the file, where Dagster's would name a schedule nobody wrote."""
    assert not accepted_by_dagster(expression)
    assert problems(expression)


def problems(expression: str) -> list[str]:
    """What our rule says of the expression."""
    return [problem.text for problem in cron_problems(("cron",), expression)]


def accepted_by_dagster(expression: str) -> bool:
    """Whether Dagster makes a schedule of the expression."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Dagster warns of long steps
        try:
            dg.ScheduleDefinition(name="any", cron_schedule=expression, target="*")
        except dg.DagsterInvalidDefinitionError:
            return False
    return True
