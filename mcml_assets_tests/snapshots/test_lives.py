"""Whatever happens together in one bucket, in any order, no snapshot that is stored ever lacks a file."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar
from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.clouds.memory.store import MemoryStore
from mcml_assets.domain.digest import DEFAULT_DIGEST, DIGEST_ALGORITHMS, DigestAlgorithm
from mcml_assets.domain.errors import TransientError
from mcml_assets.domain.retention import Retention
from mcml_assets.snapshots import intents
from mcml_assets.snapshots.holds import place_hold, release_hold
from mcml_assets.snapshots.replication import ReplicationLimits, replicate
from mcml_assets.snapshots.retention import collect
from mcml_assets_tests.clouds.faults import Crash
from mcml_assets_tests.snapshots.committing import WORKLOAD, commit, snapshots
from mcml_assets_tests.snapshots.dying import DyingStore, Process
from mcml_assets_tests.snapshots.test_retention import age_leases

FILES = st.dictionaries(st.sampled_from("abc"), st.sampled_from([b"0", b"1", b"2", b"3", b"4"]), min_size=1, max_size=3)
ASSETS = st.sampled_from(["landing", "raw_data", "model"])
STEPS = st.integers(0, 30)
ONE_AT_A_TIME = ReplicationLimits(concurrency=1)
Answer = TypeVar("Answer")


class Interrupted(Process):
    """A process that lives on, but something else happens just before one of its operations."""

    def __init__(self, at: int, meanwhile: Callable[[], object]) -> None:
        super().__init__()
        self._at, self._meanwhile = at, meanwhile

    def act(self, apply: Callable[[], Answer]) -> Answer:
        if self.done == self._at:
            self.done += 1
            self._meanwhile()
        return super().act(apply)


class Lives(RuleBasedStateMachine):
    """Commits, copies, crashes, holds and collections in one bucket, with copies from another one."""

    def __init__(self) -> None:
        super().__init__()
        self.fast = patch.object(intents, "POLL_SECONDS", 0.005)
        self.fast.start()
        self.folder = TemporaryDirectory()
        self.store, self.elsewhere = self.empty_store(), MemoryStore("gcp/europe-west2")
        self.held: list[tuple[str, str]] = []
        self.keep_last = 1
        self.digests: DigestAlgorithm = DEFAULT_DIGEST

    def empty_store(self) -> ObjectStore:
        """The bucket in which all of it happens."""
        return MemoryStore("aws/eu-west-2")

    def teardown(self) -> None:
        self.nothing_is_left_over()
        self.folder.cleanup()
        self.fast.stop()

    def collect(self) -> None:
        """No grace at all: the protocol alone has to keep what is needed."""
        with suppress(TransientError):  # a dead one's marker is still fresh
            collect(self.store, WORKLOAD, Retention(self.keep_last, 0), grace=timedelta(0))

    def commit(self, store: object, asset: str, files: dict[str, bytes]) -> None:
        commit(snapshots(store, asset, self.digests), files, Path(self.folder.name), limits=ONE_AT_A_TIME)  # type: ignore[arg-type]

    def copy(self, store: object, files: dict[str, bytes]) -> None:
        source = snapshots(self.elsewhere, digests=self.digests)
        manifest = commit(source, files, Path(self.folder.name)).manifest
        replicate(source, snapshots(store, "raw_data"), manifest, epoch=1, limits=ONE_AT_A_TIME)  # type: ignore[arg-type]

    @rule(asset=ASSETS, files=FILES)
    def commits(self, asset: str, files: dict[str, bytes]) -> None:
        self.commit(self.store, asset, files)

    @rule(files=FILES)
    def copies(self, files: dict[str, bytes]) -> None:
        self.copy(self.store, files)

    @rule(asset=ASSETS, files=FILES, steps=STEPS, applied=st.booleans())
    def commit_dies(self, asset: str, files: dict[str, bytes], steps: int, applied: bool) -> None:
        with suppress(Crash):
            self.commit(DyingStore(self.store, Process(steps, applied=applied)), asset, files)

    @rule(files=FILES, steps=STEPS, applied=st.booleans())
    def copy_dies(self, files: dict[str, bytes], steps: int, applied: bool) -> None:
        with suppress(Crash):
            self.copy(DyingStore(self.store, Process(steps, applied=applied)), files)

    @rule(asset=ASSETS, files=FILES, at=STEPS)
    def collection_during_a_commit(self, asset: str, files: dict[str, bytes], at: int) -> None:
        self.commit(DyingStore(self.store, Interrupted(at, self.collect)), asset, files)

    @rule(files=FILES, at=STEPS)
    def collection_during_a_copy(self, files: dict[str, bytes], at: int) -> None:
        self.copy(DyingStore(self.store, Interrupted(at, self.collect)), files)

    @rule(asset=ASSETS, files=FILES, at=STEPS, keep_last=st.integers(1, 3))
    def commit_during_a_collection(self, asset: str, files: dict[str, bytes], at: int, keep_last: int) -> None:
        """It begins before any step of the collection, which goes on while the commit waits for its end."""
        self.keep_last = keep_last
        with ThreadPoolExecutor(1) as other:
            commits: list[Future[None]] = []

            def begin() -> None:
                commits.append(other.submit(self.commit, self.store, asset, files))
                wait(commits, 0.02)

            with suppress(TransientError):
                store = DyingStore(self.store, Interrupted(at, begin))
                collect(store, WORKLOAD, Retention(keep_last, 0), grace=timedelta(0))
            for each in commits:
                each.result()

    @rule()
    def collects(self) -> None:
        self.collect()

    @rule(steps=STEPS, applied=st.booleans())
    def collection_dies(self, steps: int, applied: bool) -> None:
        store = DyingStore(self.store, Process(steps, applied=applied))
        with suppress(Crash, TransientError):
            collect(store, WORKLOAD, Retention(self.keep_last, 0), grace=timedelta(0))
        age_leases(self.store)  # or every later step would wait for its lease to lapse

    @rule(digests=st.sampled_from(DIGEST_ALGORITHMS))
    def another_digest_is_chosen(self, digests: DigestAlgorithm) -> None:
        self.digests = digests

    @rule()
    def time_passes(self) -> None:
        age_leases(self.store)

    @rule(asset=ASSETS, which=st.integers(0, 9))
    def holds(self, asset: str, which: int) -> None:
        stored = snapshots(self.store, asset).stored_snapshots()
        if stored:
            held = stored[which % len(stored)]
            place_hold(snapshots(self.store, asset), held, "case 17", "legal")
            self.held = sorted({*self.held, (asset, held)})

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 9))
    def releases(self, which: int) -> None:
        asset, held = self.held.pop(which % len(self.held))
        release_hold(snapshots(self.store, asset), held)

    @invariant()
    def every_stored_snapshot_is_whole(self) -> None:
        for asset in ("landing", "raw_data", "model"):
            here = snapshots(self.store, asset)
            pointer = here.current_pointer()
            stored = here.stored_snapshots()
            assert pointer is None or pointer.snapshot_id in stored
            for snapshot_id in stored:
                assert here.verify(here.manifest(snapshot_id)) == ()
        for asset, held in self.held:
            assert held in snapshots(self.store, asset).stored_snapshots()

    def nothing_is_left_over(self) -> None:
        """After leases lapsed and a collection ran, every blob belongs to a snapshot that is stored."""
        age_leases(self.store)
        collect(self.store, WORKLOAD, Retention(self.keep_last, 0), grace=timedelta(0))
        named: set[str] = set()
        for asset in ("landing", "raw_data", "model"):
            here = snapshots(self.store, asset)
            named = named.union(*(here.manifest(each).needs for each in here.stored_snapshots()), named)
        assert {meta.key.rpartition("/")[2] for meta in self.store.list("retail/blobs")} <= named
        assert {meta.key.split("/")[1] for meta in self.store.list("retail")} <= {"blobs", "landing", "raw_data", "model"}


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
