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


def test_what_is_rehearsed_often_does_not_take_ever_longer():
    """Drills back to back leave a primary as trusted as the first did; within one drill the second outage doubles the wait."""
    watch = Watch()
    for drill in ("one", "two", "three"):
        watch = observed(watch, Health.DOWN, 0.0, drill)
        watch = seen(*[Health.UP] * FAILBACK_CHECKS, watch=watch)
        assert watch.steady
        assert watch.relapses == 0
    again = seen(*[Health.UP] * FAILBACK_CHECKS, watch=observed(watch, Health.DOWN, 100.0, "three"))
    assert not again.steady
    assert seen(*[Health.UP] * FAILBACK_CHECKS, watch=again).steady


def test_what_stays_down_after_the_drill_is_down_in_earnest():
    """The drill's fault is over and the location does not answer: that outage counts, and so does a real one within a drill."""
    rehearsed = observed(Watch(), Health.DOWN, 0.0, "one")
    real = observed(rehearsed, Health.DOWN, 60.0)
    assert (real.relapses, real.down_since, real.rehearsed) == (1, 0.0, 0)
    assert observed(real, Health.DOWN, 65.0) == real
    assert seen(Health.DOWN, Health.UP).relapses == 1


@given(st.lists(st.tuples(st.sampled_from(Health), st.sampled_from(["", "one", "two"])), max_size=60))
def test_every_outage_in_earnest_counts_whatever_is_rehearsed(probes: list[tuple[Health, str]]):
    """An outage lasts until the next clean probe, and is a relapse when any probe found it without a drill's doing."""
    watch, outages, counted = Watch(), 0, False
    for number, (health, drill) in enumerate(probes):
        watch = observed(watch, health, TICK * number, drill)
        if health is Health.UP:
            counted = False
        elif health is Health.DOWN and not drill and not counted:
            outages, counted = outages + 1, True
    assert watch.relapses == outages


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
