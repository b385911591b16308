"""What an instance on PostgreSQL promises while its parts fail: no run is lost, none is doubled, and one daemon decides."""

import signal
import threading
from collections import Counter
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.instance.ref import InstanceRef

from mcml_assets_tests.instance.control_plane import LOCATIONS, ControlPlane
from mcml_assets_tests.instance.postgres import ABSENT, Postgres, binaries, postgres

pytestmark = [pytest.mark.live, pytest.mark.skipif(binaries() is None, reason=ABSENT)]

WELL, GOING_ON = [dg.DagsterRunStatus.SUCCESS], [dg.DagsterRunStatus.STARTED]
PARTITIONS = ("aws/eu-west-2", "gcp/europe-west2", "azure/uksouth")


@pytest.fixture
def server() -> Iterator[Postgres]:
    with postgres() as made:
        yield made


@pytest.fixture
def plane(server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ControlPlane]:
    """A control plane whose tables exist, of which nothing runs yet."""
    monkeypatch.setenv("MCML_POSTGRES_URL", server.url)
    made = ControlPlane(tmp_path, server.url)
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(tmp_path))) as instance:
        assert instance.get_runs_count() == 0
    try:
        yield made
    finally:
        made.end()


def test_no_run_is_lost_and_none_doubled_while_parts_fail(plane: ControlPlane, server: Postgres) -> None:
    """Orders come in all the time; a code server is killed, PostgreSQL restarted, the deciding daemon killed: each order is
    one run that ends well, or the retry of one that died."""
    for name in plane.commands():
        plane.start(name)
    plane.until(lambda: plane.holder() is not None, 60, "a daemon holds the lock")
    enough = threading.Event()
    ordering = threading.Thread(target=_order, args=(plane, enough))
    ordering.start()
    plane.until(lambda: _count(plane, WELL) >= 1, 90, "a run ended")

    plane.kill("two")
    plane.until(lambda: plane.ends != [] and plane.answers("two"), 60, "the code server is back")

    plane.until(lambda: _count(plane, GOING_ON) >= 1, 60, "a run is going on")
    server.stop("fast")
    server.start()
    plane.until(lambda: any(status == 75 for _, status in plane.ends), 30, "the daemon ended, as its lock was lost")
    plane.until(lambda: plane.holder() is not None, 60, "a daemon holds the lock again")

    deciding = plane.holder()
    assert deciding is not None
    plane.kill(deciding)
    plane.until(lambda: plane.holder() not in (None, deciding), 30, "the other daemon took over")
    enough.set()
    ordering.join()

    wanted = {line.split()[0] for one in LOCATIONS for line in (plane.home / f"orders-{one}").read_text().splitlines()}
    plane.until(lambda: _well_ended(plane) >= wanted, 120, "every order ended well")
    with _instance(plane) as instance:
        runs = instance.get_runs()
    first_runs = Counter(run.tags["dagster/run_key"] for run in runs if run.parent_run_id is None)
    assert first_runs == Counter(wanted), "each order was requested once"
    well = Counter(run.tags["dagster/run_key"] for run in runs if run.is_success)
    assert well == Counter(wanted), "each order ended well once"
    seen = plane.ask("{ runsOrError { ... on Runs { count } } }")
    assert seen == {"runsOrError": {"count": len(runs)}}
    assert {run.tags["mcml/cloud"] for run in runs} == {"aws", "gcp", "azure"}


def test_a_frozen_daemon_loses_the_lock_and_ends_when_it_thaws(plane: ControlPlane) -> None:
    """A daemon that stands still, as on a starved node, is taken the lock from; it does not go on beside its successor."""
    for name in ("daemon a", "daemon b"):
        plane.start(name)
    plane.until(lambda: plane.holder() is not None, 60, "a daemon holds the lock")
    frozen = plane.holder()
    assert frozen is not None
    plane.processes[frozen].send_signal(signal.SIGSTOP)
    other = next(name for name in plane.processes if name != frozen)
    plane.until(lambda: "daemon now" in plane.log(other), 40, "the other took over")
    plane.processes[frozen].send_signal(signal.SIGCONT)
    plane.until(lambda: (frozen, 75) in plane.ends, 20, "the thawed daemon ended")


def _order(plane: ControlPlane, enough: threading.Event) -> None:
    """One more order every two seconds, whatever happens meanwhile."""
    for number, (one, partition) in enumerate(zip(cycle(LOCATIONS), cycle(PARTITIONS), strict=False)):
        with (plane.home / f"orders-{one}").open("a") as orders:
            orders.write(f"{one}-{number} {partition}\n")
        if enough.wait(2):
            return


def _instance(plane: ControlPlane) -> dg.DagsterInstance:
    return dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(plane.home)))


def _count(plane: ControlPlane, statuses: list[dg.DagsterRunStatus]) -> int:
    with _instance(plane) as instance:
        return instance.get_runs_count(dg.RunsFilter(statuses=statuses))


def _well_ended(plane: ControlPlane) -> set[str]:
    with _instance(plane) as instance:
        runs = instance.get_runs(dg.RunsFilter(statuses=WELL))
    return {run.tags["dagster/run_key"] for run in runs}
