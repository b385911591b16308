"""What callers may rely on when the edge is started with new settings: they notice nothing."""

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.route import Route, RouteLocation
from mcml_assets.serving.controller import end_processes
from mcml_assets.serving.data_plane import edge_url
from mcml_assets.serving.edge.envoy import Edge, is_edge
from mcml_assets.serving.edge.handover import PARENT_ENDS_SECONDS, Generation, first_generation, generation
from mcml_assets.serving.folder import DataPlaneFolder
from mcml_assets.serving.processes import find, is_alive, kill
from mcml_assets_tests.serving.served_shop import TIME, free_settings
from mcml_assets_tests.serving.waiting import until

ROUTE = Route("loans", "US", 1, 1, (RouteLocation("aws/us-east-1", 100, 0),), TIME)
# Another bootstrap: traces go somewhere now.
NEWER = {"otlp_endpoint": "http://127.0.0.1:9"}
CALLERS = 4

pytestmark = pytest.mark.live


class Asking:
    """Callers who ask for the edge's routes without pause, each over one connection while that lasts."""

    def __init__(self, settings: Settings) -> None:
        self.url = f"{edge_url(settings)}/routes"
        self.answered = 0
        self.failed: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(CALLERS)]

    def __enter__(self) -> "Asking":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        with httpx.Client(trust_env=False, timeout=30) as client:
            while not self._stop.wait(0.005):
                try:
                    status = client.get(self.url).status_code
                except httpx.HTTPError as error:
                    self.failed.append(repr(error))
                    continue
                self.answered += 1
                if status != 200:
                    self.failed.append(str(status))


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    settings = free_settings(tmp_path)
    DataPlaneFolder.of(settings).edge.mkdir(parents=True)
    yield settings
    end_processes(DataPlaneFolder.of(settings))


def running(settings: Settings) -> list[tuple[psutil.Process, list[str]]]:
    folder = DataPlaneFolder.of(settings)
    return find(lambda line: is_edge(line, folder))


def started(settings: Settings) -> Edge:
    """An edge as a new controller brings it up."""
    edge = Edge(settings)
    edge.adopt()
    edge.tell([ROUTE], {})
    edge.keep_running()
    until(lambda: answers(settings), "the edge answers")
    return edge


def answers(settings: Settings) -> bool:
    try:
        return httpx.get(f"{edge_url(settings)}/routes", trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def test_an_edge_with_new_settings_loses_no_request(settings: Settings) -> None:
    """Callers get every answer while the next Envoy takes over and the former one ends; twice in a row."""
    first = started(settings).process
    assert first is not None
    with Asking(settings) as asking:
        until(lambda: asking.answered > 50, "callers are answered")
        newer = started(settings.model_copy(update=NEWER)).process
        assert newer is not None
        assert newer != first
        until(lambda: not is_alive(first), "the former edge ends", PARENT_ENDS_SECONDS + 30)
        assert [process for process, _ in running(settings)] == [newer]
        before = asking.answered
        until(lambda: asking.answered > before + 50, "callers are answered by the newer edge")
        again = started(settings).process
        until(lambda: not is_alive(newer), "the newer edge ends as well", PARENT_ENDS_SECONDS + 30)
    assert asking.failed == []
    assert again is not None
    found = generation(again.cmdline())
    assert found is not None
    assert found.epoch == 2


def test_an_edge_that_dies_as_it_takes_over_is_started_anew(settings: Settings) -> None:
    """Neither the dead one nor the one that waits to be ended by it is in the way."""
    former = started(settings).process
    edge = started(settings.model_copy(update=NEWER))
    assert former is not None
    assert edge.process is not None
    killed = edge.process
    kill(killed)

    def is_back() -> bool:
        edge.keep_running()
        return edge.process not in (None, killed) and answers(settings)

    until(is_back, "another edge answers")
    assert not is_alive(former)
    assert [process for process, _ in running(settings)] == [edge.process]


def test_an_edge_that_was_ended_leaves_nothing(settings: Settings) -> None:
    """Not even the memory that it would have shared with the next one."""
    shared = first_generation(DataPlaneFolder.of(settings).edge).shared_memory
    started(settings)
    assert shared.exists()
    end_processes(DataPlaneFolder.of(settings))
    assert running(settings) == []
    assert not shared.exists()


def test_who_follows_whom_is_told_by_the_command_line(tmp_path: Path) -> None:
    """By base id and epoch; an Envoy without them hands nothing over, and folders have lines of their own."""
    first = first_generation(tmp_path)
    assert first == first_generation(tmp_path)
    assert first.base_id != first_generation(tmp_path / "other").base_id
    assert generation(["envoy", "-c", "x", *first.arguments]) == first
    assert generation(["envoy", "-c", "x", *first.next.arguments]) == first.next == Generation(first.base_id, 1)
    assert generation(["envoy", "--disable-hot-restart"]) is None
    assert first.precedes(first.next)
    assert not first.precedes(first)
    assert not first.precedes(Generation(first.base_id + 1, 1))
