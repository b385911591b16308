"""Whether a location is up: asked of its bucket with the platform's own credentials, all locations at once, within seconds.

A probe sees what work would see: the same stores, the same credentials, the same planned faults. What follows from an
answer is `domain/failover.py`'s business; whether a location's endpoint answers is in `facts.py`.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Event, Lock, Thread

from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.domain.errors import LocationUnavailable, McmlError, ObjectNotFound, TransientError
from mcml_assets.domain.failover import Health

# Nothing has to be there: a bucket that says so has answered.
PROBED_KEY = "_probe"
PROBE_SECONDS = 2.0
"""How long one round waits; a slower answer counts in the next round."""
SILENT_SECONDS = 4.0
"""Without any answer for so long a location is down; more than one round, so that one lost packet is not an outage."""
AGAIN_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Probe:
    """What one location answered, and the reason where it is not up."""

    health: Health
    problem: str | None = None


class Prober:
    """Asks the locations' buckets, each at most once at a time, for as long as the process lives.

    A refusal counts when it is repeated a moment later, so that one lost connection moves nothing. Silence is unknown in
    the round that meets it, and down in a later one that finds the same question still open.
    """

    def __init__(self, open_store: Callable[[str], ObjectStore], clock: Callable[[], float] = time.monotonic) -> None:
        self._open_store = open_store
        self._clock = clock
        self._lock = Lock()
        self._asked: dict[str, _Question] = {}

    def probe(self, locations: Iterable[str], seconds: float = PROBE_SECONDS) -> Mapping[str, Probe]:
        """The health of these locations, in at most `seconds`."""
        questions = {location: self._ask(location) for location in dict.fromkeys(locations)}
        deadline = self._clock() + seconds
        return {location: self._answer(question, deadline) for location, question in questions.items()}

    def _ask(self, location: str) -> "_Question":
        """The question that is still open, or a new one."""
        with self._lock:
            former = self._asked.get(location)
            if former is not None and not former.answered.is_set():
                return former
            store = former.store if former is not None else None
            question = self._asked[location] = _Question(location, self._clock(), store)
        # A daemon thread: a location that never answers must not keep this process from ending.
        Thread(target=question.run, args=(self._open_store,), name=f"probe-{location}", daemon=True).start()
        return question

    def _answer(self, question: "_Question", deadline: float) -> Probe:
        # Once it was silent for so long, waiting tells nothing more.
        until = min(deadline, question.asked_at + SILENT_SECONDS)
        if question.answered.wait(max(0.0, until - self._clock())) and question.probe is not None:
            return question.probe
        silent = self._clock() - question.asked_at
        return Probe(Health.DOWN if silent >= SILENT_SECONDS else Health.UNKNOWN, f"no answer for {silent:.0f} s")


class _Question:
    """One probe of one location on its way."""

    def __init__(self, location: str, asked_at: float, store: ObjectStore | None) -> None:
        self.location = location
        self.asked_at = asked_at
        self.store = store
        self.answered = Event()
        self.probe: Probe | None = None

    def run(self, open_store: Callable[[str], ObjectStore]) -> None:
        try:
            self.probe = self._once(open_store)
            if self.probe.health is Health.DOWN:
                time.sleep(AGAIN_SECONDS)
                self.probe = self._once(open_store)
        finally:
            self.answered.set()

    def _once(self, open_store: Callable[[str], ObjectStore]) -> Probe:
        try:
            self.store = self.store or open_store(self.location)
            self.store.head(PROBED_KEY)
        except ObjectNotFound:
            return Probe(Health.UP)
        except LocationUnavailable as error:
            return Probe(Health.DOWN, str(error))
        except TransientError:
            return Probe(Health.UP)  # who asks to slow down is there
        except McmlError as error:
            # A clock or a configuration that is wrong here says nothing about the location.
            return Probe(Health.UNKNOWN, str(error))
        except Exception as error:  # noqa: BLE001 - in a thread of its own, where nobody else would hear of it
            return Probe(Health.UNKNOWN, f"{type(error).__name__}: {error}")
        return Probe(Health.UP)


def shared_prober(settings: Settings) -> Prober:
    """The prober of this process for a platform, so that questions stay open from one tick of a sensor to the next."""
    return _prober(settings.home, settings.topology_file)


@cache
def _prober(home: Path, topology_file: Path) -> Prober:
    from mcml_assets.clouds.registry import open_store, provision  # noqa: PLC0415 - opens object stores

    settings = Settings(home=home, topology=topology_file)

    def open_location(location: str) -> ObjectStore:
        topology = load_topology(settings.topology_file)
        provision(topology, settings)
        return open_store(topology.location(location), settings)

    return Prober(open_location)
