"""The register on three real protocol servers, which are killed, restarted and cut off while it is used."""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mcml_assets.clouds.registry import open_store
from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.workload import load_workload
from mcml_assets.domain.acting import Acting
from mcml_assets.domain.errors import RegisterUnavailable, StaleEpoch
from mcml_assets.domain.topology import StoreKind
from mcml_assets.domain.workload import Workload
from mcml_assets.register.quorum import QuorumRegister
from mcml_assets.register.rounds import Limits
from mcml_assets_tests.configuration.workload_files import write_workload
from mcml_assets_tests.emulation.started import started
from mcml_assets_tests.register.emulated import Servers
from mcml_assets_tests.register.stores import settle

pytestmark = pytest.mark.live

# Longer than a busy machine takes to answer, shorter than a server that never does.
LIMITS = Limits(round_seconds=8.0)
STORES: dict[StoreKind, str] = {"s3": "aws/eu-west-2", "azure": "azure/uksouth", "gcs": "gcp/europe-west2"}
PLACED = ("aws/eu-west-2", "gcp/europe-west2")


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with started(tmp_path_factory.mktemp("register")) as emulators, Servers(emulators) as servers:
        yield servers


@pytest.fixture
def workload(tmp_path: Path, servers: Servers, request: pytest.FixtureRequest) -> Workload:
    """A workload with a name of its own, so that every test has a new register."""
    name = f"churn{abs(hash(request.node.name))}"
    file = write_workload(tmp_path / "churn")
    folder = file.parent.rename(tmp_path / name)
    (folder / file.name).write_text((folder / file.name).read_text().replace("name: churn", f"name: {name}"))
    return load_workload(folder / file.name, servers.emulators.topology)


@pytest.fixture
def new_register(servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], QuorumRegister]:
    """Opens a register as another process would."""
    for name, value in servers.emulators.environment.items():
        monkeypatch.setenv(name, value)
    topology, settings = servers.emulators.topology, Settings(home=tmp_path)
    return lambda: QuorumRegister(topology, lambda key: open_store(topology.location(key), settings), LIMITS)


def move(register: QuorumRegister, workload: Workload, expected: Acting, request_id: str) -> Acting:
    new = Acting(PLACED[expected.epoch % 2], expected.epoch + 1)
    return register.change(workload, "UK", expected, new, who="a test", why="a test", request_id=request_id)


@pytest.mark.parametrize(
    ("ended", "with_signal", "cut_off", "comes_back"),
    [
        # Azurite writes what it holds when it ends; the emulator of Google's storage starts empty, as after a lost disk.
        ("azure", signal.SIGTERM, "s3", "behind"),
        ("gcs", signal.SIGKILL, "azure", "unused"),
    ],
)
def test_any_one_store_may_be_gone_two_are_too_many_and_what_comes_back_is_caught_up(
    ended: StoreKind,
    with_signal: signal.Signals,
    cut_off: StoreKind,
    comes_back: str,
    servers: Servers,
    workload: Workload,
    new_register: Callable[[], QuorumRegister],
) -> None:
    register = new_register()
    first = register.read(workload, "UK")
    settle()
    servers.end(ended, with_signal)
    second = move(register, workload, first, "while one is gone")
    assert new_register().read(workload, "UK") == second
    with servers.cut_off(cut_off):
        with pytest.raises(RegisterUnavailable, match="1 of its 3 stores answered, and 2 must"):
            register.read(workload, "UK")
        with pytest.raises(RegisterUnavailable) as refused:
            move(register, workload, second, "while two are away")
        assert not refused.value.may_have_happened
    assert register.read(workload, "UK") == second
    settle()
    servers.restart(ended)
    states = {replica.location: replica.state for replica in register.survey(workload, "UK").replicas}
    assert states == {location: comes_back if kind == ended else "in step" for kind, location in STORES.items()}
    with servers.cut_off(cut_off):
        # The one that missed the change is half of the majority now, and is brought in step by the first who asks.
        assert new_register().read(workload, "UK") == second
        third = move(register, workload, second, "with the one that was gone")
    assert new_register().read(workload, "UK") == third


def test_one_store_that_hangs_delays_nobody_and_hears_of_it_late(
    servers: Servers, workload: Workload, new_register: Callable[[], QuorumRegister]
) -> None:
    register = new_register()
    acting = register.read(workload, "UK")
    for kind in STORES:
        with servers.cut_off(kind):
            assert new_register().read(workload, "UK") == acting
            acting = move(register, workload, acting, f"without {kind}")
        # What was asked of it meanwhile arrives now, and changes nothing.
        assert new_register().read(workload, "UK") == acting
    assert acting.epoch == 1 + len(STORES)


def test_exactly_one_of_many_writers_at_once_wins(
    servers: Servers, workload: Workload, new_register: Callable[[], QuorumRegister]
) -> None:
    first = new_register().read(workload, "UK")

    def attempt(number: int) -> str:
        try:
            move(new_register(), workload, first, f"writer {number}")
        except StaleEpoch:
            return "refused"
        return "won"

    with ThreadPoolExecutor(4) as writers:
        outcomes = sorted(writers.map(attempt, range(4)))
    assert outcomes == ["refused"] * 3 + ["won"]
    assert new_register().read(workload, "UK").epoch == 2


def test_a_store_that_comes_back_without_its_data_takes_nothing_from_the_others(
    servers: Servers, workload: Workload, new_register: Callable[[], QuorumRegister]
) -> None:
    register = new_register()
    acting = move(register, workload, register.read(workload, "UK"), "before")
    # moto keeps everything in memory: it has neither the object nor its bucket nor our credentials afterwards.
    servers.end("s3", signal.SIGKILL)
    servers.restart("s3")
    assert new_register().read(workload, "UK") == acting
    [lost] = [replica for replica in register.survey(workload, "UK").replicas if replica.location == STORES["s3"]]
    assert lost.state == "unreachable"
    assert move(register, workload, acting, "after").epoch == 3
