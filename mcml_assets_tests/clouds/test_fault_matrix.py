"""Whatever fails at whichever step of a commit or a replication: nothing is lost, and the next run completes."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcml_assets.clouds.faulty import FaultyStore
from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.clouds.memory.store import MemoryStore
from mcml_assets.domain.errors import CorruptSnapshot, StaleEpoch, TransientError
from mcml_assets.domain.faults import FROM_ANYWHERE, Fault, FaultKind
from mcml_assets.snapshots.store import SnapshotStore
from mcml_assets_tests.clouds.fault_matrix import (
    BEGINS,
    FORMER,
    NEXT,
    SCENES,
    CommitScene,
    Scene,
    SceneMaker,
    SourceScene,
    TargetScene,
    matrix_in_memory,
    run_cells,
    steps,
)
from mcml_assets_tests.clouds.fault_page import PAGE, page
from mcml_assets_tests.snapshots.committing import commit, contents, current_contents, snapshots

HERE = "aws/eu-west-2"
ALLOWED = {
    FaultKind.OUTAGE: {"LocationUnavailable"},
    FaultKind.CREDENTIALS_REVOKED: {"CredentialsRejected"},
    FaultKind.THROTTLING: {"TransientError", "completes"},
    FaultKind.LATENCY: {"completes"},
    FaultKind.BANDWIDTH: {"completes"},
    FaultKind.TRUNCATED_READ: {"CorruptSnapshot", "completes"},
    FaultKind.FLIPPED_BIT: {"CorruptSnapshot", "completes"},
    FaultKind.LOST_ACKNOWLEDGEMENT: {"TransientError", "completes"},
    FaultKind.LOST_WRITE: {"PreconditionFailed", "completes"},
    FaultKind.STALE_READ: {"PreconditionFailed", "CorruptSnapshot", "completes"},
    FaultKind.CLOCK_SKEW: {"ConfigurationError"},
}


# These end a request before it leaves, and then change nothing: so a run may meet one after the other at the same step.
REFUSING = (FaultKind.OUTAGE, FaultKind.CREDENTIALS_REVOKED, FaultKind.THROTTLING, FaultKind.CLOCK_SKEW)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_every_fault_at_every_step(store: ObjectStore, scene: SceneMaker, tmp_path: Path):
    """In every store: the former snapshot stays readable and whole, the next run completes, nothing is lost or doubled.

    And what the run comes to is the same as in memory, which is what deploy/docs/faults.md shows.
    """
    expected = matrix_in_memory(scene)
    found = steps(scene(store, tmp_path))
    assert set(found) == {step for step, _ in expected}
    for step in found:
        cells = {kind: cell for kind in FROM_ANYWHERE if (cell := expected[step, kind]) is not None}
        in_a_row = [kind for kind in REFUSING if cells[kind].current == "former"]
        for kinds in (in_a_row, *([kind] for kind in cells if kind not in in_a_row)):
            if kinds:
                assert run_cells(scene(store, tmp_path), step, kinds) == [cells[kind] for kind in kinds], (step, kinds)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_the_digest_makes_no_difference(scene: SceneMaker):
    """With files digested by SHA-256 every fault at every step comes to the same, and nothing is lost either."""
    assert matrix_in_memory(scene, "sha256") == matrix_in_memory(scene)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_errors_fit_their_faults(scene: SceneMaker):
    """A cloud that is down may be failed over, damaged bytes are not believed, and a retry is for what it can mend."""
    for (step, kind), cell in matrix_in_memory(scene).items():
        if cell is not None:
            # What is left to be cleaned up may stay, once the work is done.
            tidied = step.operation == "delete" and cell.outcome == "completes"
            assert tidied or cell.outcome in ALLOWED[kind], (step, kind)


def test_the_matrix_has_every_step_of_the_protocols(tmp_path: Path):
    """The matrix is about all that a commit and a replication do: nobody's step is left out."""

    def taken(scene: Scene) -> set[tuple[str, bool]]:
        return {(step.what, step.operation.startswith("put")) for step in steps(scene)}

    written = {("pointer", False), ("file a", True), ("file b", True), ("manifest of the new", True), ("pointer", True)}
    assert written <= taken(CommitScene(MemoryStore(HERE), tmp_path))
    assert written <= taken(TargetScene(MemoryStore(HERE), tmp_path))
    read = {("pointer", False), ("manifest of the new", False), ("file a", False), ("file b", False)}
    assert read <= taken(SourceScene(MemoryStore(HERE), tmp_path))


def test_damage_is_never_committed(tmp_path: Path):
    """A bit flipped or an end cut off anywhere in a replication never completes with other bytes than the source's."""
    for kind in (FaultKind.FLIPPED_BIT, FaultKind.TRUNCATED_READ):
        for seed in range(15):
            scene = SourceScene(MemoryStore(HERE), tmp_path)
            for change in scene.history:
                change()
            fault = Fault(HERE, kind, BEGINS, BEGINS.replace(hour=1), probability=0.3, seed=seed)
            try:
                scene.act(FaultyStore(scene.store, lambda fault=fault: (fault,), lambda: BEGINS))
            except CorruptSnapshot:
                assert current_contents(scene.seen) == FORMER
            else:
                assert current_contents(scene.seen) == NEXT


def test_the_page_is_what_the_matrix_says():
    """deploy/docs/faults.md is the matrix as it runs now; `python -m mcml_assets_tests.clouds.fault_page` renews it."""
    assert PAGE.read_text() == page()


def flaky(store: ObjectStore, probability: float, seed: int, **parameters: str) -> FaultyStore:
    """The store with lost acknowledgements."""
    lost = FaultKind.LOST_ACKNOWLEDGEMENT
    fault = Fault(HERE, lost, BEGINS, BEGINS.replace(hour=1), parameters, probability, seed)
    return FaultyStore(store, lambda: (fault,), lambda: BEGINS)


def retried(target: SnapshotStore, content: dict[str, bytes], folder: Path, epoch: int) -> int:
    """Commit as a run with retries does, and say how many attempts it took."""
    for attempt in range(1, 200):
        try:
            commit(target, content, folder, epoch=epoch)
        except TransientError:
            continue
        return attempt
    raise AssertionError("never completed")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    versions=st.lists(st.binary(min_size=1, max_size=3), min_size=1, max_size=6, unique=True),
    probability=st.floats(0.05, 0.7),
    seed=st.integers(0, 2**32),
)
def test_lost_acknowledgements_lose_and_double_no_commit(tmp_path: Path, versions: list[bytes], probability: float, seed: int):
    """However many acknowledgements are lost on the way, each snapshot is committed once, in order, and is whole."""
    store = MemoryStore(HERE)
    target, seen = snapshots(flaky(store, probability, seed)), snapshots(store)
    committed: list[str] = []
    for version in versions:
        retried(target, {"a": version}, tmp_path, epoch=1)
        pointer = seen.current_pointer()
        assert pointer is not None
        # A commit that was done twice would name itself as its predecessor.
        assert pointer.previous == (committed[-1] if committed else None)
        committed.append(pointer.snapshot_id)
    assert [contents(seen, seen.manifest(snapshot_id))["a"] for snapshot_id in committed] == versions
    assert len(list(store.list("retail/landing/manifests"))) == len(versions)


def test_a_pointer_put_whose_answer_is_lost_is_found_done(tmp_path: Path):
    """The next attempt finds its own pointer and leaves it: the former snapshot stays the former, the time stays."""
    store = MemoryStore(HERE)
    former = commit(snapshots(store), FORMER, tmp_path).manifest
    with pytest.raises(TransientError):
        commit(snapshots(flaky(store, 1, 0, key="*/current.json")), NEXT, tmp_path)
    moved = snapshots(store).current_pointer()
    again = commit(snapshots(store), NEXT, tmp_path)
    assert (again.moved_pointer, again.written_files) == (False, 0)
    assert snapshots(store).current_pointer() == moved
    assert moved is not None
    assert moved.previous == former.snapshot_id


def test_a_fenced_writer_learns_it_despite_a_lost_answer(tmp_path: Path):
    """A writer whose acknowledgement was lost, and whose location was failed over meanwhile, is refused when it retries."""
    store = MemoryStore(HERE)
    commit(snapshots(store), FORMER, tmp_path)
    with pytest.raises(TransientError):
        commit(snapshots(flaky(store, 1, 0, key="*/current.json")), NEXT, tmp_path)
    commit(snapshots(store), {"a": b"of the new writer"}, tmp_path, epoch=2)
    with pytest.raises(StaleEpoch):
        commit(snapshots(store), NEXT, tmp_path)
    assert current_contents(snapshots(store)) == {"a": b"of the new writer"}
