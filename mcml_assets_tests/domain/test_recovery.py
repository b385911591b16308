"""When a returned location is relied on: not at once, later the more often it relapsed, and never for lack of information."""

from hypothesis import given
from hypothesis import strategies as st

from mcml_assets.domain.failover import Health
from mcml_assets.domain.recovery import FAILBACK_CHECKS, RELAPSES_FORGOTTEN_SECONDS, Watch, observed, required_checks

TICK = 5.0


def seen(*probes: Health, watch: Watch | None = None, start: float = 0.0) -> Watch:
    """The watch after these probes, a tick apart."""
    watch = watch or Watch()
    for number, health in enumerate(probes):
        watch = observed(watch, health, start + TICK * number)
    return watch


def test_a_location_has_to_answer_some_times_in_a_row():
    """One clean probe proves nothing; enough of them, uninterrupted, do."""
    assert not seen(Health.DOWN, *[Health.UP] * (FAILBACK_CHECKS - 1)).steady
    assert seen(Health.DOWN, *[Health.UP] * FAILBACK_CHECKS).steady
    interrupted = [Health.DOWN, *[Health.UP] * (FAILBACK_CHECKS - 1), Health.UNKNOWN, Health.UP]
    assert not seen(*interrupted).steady


def test_a_new_control_plane_trusts_nobody_yet():
    """Without a history a location has to show itself first, like after an outage."""
    assert not Watch().steady
    assert not Watch().returned


def test_a_relapse_doubles_the_wait_and_an_hour_forgets_it():
    """Each further outage within an hour doubles the clean probes that are needed."""
    once = seen(Health.DOWN, Health.UP)
    twice = seen(Health.DOWN, Health.UP, Health.DOWN, Health.UP)
    assert required_checks(FAILBACK_CHECKS, twice.relapses) == 2 * required_checks(FAILBACK_CHECKS, once.relapses)
    later = observed(twice, Health.UP, 10 * TICK + RELAPSES_FORGOTTEN_SECONDS)
    assert later.relapses == 0


def test_a_long_outage_is_one_outage():
    """Being found down again and again is no relapse, and the outage began when it was first found."""
    watch = seen(*[Health.DOWN] * 100)
    assert (watch.relapses, watch.down_since) == (1, 0.0)


def test_flapping_gets_rarer_with_time():
    """Up for as long as it takes to be trusted, then down again, for an hour: a handful of returns, not hundreds."""
    watch, returns = Watch(), 0
    for tick in range(int(3600 / TICK)):
        health = Health.DOWN if watch.steady else Health.UP
        returns += health is Health.DOWN
        watch = observed(watch, health, TICK * tick)
    assert returns <= 7


@given(st.lists(st.sampled_from(Health), max_size=60))
def test_only_clean_probes_in_a_row_count(probes: list[Health]):
    """However the probes went, the count is that of the clean ones at the end."""
    trailing = 0
    for health in reversed(probes):
        if health is not Health.UP:
            break
        trailing += 1
    watch = seen(*probes)
    assert watch.clean == trailing
    assert (watch.down_since is None) or trailing == 0
