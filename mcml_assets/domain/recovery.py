"""When a location that was down may be relied on again: hysteresis over probes, harder for one that keeps relapsing.

Pure. Probes are `failover/probing.py`'s business, what a returned location is asked for the recovery sensor's.
"""

from dataclasses import dataclass, replace

from mcml_assets.domain.failover import Health

CATCH_UP_CHECKS = 2
"""Clean probes in a row before a returned location is asked for what it missed."""
FAILBACK_CHECKS = 6
"""Clean probes in a row before it may act again: half a minute at the sensors' floor of 5 s a tick."""
MAX_DOUBLINGS = 6
RELAPSES_FORGOTTEN_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Watch:
    """What probes said of one location: clean ones in a row, and how often it went down of late.

    `down_since`, `relapsed_at` and `went_down` (when it did last, real or rehearsed) are Unix seconds, None when it is not
    down, or never was. `rehearsed` counts the outages of the drill `drill`, which are no relapses. Nothing known means no
    clean probe yet, so a control plane that starts anew waits like after an outage.
    """

    clean: int = 0
    down_since: float | None = None
    relapses: int = 0
    relapsed_at: float | None = None
    went_down: float | None = None
    rehearsed: int = 0
    drill: str = ""

    @property
    def returned(self) -> bool:
        """Whether it has answered long enough to be asked for what it missed."""
        return self.clean >= required_checks(CATCH_UP_CHECKS, self.relapses + self.rehearsed)

    @property
    def steady(self) -> bool:
        """Whether it has answered long enough to act."""
        return self.clean >= required_checks(FAILBACK_CHECKS, self.relapses + self.rehearsed)


def required_checks(base: int, relapses: int) -> int:
    """Clean probes needed after so many relapses: each doubles them, as route flap damping does (RFC 2439, in essence).

    The first outage is no relapse. The bound keeps the wait below half an hour, and the doubling bounds what a location
    can cause that flaps: within the time in which relapses are remembered, the number of its returns grows with the
    logarithm of that time only.
    """
    return base * 2 ** min(max(0, relapses - 1), MAX_DOUBLINGS)


def observed(watch: Watch, health: Health, now: float, drill: str = "") -> Watch:
    """The watch after one more probe at `now` (Unix seconds); `drill` names the drill whose fault struck the location then.

    A probe that could tell nothing is not clean, and is no outage either. What a drill breaks is damped within that drill as
    in earnest, and held against the location by nobody afterwards: what is rehearsed often must not take ever longer. A
    location that is still down when the drill's fault is over is down in earnest.
    """
    if watch.relapsed_at is not None and now - watch.relapsed_at > RELAPSES_FORGOTTEN_SECONDS:
        watch = replace(watch, relapses=0, relapsed_at=None)
    if health is Health.UP:
        return replace(watch, clean=watch.clean + 1, down_since=None)
    turned_real = watch.down_since is not None and watch.drill != "" and drill == ""
    if health is Health.UNKNOWN or (watch.down_since is not None and not turned_real):
        return replace(watch, clean=0)
    began = now if watch.down_since is None else watch.down_since
    if drill:
        before = watch.rehearsed if drill == watch.drill else 0
        return replace(watch, clean=0, down_since=began, went_down=began, rehearsed=before + 1, drill=drill)
    return Watch(clean=0, down_since=began, relapses=watch.relapses + 1, relapsed_at=now, went_down=began)
