"""Promises of the edge's counts per location: what failed is that location's, and a restarted Envoy loses nothing twice."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcml_assets.domain.errors import TransientError
from mcml_assets.serving.edge.traffic_counts import METRIC, LocationTraffic, read_counts, traffic_between, traffic_counts
from mcml_assets_tests.serving.served_shop import free_settings

INFINITY = float("inf")


def exposed(*attempts: tuple[str, int, str, dict[float, int]]) -> str:
    """Attempts of `shop.UK` as Envoy exposes them: location, status, flags, and how many by bound (cumulative)."""
    lines = [f"# TYPE {METRIC} histogram"]
    for location, status, flags, at_most in attempts:
        labels = f'route="shop.UK",location="{location}",port="18000",status="{status}",flags="{flags}"'
        for bound, count in at_most.items():
            lines.append(f'{METRIC}_bucket{{{labels},le="{"+Inf" if bound == INFINITY else bound}"}} {count}')
        lines += [f"{METRIC}_sum{{{labels}}} 1", f"{METRIC}_count{{{labels}}} {at_most[INFINITY]}"]
    return "\n".join(lines) + "\n"


def test_an_edge_that_does_not_answer_is_an_error(tmp_path: Path) -> None:
    """Without Envoy there are no counts, not counts of nothing: nobody takes silence for a budget that is whole."""
    settings = free_settings(tmp_path)
    with pytest.raises(TransientError, match=str(settings.edge_admin_port)):
        traffic_counts(settings)


def test_failures_are_told_from_answers_and_from_those_outrun() -> None:
    """5xx and broken connections fail, a frozen server is given up, a refusal is an answer, and who was outrun is innocent."""
    text = exposed(
        ("aws/eu-west-2", 200, "-", {10: 6, INFINITY: 8}),
        ("aws/eu-west-2", 404, "-", {10: 1, INFINITY: 1}),
        ("aws/eu-west-2", 503, "-", {10: 2, INFINITY: 2}),
        ("aws/eu-west-2", 0, "UF", {10: 1, INFINITY: 1}),
        ("aws/eu-west-2", 0, "UT", {10: 0, INFINITY: 4}),
        ("gcp/europe-west2", 0, "-", {10: 5, INFINITY: 5}),
    )
    first, second = read_counts(text)
    assert (first.workload, first.jurisdiction, first.location, first.port) == ("shop", "UK", "aws/eu-west-2", 18000)
    assert (first.requests, first.failed, first.given_up) == (16, 3, 4)
    assert first.slower_than(10) == 6
    assert (second.requests, second.failed, second.given_up) == (0, 0, 0)


def test_a_bound_between_two_of_the_histogram_blames_nobody() -> None:
    """Who may have been quick enough is not called slow."""
    counts = LocationTraffic("shop", "UK", "aws/eu-west-2", 1, requests=10, at_most={10: 3, 20: 7, INFINITY: 10})
    assert (counts.slower_than(10), counts.slower_than(15), counts.slower_than(25)) == (7, 3, 0)


def test_quantiles_are_those_of_prometheus() -> None:
    """Interpolated within a bucket, the last finite bound past it, and nothing where nobody asked."""
    counts = LocationTraffic("shop", "UK", "aws/eu-west-2", 1, requests=10, at_most={10: 5, 20: 9, INFINITY: 10})
    assert (counts.quantile(0.5), counts.quantile(0.7), counts.quantile(0.99)) == (10, 15, 20)
    assert LocationTraffic("shop", "UK", "aws/eu-west-2", 1).quantile(0.5) is None


@given(counts=st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=20))
def test_nothing_is_lost_or_counted_twice_over_restarts(counts: list[tuple[int, bool]]) -> None:
    """Whatever restarts, the differences add up to at most what was really asked, and to all of it without restarts."""
    total = value = found = 0
    before = LocationTraffic("shop", "UK", "aws/eu-west-2", 1)
    for asked, restarted in counts:
        value = asked + (0 if restarted else value)
        total += asked
        after = LocationTraffic("shop", "UK", "aws/eu-west-2", 1, requests=value, at_most={INFINITY: value})
        (grown,) = traffic_between([before], [after])
        assert grown.at_most[INFINITY] == grown.requests >= 0
        found, before = found + grown.requests, after
    assert found <= total
    if not any(restarted for _, restarted in counts):
        assert found == total
