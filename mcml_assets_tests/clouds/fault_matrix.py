"""The fault matrix: every kind of fault at every step of a commit and of a replication, in any store.

The steps are those that an undisturbed run is seen to take, so a protocol that changes brings its own. What a cell must
fulfil is in `test_fault_matrix.py`, how the matrix is shown in `fault_page.py`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from mcml_assets.clouds.faulty import FaultyStore
from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.clouds.memory.store import MemoryStore
from mcml_assets.domain.digest import DEFAULT_DIGEST, DIGEST_ALGORITHMS, DigestAlgorithm
from mcml_assets.domain.errors import CorruptSnapshot, McmlError
from mcml_assets.domain.faults import APPLIES, FROM_ANYWHERE, Fault, FaultKind
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.snapshots.replication import replicate
from mcml_assets.snapshots.store import SnapshotStore
from mcml_assets_tests.snapshots.committing import commit, contents, digest_of

OTHER = "azure/uksouth"
BEGINS = datetime(2026, 1, 1, tzinfo=UTC)
FIRST = {"a": b"zero"}
FORMER = {"a": b"one", "kept": b"kept"}
NEXT = {"a": b"changed", "b": b"two", "kept": b"kept"}
EPOCH = 2
FILES = {
    (algorithm, digest_of(content, algorithm)): f"file {name}"
    for algorithm in DIGEST_ALGORITHMS
    for version in (FIRST, FORMER, NEXT)
    for name, content in version.items()
}
NUMBERS = count()


@dataclass(frozen=True)
class Step:
    """One kind of request that a run makes of the store under test: the operation, and what it is about.

    `pattern` is what follows the workload's name in the keys of these requests.
    """

    what: str
    operation: str
    pattern: str = field(compare=False)


@dataclass(frozen=True)
class Cell:
    """What a run with the fault came to: `completes` or the error's class, and which snapshot was current then.

    `broken` is a snapshot that says itself that it is not whole, as only a write that was acknowledged and lost can leave it.
    """

    outcome: str
    current: str


@dataclass
class Scene:
    """One workload of its own in the store under test, in one part of a protocol; and a folder for local files.

    `act` brings the store under test, however wrapped, from the former to the next snapshot. `history` are the changes
    that come before, the last of which is the last change that a stale reader misses.
    """

    store: ObjectStore
    folder: Path
    workload: str = field(default_factory=lambda: f"cell{next(NUMBERS)}")
    digests: DigestAlgorithm = DEFAULT_DIGEST

    def snapshots(self, store: ObjectStore, asset: str) -> SnapshotStore:
        return SnapshotStore(store, self.workload, asset, digests=self.digests)

    def commit(self, store: ObjectStore, version: dict[str, bytes], *, verify: bool = False) -> Manifest:
        return commit(self.snapshots(store, "landing"), version, self.folder, epoch=EPOCH, verify=verify).manifest

    @property
    def history(self) -> list[Callable[[], object]]:
        raise NotImplementedError

    @property
    def seen(self) -> SnapshotStore:
        """The snapshots that the run changes, without faults."""
        raise NotImplementedError

    def act(self, store: ObjectStore, *, verify: bool = False) -> None:
        raise NotImplementedError


class CommitScene(Scene):
    """A commit into the store under test."""

    title = "Commit"

    @property
    def history(self) -> list[Callable[[], object]]:
        return [lambda: self.commit(self.store, FIRST), lambda: self.commit(self.store, FORMER)]

    @property
    def seen(self) -> SnapshotStore:
        return self.snapshots(self.store, "landing")

    def act(self, store: ObjectStore, *, verify: bool = False) -> None:
        self.commit(store, NEXT, verify=verify)


class ReplicationScene(Scene):
    """A replication between the store under test and one in memory."""

    @cached_property
    def other(self) -> MemoryStore:
        return MemoryStore(OTHER)

    def replicate(self, source: ObjectStore, target: ObjectStore, *, verify: bool = False) -> None:
        manifest = self.snapshots(source, "landing").current()
        assert manifest is not None
        replicate(self.snapshots(source, "landing"), self.snapshots(target, "raw_data"), manifest, epoch=EPOCH, verify=verify)


class TargetScene(ReplicationScene):
    """The store under test is copied to."""

    title = "Replication, at the target"

    @property
    def history(self) -> list[Callable[[], object]]:
        return [
            lambda: self.commit(self.other, FIRST),
            lambda: self.replicate(self.other, self.store),
            lambda: self.commit(self.other, FORMER),
            lambda: self.replicate(self.other, self.store),
        ]

    @property
    def seen(self) -> SnapshotStore:
        return self.snapshots(self.store, "raw_data")

    def act(self, store: ObjectStore, *, verify: bool = False) -> None:
        self.commit(self.other, NEXT)
        self.replicate(self.other, store, verify=verify)


class SourceScene(ReplicationScene):
    """The store under test is copied from."""

    title = "Replication, at the source"

    @property
    def history(self) -> list[Callable[[], object]]:
        return [
            lambda: self.commit(self.store, FIRST),
            lambda: self.replicate(self.store, self.other),
            lambda: self.commit(self.store, FORMER),
            lambda: self.replicate(self.store, self.other),
            lambda: self.commit(self.store, NEXT),
        ]

    @property
    def seen(self) -> SnapshotStore:
        return self.snapshots(self.other, "raw_data")

    def act(self, store: ObjectStore, *, verify: bool = False) -> None:
        self.replicate(store, self.other, verify=verify)


SceneMaker = type[CommitScene | TargetScene | SourceScene]
SCENES: tuple[SceneMaker, ...] = (CommitScene, TargetScene, SourceScene)


def _id_of(version: dict[str, bytes], digests: DigestAlgorithm) -> str:
    """The snapshot id of these files, which no store and no fault has a part in."""
    with TemporaryDirectory() as folder:
        return commit(
            SnapshotStore(MemoryStore(OTHER), "w", "landing", digests=digests), version, Path(folder), epoch=EPOCH
        ).manifest.snapshot_id


@cache
def snapshot_names(digests: DigestAlgorithm) -> dict[str, str]:
    """What the snapshots of the history are called, by their ids."""
    versions = {"the first": FIRST, "the former": FORMER, "the new": NEXT}
    return {_id_of(version, digests): name for name, version in versions.items()}


class Recorder:
    """Hands everything on to a store, and notes each request."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self.requests: dict[tuple[str, str], None] = {}

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.store, name)
        if not callable(found):
            return found

        def noted(key: str, *arguments: Any, **named: Any) -> Any:
            self.requests[name, key] = None
            return found(key, *arguments, **named)

        return noted


def steps(scene: Scene) -> list[Step]:
    """The steps of an undisturbed run, in its order: reads and writes of pointer, manifest and each file."""
    for change in scene.history:
        change()
    recorder = Recorder(scene.store)
    scene.act(cast("ObjectStore", recorder))
    found = dict.fromkeys(_step(operation, key.removeprefix(scene.workload)) for operation, key in recorder.requests)
    # Files are moved side by side, in no certain order.
    kinds = list(dict.fromkeys((step.operation, step.what[:4]) for step in found))
    return sorted(found, key=lambda step: (kinds.index((step.operation, step.what[:4])), step.what))


def run_cells(scene: Scene, step: Step, kinds: Sequence[FaultKind]) -> list[Cell]:
    """Run `scene` with one fault after the other at one step, then without, and check what must hold whatever happened.

    All faults but the last must leave the former snapshot current, or the later ones would find the work done.
    """
    location, key = scene.store.location, scene.workload + step.pattern
    planned, slept = list[Fault](), list[float]()
    faulty = FaultyStore(scene.store, lambda: planned, lambda: BEGINS, slept.append)
    for number, change in enumerate(scene.history, start=1):
        if number == len(scene.history) and FaultKind.STALE_READ in kinds:
            planned[:] = [_fault(location, FaultKind.STALE_READ, step, key)]
            _look(faulty, step.operation, key)
        change()
    former = scene.seen.manifest(list(snapshot_names(scene.digests))[1])
    cells: list[Cell] = []
    for kind in kinds:
        planned[:] = [_fault(location, kind, step, key)]
        outcome = "completes"
        try:
            scene.act(faulty)
        except McmlError as error:
            outcome = type(error).__name__
        assert kind is not FaultKind.LATENCY or sum(slept) > 0, "the fault struck nothing"
        # Nobody needs the fault to end to read what was there; and the run after it finishes the work.
        assert contents(scene.seen, former) == FORMER
        cells.append(Cell(outcome, _current(scene, may_be_broken=kind is FaultKind.LOST_WRITE)))
    planned.clear()
    # What was acknowledged is not asked for again, unless `integrity` found it missing: then the run verifies.
    scene.act(scene.store, verify=cells[-1].current == "broken")
    _check_complete(scene)
    return cells


def _current(scene: Scene, *, may_be_broken: bool) -> str:
    """Which snapshot is current, as a reader and the `integrity` check find it."""
    try:
        current = scene.seen.current()
        assert current is not None
        if may_be_broken and scene.seen.verify(current):
            return "broken"
    except CorruptSnapshot:
        assert may_be_broken
        return "broken"
    after = contents(scene.seen, current)
    assert after in (FORMER, NEXT)
    return "new" if after == NEXT else "former"


def _fault(location: str, kind: FaultKind, step: Step, key: str) -> Fault:
    return Fault(location, kind, BEGINS, BEGINS + timedelta(minutes=10), {"operation": step.operation, "key": key})


@cache
def matrix_in_memory(
    made: SceneMaker, digests: DigestAlgorithm = DEFAULT_DIGEST
) -> Mapping[tuple[Step, FaultKind], Cell | None]:
    """Every cell of one scene in memory, by its steps in their order; None where the fault cannot strike."""
    store = MemoryStore("aws/eu-west-2")
    with TemporaryDirectory() as name:

        def scene() -> Scene:
            return made(store, Path(name), digests=digests)

        return {
            (step, kind): run_cells(scene(), step, [kind])[0] if step.operation in APPLIES[kind] else None
            for step in steps(scene())
            for kind in FROM_ANYWHERE
        }


def _check_complete(scene: Scene) -> None:
    """The next snapshot is current, each earlier one is whole, each once in the chain; nothing else is stored."""
    seen = scene.seen
    pointer = seen.current_pointer()
    assert pointer is not None
    expected = list(snapshot_names(scene.digests))
    assert (pointer.snapshot_id, pointer.previous, pointer.epoch) == (expected[2], expected[1], EPOCH)
    for snapshot_id, version in zip(expected, (FIRST, FORMER, NEXT), strict=True):
        assert contents(seen, seen.manifest(snapshot_id)) == version
    blobs = {_named(key) for key in _keys(scene) if "/blobs/" in key}
    assert blobs == {(algorithm, digest) for algorithm, digest in FILES if algorithm == scene.digests}
    manifests = sorted(Path(key).stem for key in _keys(scene) if "/manifests/" in key)
    assert set(manifests) == set(expected)


def _named(key: str) -> tuple[str, str]:
    """The algorithm and the digest in a blob's key."""
    algorithm, _, digest = key.split("/")[-3:]
    return algorithm, digest


def _keys(scene: Scene) -> Iterator[str]:
    return (meta.key for meta in scene.store.list(scene.workload))


def _look(store: FaultyStore, operation: str, key: str) -> None:
    """Read as the step will, so that a stale store has something to remember."""
    try:
        store.get_range(key, 0, 1) if operation == "get_range" else getattr(store, operation)(key)
    except McmlError:
        return


def _step(operation: str, key: str) -> Step:
    folder, _, name = key.rpartition("/")
    stem = Path(name).stem
    if "/blobs/" in key:
        return Step(FILES[_named(key)], operation, key)
    if folder.endswith("/manifests"):
        names = {**snapshot_names("blake3"), **snapshot_names("sha256")}
        return Step(f"manifest of {names[stem]}", operation, key)
    if name == "current.json":
        return Step("pointer", operation, key)
    # Other things have a folder, and a name that is new each time; or a name that says it all.
    return Step(folder.strip("/"), operation, f"{folder}/*") if folder else Step(stem, operation, key)
