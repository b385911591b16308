"""Promises of the local platform: nothing is called healthy for lack of information, and errors say what to do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import (
    ConfigurationError,
    CorruptSnapshot,
    LocationUnavailable,
    McmlError,
    ModelRejected,
    TransientError,
)
from mcml_assets.serving.folder import LOG_BYTES, DataPlaneFolder, bound_log
from mcml_assets.serving.heartbeat import beat
from mcml_assets.serving.interfaces import EndpointState, EndpointStatus
from mcml_assets.serving.local_platform import LocalEndpointPlatform, write_status
from mcml_assets.serving.manifest import inference_service, read_manifest
from mcml_assets_tests.serving.served_shop import PRIMARY, shop_workload

NAME = f"shop@{PRIMARY}"
DIGEST = "a" * 64
Manifest = Callable[..., dict[str, Any]]


@pytest.fixture
def platform(tmp_path: Path) -> LocalEndpointPlatform:
    return LocalEndpointPlatform(Settings(home=tmp_path))


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    workload = shop_workload(tmp_path / "shop")

    def make(version: int = 1, digest: str = DIGEST) -> dict[str, Any]:
        return inference_service(
            workload,
            workload.placed(PRIMARY),
            package_uri="file:///package",
            features_uri="file:///features",
            model_version=version,
            digest=digest,
        )

    return make


def report(platform: LocalEndpointPlatform, manifest: dict[str, Any], state: EndpointState, **more: Any) -> None:
    """Write the status that a controller would write about this manifest, and its heartbeat."""
    wanted = read_manifest(manifest)
    status = EndpointStatus(
        NAME, state, "2024-07-01T00:00:00+00:00", wanted_version=wanted.version, wanted_digest=wanted.digest, **more
    )
    write_status(platform.folder, wanted.revision, status)
    beat(platform.folder)


def test_without_a_data_plane_nothing_is_known(platform: LocalEndpointPlatform, manifest: Manifest) -> None:
    """A status that says ready is not believed when no controller watches, and waiting says how to start one."""
    platform.apply(manifest())
    report(platform, manifest(), EndpointState.READY, version=1, digest=DIGEST)
    assert platform.status(NAME).healthy
    platform.folder.heartbeat.unlink()
    status = platform.status(NAME)
    assert (status.state, status.healthy, status.version) == (EndpointState.UNKNOWN, False, None)
    with pytest.raises(TransientError, match="`mcml start`"):
        platform.wait_ready(NAME, DIGEST, timeout=0)


def test_a_dead_or_stalled_controller_is_no_witness(platform: LocalEndpointPlatform, manifest: Manifest) -> None:
    """Neither a heartbeat of a process that ended, nor an old one of a process that hangs, makes a status believed."""
    platform.apply(manifest())
    report(platform, manifest(), EndpointState.READY)
    said = platform.folder.heartbeat.read_text()
    year = said.split('"beaten_at": "')[1][:4]
    for wrong in (said.replace('"created": ', '"created": 1'), said.replace(f'"{year}-', '"2001-')):
        assert wrong != said
        platform.folder.heartbeat.write_text(wrong)
        assert platform.status(NAME).state is EndpointState.UNKNOWN


def test_a_status_of_the_former_manifest_is_not_news(platform: LocalEndpointPlatform, manifest: Manifest) -> None:
    """Right after a new manifest the old server's ready does not count for it: the endpoint is pending."""
    report(platform, manifest(), EndpointState.READY, version=1, digest=DIGEST, port=20100)
    platform.apply(manifest(version=2, digest="c" * 64))
    status = platform.status(NAME)
    assert (status.state, status.wanted_version, status.version, status.port) == (EndpointState.PENDING, 2, 1, 20100)


def test_a_cold_standby_that_is_to_run_is_not_yet_as_wanted(platform: LocalEndpointPlatform, tmp_path: Path) -> None:
    """Cold does not count for an endpoint that is to take over now, nor ready for one that is to be cold."""
    workload = shop_workload(tmp_path / "shop")
    manifests = {
        runs: inference_service(
            workload, workload.placed(PRIMARY), package_uri="file:///package", features_uri="file:///features",
            model_version=1, digest=DIGEST, running=runs,
        )
        for runs in (True, False)
    }  # fmt: skip
    for runs, state in ((False, EndpointState.COLD), (True, EndpointState.READY)):
        platform.apply(manifests[runs])
        report(platform, manifests[runs], state)
        assert platform.status(NAME).healthy
        platform.apply(manifests[not runs])
        assert (platform.status(NAME).state, platform.status(NAME).healthy) == (EndpointState.PENDING, False)


def test_what_is_not_wanted_is_stopped(platform: LocalEndpointPlatform, manifest: Manifest) -> None:
    """A deleted endpoint, or one never wanted, is stopped; deleting twice is no error."""
    platform.apply(manifest())
    platform.delete(NAME)
    platform.delete(NAME)
    assert platform.status(NAME).state is EndpointState.STOPPED
    assert platform.former(NAME) is None


@pytest.mark.parametrize(
    ("state", "error", "expected"),
    [
        (EndpointState.FAILED, "ModelRejected", ModelRejected),
        (EndpointState.FAILED, "CorruptSnapshot", CorruptSnapshot),
        (EndpointState.FAILED, "TransientError", TransientError),
        (EndpointState.FAILED, None, LocationUnavailable),
        (EndpointState.STOPPED, None, LocationUnavailable),
        (EndpointState.STARTING, None, TransientError),
    ],
)
def test_waiting_ends_with_an_error_that_says_what_may_help(
    platform: LocalEndpointPlatform, manifest: Manifest, state: EndpointState, error: str | None, expected: type[McmlError]
) -> None:
    """A refused package is final, dying servers allow a failover, slow ones a retry; and the log's end is told."""
    platform.apply(manifest())
    report(platform, manifest(), state, message="as reported", error=error)
    log = platform.folder.endpoint("logs", NAME)
    log.parent.mkdir(parents=True)
    log.write_text("first line\nlast line\n")
    with pytest.raises(expected, match=r"as reported(.|\n)*last line"):
        platform.wait_ready(NAME, DIGEST, timeout=0)


def test_waiting_for_another_package_is_a_mistake(platform: LocalEndpointPlatform, manifest: Manifest) -> None:
    """Waiting for a digest that the manifest does not want would never end, so it fails at once."""
    platform.apply(manifest())
    with pytest.raises(ConfigurationError, match="waiting for package cccccccccccc"):
        platform.wait_ready(NAME, "c" * 64, timeout=60)


def test_a_held_open_log_stays_bounded(tmp_path: Path) -> None:
    """A server's log is cut while the server goes on writing to it, and its last megabyte is kept beside it."""
    path = tmp_path / "server.log"
    with path.open("ab", buffering=0) as writer:
        writer.write(b"x" * (LOG_BYTES + 1))
        bound_log(path)
        writer.write(b"after\n")
    assert path.read_bytes() == b"after\n"
    assert (tmp_path / "server.log.1").stat().st_size == LOG_BYTES + 1


def test_names_and_files_match(platform: LocalEndpointPlatform, manifest: Manifest) -> None:
    """An endpoint is found again by the name that its manifest gave it."""
    platform.apply(manifest())
    assert list(platform.folder.wanted_names()) == [NAME]
    assert platform.folder.endpoint("wanted", NAME) == DataPlaneFolder(platform.folder.path).endpoint("wanted", NAME)
