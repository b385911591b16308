"""A deterministic world for the register: stores, a network and clients that all misbehave, decided by one seed.

The clients run the platform's own proposer (`domain/proposer.py`) and acceptors (`domain/register.py`); simulated is only
what they stand on. A store is one object with conditional puts that compare content, as S3's do; it crashes and comes back
with what it held. Messages are lost, repeated, overtaken, and late by orders of magnitude. Clients crash within an
operation and come back, repeat requests they never heard of again, and ask for one another's; their clocks run three
times too fast to ten times too slow, and disagree about what time it is.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from math import inf
from typing import Any

from mcml_assets.domain.acting import Acting
from mcml_assets.domain.errors import RegisterUnavailable
from mcml_assets_tests.register.history import Decided, Operation
from mcml_assets_tests.register.mutations import SOUND, Protocol

LOCATIONS = ("aws/eu-west-2", "azure/uksouth", "gcp/europe-west2")
ROUND, PATIENCE, PAUSE, ATTEMPTS = 12.0, 2.0, 1.0, 4
"""A client's waits, in the mean time that a message takes, and its attempts."""
END = 400.0
"""When nothing fails any more, and what was decided is read once more."""


class Stuck(AssertionError):
    """The register did not recover when nothing failed any more."""


@dataclass(frozen=True, slots=True)
class Weather:
    """How bad this schedule is: probabilities per message, and mean times between crashes."""

    loss: float
    repeat: float
    late: float
    store_crashes: float
    client_crashes: float


class Store:
    """One store: an object with conditional puts, which outlives a crash."""

    __slots__ = ("held", "up", "world")

    def __init__(self, world: "World") -> None:
        self.world = world
        self.held: Any = None
        self.up = True

    def serve(self, request: Any) -> Any:
        code = self.world.code
        if type(request) is code.Get:
            return code.Response(code.Stored(self.held or self.world.blank, self.held))
        if request.version == self.held or self.world.code.flaw == "unconditional":
            self.held = request.acceptor
            return code.Response(code.Stored(request.acceptor, request.acceptor))
        return code.Response(code.Stored(request.acceptor, request.version), done=False)

    def crash(self) -> None:
        self.up = False
        self.world.after(self.world.rng.expovariate(1 / 15), self.restart)

    def restart(self) -> None:
        self.up = True
        if self.world.code.flaw == "forgets" and self.held is not None:
            self.held = self.world.code.Acceptor(LOCATIONS, self.held.promised)


class Call:
    """One operation of a client under way: the driver of one proposal."""

    __slots__ = ("answers", "client", "dead", "patient", "proposal", "round", "step")

    def __init__(self, client: "Client", proposal: Any) -> None:
        self.client = client
        self.proposal = proposal
        self.round = 0
        self.dead = False
        client.call = self
        self.advance(None)

    def advance(self, answers: Any) -> None:
        """Let the proposal make its next step; what belongs to the former one comes too late."""
        self.round += 1
        try:
            self.step = self.proposal.send(answers)
        except StopIteration as end:
            self.client.finish(end.value)
            return
        except RegisterUnavailable as error:
            self.client.give_up(error.may_have_happened)
            return
        world, code = self.client.world, self.client.world.code
        if type(self.step) is code.Pause:
            world.after(world.rng.uniform(0, PAUSE * 2**self.step.attempt) * self.client.rate, self.resume, self.round)
            return
        self.begin_round()

    def resume(self, number: int) -> None:
        if number == self.round and self.client.call is self:
            self.advance({})

    def begin_round(self) -> None:
        self.answers: dict[str, Any] = {}
        self.patient = True
        number, rate, world = self.round, self.client.rate, self.client.world
        for member in self.step.members:
            Request(self, self.step, number, member)
            if self.client.call is not self or self.round != number:
                return
        world.after(ROUND * rate, self.time_out, number)

    def answered(self, number: int, member: str, answer: Any) -> None:
        if number != self.round or self.client.call is not self:
            return
        self.answers[member] = answer
        if self.step.settled(self.answers, 0):
            self.advance(self.answers)
        elif self.patient and len(self.answers) >= 2:
            self.patient = False
            self.client.world.after(PATIENCE * self.client.rate, self.time_out, number)

    def time_out(self, number: int) -> None:
        if number == self.round and self.client.call is self:
            self.advance(self.answers)


class Request:
    """The exchange with one store in one round."""

    __slots__ = ("awaited", "call", "exchange", "member", "number", "round")

    def __init__(self, call: Call, round_: Any, number: int, member: str) -> None:
        self.call, self.round, self.number, self.member = call, round_, number, member
        self.exchange = round_.exchange(member)
        self.awaited = 0
        self.proceed(None)

    def proceed(self, response: Any) -> None:
        try:
            request = self.exchange.send(response)
        except StopIteration as end:
            self.awaited = -1
            self.call.answered(self.number, self.member, end.value)
            return
        self.awaited += 1
        self.call.client.world.send(self, self.awaited, request)

    def deliver(self, awaited: int, response: Any) -> None:
        call = self.call
        over = self.number != call.round or call.client.call is not call
        if awaited != self.awaited or call.dead or (over and not self.round.to_the_end):
            return
        self.proceed(response)


class Client:
    """One process that reads and changes the register, one operation after the other."""

    def __init__(self, world: "World", name: str) -> None:
        rng = world.rng
        self.world, self.name = world, name
        # Two may have read different placements: whose primary is first must be decided once.
        self.first = LOCATIONS[0] if rng.random() < 0.8 else rng.choice(LOCATIONS)
        self.rate = 10 ** rng.uniform(-0.5, 1) if rng.random() < 0.5 else 1.0
        self.skew = rng.uniform(-1e6, 1e6)
        self.known: Decided = (self.first, 1)
        self.left = rng.randint(1, 5)
        self.call: Call | None = None
        self.begun = 0.0
        self.proposals = 0
        self.wish: Any = None
        self.repeat = False
        world.after(rng.expovariate(1 / 10), self.next)

    def next(self) -> None:
        """Begin the next operation, if none is under way and some are left."""
        rng, world = self.world.rng, self.world
        if self.call is not None or self.left <= 0:
            return
        self.left -= 1
        if self.repeat:
            self.repeat = False
        elif rng.random() < 0.4:
            self.wish = None
        elif world.wishes and rng.random() < 0.1:
            # Two daemons by mistake: the same request, from another process.
            self.wish = rng.choice(world.wishes)
        else:
            expected = self.known if rng.random() < 0.9 else (rng.choice(LOCATIONS), rng.randint(1, 4))
            self.wish = world.make_wish(expected, rng.choice(LOCATIONS), self)
        self.begin()

    def begin(self) -> None:
        code = self.world.code
        self.begun = self.world.now
        self.proposals += 1
        proposer = "p" if code.flaw == "one_name" else f"{self.name}.{self.proposals}"
        first = code.Entry(Acting(self.first, 1), self.time(), self.name, "first use", ("first use",))
        Call(self, code.propose(LOCATIONS, first, self.wish, proposer, ATTEMPTS))

    def time(self) -> str:
        return f"{self.world.now * self.rate + self.skew:.0f}"

    def finish(self, entry: Any) -> None:
        """The operation returned: record what it said."""
        self.known = (entry.acting.location, entry.acting.epoch)
        made = self.wish is not None and self.world.code.made(entry, self.wish)
        self.record(self.world.now, None if made else self.known)
        self.rest()

    def give_up(self, may_have_happened: bool) -> None:
        """The operation raised: a change may or may not have happened, unless the error says that it did not."""
        self.record_unknown(may_have_happened)
        self.rest()

    def crash(self) -> None:
        """Forget the operation under way; nobody will ever know how it ended."""
        if self.call is not None:
            self.call.dead = True
            self.record_unknown(True)
            self.rest()

    def record_unknown(self, may_have_happened: bool) -> None:
        if not may_have_happened:
            # It changed nothing, and may still have been the first use, as a read may.
            self.wish = None
        self.record(inf, None)
        self.repeat = self.wish is not None and self.world.rng.random() < 0.6

    def rest(self) -> None:
        self.call = None
        self.world.after(self.world.rng.expovariate(1 / 5), self.next)

    def record(self, ended: float, returned: Decided | None) -> None:
        wish = self.wish
        expected = (wish.expected.location, wish.expected.epoch) if wish is not None else None
        self.world.history.append(
            Operation(
                self.name, self.begun, ended, self.first, returned, expected,
                wish.location if wish is not None else None, wish.request_id if wish is not None else None,
            )
        )  # fmt: skip


class World:
    """Everything of one schedule; `run` gives its history."""

    def __init__(self, seed: int, code: Protocol = SOUND) -> None:
        self.rng = rng = random.Random(seed)  # noqa: S311 - a schedule must be repeatable
        self.code = code
        self.now = 0.0
        self.number = 0
        self.events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self.history: list[Operation] = []
        self.wishes: list[Any] = []
        self.blank = code.Acceptor(LOCATIONS)
        self.stores = {location: Store(self) for location in LOCATIONS}
        self.weather = Weather(
            loss=rng.choice((0.0, 0.03, 0.15)),
            repeat=rng.choice((0.0, 0.1)),
            late=rng.choice((0.0, 0.1, 0.3)),
            store_crashes=rng.choice((0.0, 20.0, 60.0)),
            client_crashes=rng.choice((0.0, 25.0, 70.0)),
        )
        self.clients = [Client(self, f"c{number}") for number in range(rng.randint(2, 4))]
        self._storm(self.weather.store_crashes, list(self.stores.values()))
        self._storm(self.weather.client_crashes, self.clients)

    def after(self, delay: float, act: Callable[..., None], *arguments: Any) -> None:
        self.number += 1
        heappush(self.events, (self.now + delay, self.number, act, arguments))

    def send(self, request: Request, awaited: int, message: Any) -> None:
        """Hand a request to the network, which may lose it, or deliver it more than once."""
        weather, rng = self.weather, self.rng
        copies = 2 if weather.repeat and rng.random() < weather.repeat else 1
        for _ in range(copies):
            if not weather.loss or rng.random() >= weather.loss:
                self.after(self.delay(), self.arrive, request, awaited, message)

    def arrive(self, request: Request, awaited: int, message: Any) -> None:
        store = self.stores[request.member]
        if not store.up:
            return
        response = store.serve(message)
        if not self.weather.loss or self.rng.random() >= self.weather.loss:
            self.after(self.delay(), request.deliver, awaited, response)

    def delay(self) -> float:
        delay = self.rng.expovariate(1.0)
        return delay * 30 if self.weather.late and self.rng.random() < self.weather.late else delay

    def make_wish(self, expected: Decided, location: str, client: Client) -> Any:
        request = f"r{len(self.wishes)}"
        wish = self.code.Change(Acting(*expected), location, client.time(), client.name, "a test", request)
        self.wishes.append(wish)
        return wish

    def run(self) -> list[Operation]:
        """Let everything happen, then let two readers say what was decided."""
        events = self.events
        while events and events[0][0] <= END:
            self.now, _, act, arguments = heappop(events)
            act(*arguments)
        for client in self.clients:
            client.left = 0
            client.crash()
        self.now = max(self.now, END)
        self.weather = Weather(0.0, 0.0, 0.0, 0.0, 0.0)
        for store in self.stores.values():
            store.up = True
        for name in ("end1", "end2"):
            reader = Client(self, name)
            reader.left, reader.rate, reader.repeat = 1, 1.0, True
            before = len(self.history)
            while events and len(self.history) == before:
                self.now, _, act, arguments = heappop(events)
                act(*arguments)
            if len(self.history) == before or self.history[-1].indeterminate:
                raise Stuck("with every store up and no message lost, a read gave up")
        return self.history

    def _storm(self, mean: float, victims: list[Any]) -> None:
        """Crash one of them every `mean` or so until the end, never if it is 0."""
        time = 0.0
        while mean and (time := time + self.rng.expovariate(1 / mean)) < END / 2:
            self.after(time, self.rng.choice(victims).crash)


def run(seed: int, code: Protocol = SOUND) -> list[Operation]:
    """The history of the schedule that this seed decides."""
    return World(seed, code).run()
