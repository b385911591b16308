"""The fault plan of a running platform: one file that every process of it reads, replaced whole under a lock.

Faults are set, listed and cleared here; expired ones count no more from that second on, whoever forgets to clear them.
What a fault means is `domain/faults.py`'s business, what it does to a store `faulty.py`'s.
"""

import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import count
from pathlib import Path

from mcml_assets.clouds.faulty import FaultyCloudStore, FaultyStore
from mcml_assets.clouds.interfaces import CloudStore, ObjectStore
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.faults import SIDE, Fault, FaultKind
from mcml_assets.domain.topology import Topology, did_you_mean

FORMAT = 1
# Nobody's business depends on these two. Elsewhere a file that somebody left must not be able to darken a cloud:
# there the process itself has to be started with leave, by whoever may start it.
ALWAYS_ALLOWED = ("local", "emulated")


@dataclass(frozen=True, slots=True)
class Version:
    """A version of the plan's file as `stat` tells it, and what it says."""

    stamp: tuple[int, int, int]
    faults: tuple[Fault, ...]


class FaultPlan:
    """The plan in one file, read again only when the file was replaced: asking costs one `stat`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # The numbers go on over all stores of a process and start anywhere, or a fault of one request in ten would
        # strike every run at the same step.
        self.numbers = count(secrets.randbelow(2**32))
        self._read: Version | None = None

    def faults(self) -> Sequence[Fault]:
        """All faults in the file, expired ones among them. Raises `ConfigurationError` when it is unreadable."""
        try:
            found = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return ()
        stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
        read = self._read
        if read is None or read.stamp != stamp:
            self._read = read = Version(stamp, read_plan(self.path))
        return read.faults

    def struck(self, kind: FaultKind, operation: str, location: str, now: datetime) -> Fault | None:
        """The fault of this kind that strikes a location's next operation outside its bucket, if there is one.

        Raises `ConfigurationError` when the plan is unreadable.
        """
        planned = self.faults()
        if not planned:
            return None
        number = next(self.numbers)
        for fault in planned:
            meant = fault.kind is kind and fault.active(now) and fault.concerns(location)
            if meant and fault.selects(operation, "") and fault.strikes(number):
                return fault
        return None


def faults_allowed(settings: Settings) -> bool:
    """Whether this platform may have faults: always on a laptop, elsewhere with `MCML_FAULTS_ALLOWED=1`."""
    # The topology's own name, not the profile's: a profile `local` may be told to run on the topology of production.
    return settings.faults_allowed or settings.topology_file.stem in ALWAYS_ALLOWED


def planned_fault(settings: Settings, kind: FaultKind, operation: str, location: str) -> Fault | None:
    """The fault of this kind that strikes what a location is about to do outside its bucket; None where there is none.

    Raises `ConfigurationError` when the plan is unreadable.
    """
    if not faults_allowed(settings):
        return None
    return _shared_plan(settings.faults_file).struck(kind, operation, location, datetime.now(UTC))


def with_faults(store: ObjectStore, settings: Settings, asker: str | None = None) -> ObjectStore:
    """The store, with the faults that the platform's plan has for it, where it may have any; `asker` is who asks it."""
    if not faults_allowed(settings):
        return store
    plan = _shared_plan(settings.faults_file)
    faulty = FaultyCloudStore if isinstance(store, CloudStore) else FaultyStore
    return faulty(store, plan.faults, numbers=plan.numbers, asker=asker)


def set_fault(fault: Fault, topology: Topology, settings: Settings) -> Fault:
    """Add a fault to the plan; it counts for the next request of every process.

    Raises `ConfigurationError` when the target is no cloud or location of the topology, with the nearest one, or when
    this platform may have no faults.
    """
    if not faults_allowed(settings):
        raise ConfigurationError(
            f"faults may not be set on {settings.topology_file.stem!r}; processes that are started with "
            "MCML_FAULTS_ALLOWED=1 obey them, and then so does this command"
        )
    targets = (*topology.clouds, *topology.locations)
    sides = (fault.target, str(fault.parameters[SIDE])) if fault.kind is FaultKind.PARTITION else (fault.target,)
    for side in sides:
        if side not in targets:
            raise ConfigurationError(f"unknown cloud or location {side!r}{did_you_mean(side, targets)}")
    with _changing(settings, fault.begins) as (former, write):
        write((*(other for other in former if other.id != fault.id), fault))
    return fault


def list_faults(settings: Settings, now: datetime | None = None) -> tuple[Fault, ...]:
    """The faults that have not expired, in the order in which they were set; none where they are not obeyed.

    Raises `ConfigurationError` when the plan is unreadable.
    """
    if not faults_allowed(settings):
        return ()
    return _live(read_plan(settings.faults_file), now or datetime.now(UTC))


def clear_fault(fault_id: str, settings: Settings) -> Fault:
    """Take one fault out of the plan, and return it. Raises `ConfigurationError` with the nearest id."""
    with _changing(settings, datetime.now(UTC)) as (former, write):
        found = {fault.id: fault for fault in former}
        if fault_id not in found:
            nearest = did_you_mean(fault_id, list(found)) or "; none is set"
            raise ConfigurationError(f"no fault has the id {fault_id!r}{nearest}")
        write(tuple(fault for fault in former if fault.id != fault_id))
    return found[fault_id]


def clear_all_faults(settings: Settings) -> int:
    """Empty the plan, readable or not, and return how many faults were active or yet to begin."""
    try:
        cleared = len(list_faults(settings))
    except ConfigurationError:
        cleared = 0
    with _locked(settings) as write:
        write(())
    return cleared


def read_plan(path: Path) -> tuple[Fault, ...]:
    """The faults in a file, none when there is none. Raises `ConfigurationError` naming file and remedy."""
    try:
        document = json.loads(path.read_bytes())
        if document["format"] != FORMAT:
            raise ConfigurationError(f"it has format {document['format']!r}, this version reads {FORMAT}")
        return tuple(Fault.from_json(entry) for entry in document["faults"])
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except (ConfigurationError, ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(
            f"{path} is no readable fault plan: {error}; `mcml fault clear --all` replaces it by an empty one"
        ) from error


@cache
def _shared_plan(path: Path) -> FaultPlan:
    """One plan per file and process, so that it is parsed once for all stores."""
    return FaultPlan(path)


def _live(faults: Sequence[Fault], now: datetime) -> tuple[Fault, ...]:
    return tuple(fault for fault in faults if now < fault.expires)


@contextmanager
def _changing(settings: Settings, now: datetime) -> Iterator[tuple[tuple[Fault, ...], Callable[[Sequence[Fault]], None]]]:
    """The faults that have not expired, and how to replace them, while nobody else can."""
    with _locked(settings) as write:
        yield _live(read_plan(settings.faults_file), now), write


@contextmanager
def _locked(settings: Settings) -> Iterator[Callable[[Sequence[Fault]], None]]:
    """How to replace the plan, while no other process can."""
    from mcml_assets.clouds.local import folder  # noqa: PLC0415 - only who changes the plan needs it

    path = settings.faults_file
    path.parent.mkdir(parents=True, exist_ok=True)
    with folder.opened(path.parent) as root, folder.locked(root, path.name):

        def write(faults: Sequence[Fault]) -> None:
            document = {"format": FORMAT, "faults": [fault.to_json() for fault in faults]}
            content = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
            with folder.staged(root, [content.encode()]) as (staging, name):
                folder.publish(staging, name, root, path.name)

        yield write
