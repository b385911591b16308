"""Doing many transfers at once within bounds: how many, and how much memory they may hold together.

What a transfer does is `replication.py`'s and `store.py`'s business.
"""

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition, Event
from typing import TypeVar

from mcml_assets.domain.snapshot import SnapshotFile

MIB = 1024 * 1024
TICK_SECONDS = 1.0
# What one file holds on its way besides its own bytes: what was read and is not yet collected for the request that puts it.
READ_AHEAD = 8 * MIB
# And at most, if it is put in parts: those in flight, what they are cut from, and what was read ahead.
FILE_WINDOW = 128 * MIB
SMALLEST_SHARE = 64 * 1024

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class ReplicationLimits:
    """What a copy may use: files on their way at the same time, and the bytes of memory that they hold together."""

    memory_bytes: int = 256 * MIB
    concurrency: int = 8


DEFAULT_LIMITS = ReplicationLimits()


class MemoryBudget:
    """Bytes of memory that several threads share; who asks for more than is free waits."""

    def __init__(self, size: int) -> None:
        self._size = self._free = size
        self._changed = Condition()

    @contextmanager
    def reserved_for(self, file: SnapshotFile) -> Iterator[None]:
        """Hold the share of one file's transfer; a share larger than the whole budget takes the whole budget."""
        # A small one is held twice, as what was read and as what is written.
        share = min(max(2 * file.size, SMALLEST_SHARE), file.size + READ_AHEAD, FILE_WINDOW, self._size)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= share)
            self._free -= share
        try:
            yield
        finally:
            with self._changed:
                self._free += share
                self._changed.notify_all()


def run_all(
    work: Callable[[Item], object],
    items: Collection[Item],
    *,
    concurrency: int,
    tick: Callable[[], object] = lambda: None,
    stopped: Event | None = None,
) -> None:
    """Do `work` for every item, at most `concurrency` at once, calling `tick` from this thread about every second.

    The first error, also one of `tick`, is raised once the items under way have ended; no further one is begun, and
    `stopped` is set so that long ones may end early.
    """
    if not items:
        return
    ended = stopped if stopped is not None else Event()
    errors: list[BaseException] = []

    def guarded(item: Item) -> None:
        if ended.is_set():
            return
        try:
            work(item)
        except BaseException as error:
            errors.append(error)  # before the others are told to stop, whose errors then come after it
            ended.set()
            raise

    with ThreadPoolExecutor(min(concurrency, len(items)), thread_name_prefix="transfer") as pool:
        pending = {pool.submit(guarded, item) for item in items}
        try:
            while pending:
                done, pending = wait(pending, TICK_SECONDS, FIRST_EXCEPTION)
                for future in done:
                    future.result()
                tick()
        except BaseException as error:  # noqa: BLE001 - raised again below, as what caused it
            # A transfer that was told to stop ends with an error too, and may be seen first: the reason is the first one.
            reason = errors[0] if errors else error
            ended.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise reason from None
