"""Promises to a cluster: an edge open to other machines asks who calls, and a pod sees another pod's data plane."""

import json
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.serving.edge.entrance import Entrance
from mcml_assets.serving.edge.listener import bootstrap
from mcml_assets.serving.folder import DataPlaneFolder
from mcml_assets.serving.heartbeat import beat, is_watched, read_heartbeat


def test_an_open_edge_stays_on_loopback(tmp_path: Path) -> None:
    """An edge that asks nobody who they are is refused any other address; one that asks listens where it is told, and its
    admin interface never does.
    """
    with pytest.raises(ConfigurationError, match="set MCML_EDGE_CALLERS"):
        Entrance.of(Settings(home=tmp_path, edge_host="0.0.0.0"))  # noqa: S104 - what is refused
    with pytest.raises(ConfigurationError, match="MCML_EDGE_HOST must be an address"):
        Entrance.of(Settings(home=tmp_path, edge_host="edge.example.com"))
    asking = Entrance.of(Settings(home=tmp_path, edge_host="0.0.0.0", edge_callers=tmp_path / "callers"))  # noqa: S104 - a pod's
    told = bootstrap(tmp_path, asking)
    (listener,) = told["static_resources"]["listeners"]
    assert listener["address"]["socket_address"]["address"] == "0.0.0.0"  # noqa: S104 - a pod's
    assert told["admin"]["address"]["socket_address"]["address"] == "127.0.0.1"


@pytest.mark.parametrize(("age", "watched"), [(1, True), (60, False)])
def test_a_data_plane_of_another_pod_is_known_by_its_beat(tmp_path: Path, age: int, *, watched: bool) -> None:
    """A fresh beat of another machine counts although its process cannot be seen, a stale one does not; no process here
    is ever taken for it.
    """
    folder = DataPlaneFolder(tmp_path)
    beat(folder)
    assert is_watched(folder)
    pulse = json.loads(folder.heartbeat.read_bytes())
    pulse |= {"host": "another-pod", "beaten_at": (datetime.now(UTC) - timedelta(seconds=age)).isoformat()}
    folder.heartbeat.write_text(json.dumps(pulse))
    assert is_watched(folder) is watched
    found = read_heartbeat(folder)
    assert found is not None
    assert found.process is None


def test_a_beat_of_the_former_version_still_counts(tmp_path: Path) -> None:
    """A beat that names no machine is of this one, as the version before wrote it."""
    folder = DataPlaneFolder(tmp_path)
    beat(folder)
    pulse = json.loads(folder.heartbeat.read_bytes())
    assert pulse.pop("host") == socket.gethostname()
    folder.heartbeat.write_text(json.dumps(pulse))
    assert is_watched(folder)
