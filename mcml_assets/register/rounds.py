"""One round of requests to the stores of a register, all at once, with a limit on how long it may take.

A store that hangs must not hold up the others, nor this process at its end: each store is asked in a daemon thread of its
own, and one that does not answer in time is left behind. Which requests are made is `domain/proposer.py`'s business.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread

from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.domain.errors import McmlError, ObjectNotFound, PreconditionFailed
from mcml_assets.domain.proposer import Answer, Get, Put, Response, Round, Stored
from mcml_assets.domain.register import Acceptor, majority


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the register may take, in seconds, and how often it may try.

    `round_seconds` bounds one round; `patience_seconds` how long it waits for the rest once a majority has answered;
    `attempts` how many proposals are made, with a random pause before each that grows from `pause_seconds` to
    `longest_pause_seconds`. `outstanding` is how many requests a store may leave unanswered before it is taken for silent.
    """

    round_seconds: float = 10.0
    patience_seconds: float = 0.5
    attempts: int = 8
    pause_seconds: float = 0.02
    longest_pause_seconds: float = 1.0
    outstanding: int = 64


@dataclass(frozen=True, slots=True)
class Heard:
    """What a round brought: the answers by store, and for every store without one the reason."""

    answers: Mapping[str, Answer]
    silent: Mapping[str, str]


class Lane:
    """The requests to one location's store that are under way in this process."""

    def __init__(self, location: str, open_store: Callable[[str], ObjectStore]) -> None:
        self.location = location
        self._open_store = open_store
        self._store: ObjectStore | None = None
        self._lock = Lock()
        self._outstanding = 0

    def begin(self, work: Callable[[ObjectStore], None], failed: Callable[[BaseException], None], most: int) -> bool:
        """Do `work` with the store in a thread; False when `most` threads are waiting for it already."""
        with self._lock:
            if self._outstanding >= most:
                return False
            self._outstanding += 1
        Thread(target=self._run, args=(work, failed), name=f"register-{self.location}", daemon=True).start()
        return True

    def _run(self, work: Callable[[ObjectStore], None], failed: Callable[[BaseException], None]) -> None:
        try:
            # Opened here: a cloud's client can take seconds to import.
            self._store = self._store or self._open_store(self.location)
            work(self._store)
        except BaseException as error:  # noqa: BLE001 - handed to the caller, who is waiting in another thread
            failed(error)
        finally:
            with self._lock:
                self._outstanding -= 1


def ask(round_: Round, key: str, lane: Callable[[str], Lane], limits: Limits) -> Heard:
    """Make a round of requests about the object `key`, and return as soon as no further answer matters.

    A store's typed error is a reason for its silence; any other one is raised here.
    """
    inbox: SimpleQueue[tuple[str, Answer | BaseException]] = SimpleQueue()
    over = Event()
    answers: dict[str, Answer] = {}
    silent: dict[str, str] = {}
    for member in round_.members:
        if not _begin(round_, member, key, lane(member), inbox, over, limits):
            silent[member] = f"{limits.outstanding} earlier requests are still waiting for an answer"
    deadline = time.monotonic() + limits.round_seconds
    patient = True
    while not round_.settled(answers, len(silent)):
        if patient and len(answers) >= majority(round_.members):
            deadline, patient = min(deadline, time.monotonic() + limits.patience_seconds), False
        try:
            member, result = inbox.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            break
        if isinstance(result, Answer):
            answers[member] = result
        elif isinstance(result, McmlError):
            silent[member] = str(result)
        else:
            raise result
    over.set()
    for member in round_.members:
        if member not in answers:
            silent.setdefault(member, "no answer in time")
    return Heard(answers, silent)


def _begin(
    round_: Round,
    member: str,
    key: str,
    lane: Lane,
    inbox: "SimpleQueue[tuple[str, Answer | BaseException]]",
    over: Event,
    limits: Limits,
) -> bool:
    def work(store: ObjectStore) -> None:
        answer = serve(round_, member, store, key, over)
        if answer is not None:
            inbox.put((member, answer))

    return lane.begin(work, lambda error: inbox.put((member, error)), limits.outstanding)


def serve(round_: Round, member: str, store: ObjectStore, key: str, over: Event) -> Answer | None:
    """Make one store's requests of a round, one after the other; None when the round was over before all were made.

    Whatever was begun goes on all the same: to the protocol it is a message that arrives late.
    """
    requests = round_.exchange(member)
    try:
        request = next(requests)
        while round_.to_the_end or not over.is_set():
            request = requests.send(_respond(store, key, round_.members, request))
    except StopIteration as end:
        return end.value
    return None


def _respond(store: ObjectStore, key: str, members: tuple[str, ...], request: Get | Put) -> Response:
    if isinstance(request, Get):
        try:
            data, meta = store.get_with_meta(key)
        except ObjectNotFound:
            return Response(Stored(Acceptor(members), None))
        return Response(Stored(Acceptor.from_json(data), meta.etag))
    data = request.acceptor.to_json()
    try:
        if request.version is None:
            meta = store.put_if_absent(key, data)
        else:
            meta = store.put_if_match(key, data, str(request.version))
    except PreconditionFailed:
        return Response(Stored(request.acceptor, request.version), done=False)
    return Response(Stored(request.acceptor, meta.etag))
