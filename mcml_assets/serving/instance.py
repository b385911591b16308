"""One running model server on this machine: started from a manifest, recognised by its command line, and probed.

Which servers should run is `endpoint.py`'s business.
"""

import http.client
import os
import sys
from dataclasses import dataclass
from itertools import pairwise

import psutil

from mcml_assets.serving.folder import DataPlaneFolder
from mcml_assets.serving.manifest import ELSEWHERE, SERVER_MODULE, WantedEndpoint, endpoint_name
from mcml_assets.serving.ports import HOST
from mcml_assets.serving.processes import find, spawn

PROBE_SECONDS = 2.0
TRACE_SETTINGS = ("MCML_OTLP_ENDPOINT", "MCML_TRACE_SHARE")
# A server gets what a program needs to run, and no credential that its starter may have.
PASSED_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", *TRACE_SETTINGS)


@dataclass(frozen=True, slots=True)
class Instance:
    """A server's process and what it was told to be."""

    process: psutil.Process
    name: str
    port: int
    version: int
    digest: str
    revision: str
    gateway: bool = False

    @property
    def workload(self) -> str:
        """The model's name in the protocol."""
        return self.name.partition("@")[0]

    @property
    def location(self) -> str:
        """The key of the location it answers for."""
        return self.name.partition("@")[2]


def start_instance(wanted: WantedEndpoint, port: int, folder: DataPlaneFolder) -> Instance:
    """Start a server for this manifest; it is not ready yet. Raises `ConfigurationError` as `local_arguments` does."""
    ended = folder.endpoint("ended", wanted.name)
    ended.unlink(missing_ok=True)
    command = [sys.executable, "-m", SERVER_MODULE, *wanted.local_arguments()]
    # Given again, an argument replaces the manifest's, which is for a container.
    command += ["--host", HOST, "--port", str(port), "--termination-log", str(ended)]
    command += ["--data-plane", str(folder.path), "--revision", wanted.revision]
    command += ["--predictions", str(folder.predictions)]
    if folder.faults is not None:
        command += ["--fault-plan", str(folder.faults)]
    # A gateway enters another platform: it needs what the topology names for that.
    passed = os.environ.keys() if wanted.elsewhere else PASSED_ENVIRONMENT
    environment = {name: os.environ[name] for name in passed if name in os.environ}
    process = spawn(command, environment | dict(wanted.environment), folder.endpoint("logs", wanted.name))
    return Instance(process, wanted.name, port, wanted.version, wanted.digest, wanted.revision, wanted.elsewhere)


def find_instances(folder: DataPlaneFolder) -> list[Instance]:
    """All servers of this data plane, whoever started them, oldest first."""
    found = []
    for process, command in find(lambda line: SERVER_MODULE in line and str(folder.path) in line):
        said = _said(command)
        if said.get("--data-plane") != str(folder.path):
            continue
        name = endpoint_name(said["--workload"], said["--location"])
        version, port = int(said["--model-version"]), int(said["--port"])
        found.append(Instance(process, name, port, version, said["--digest"], said["--revision"], ELSEWHERE in said))
    return found


def answers(instance: Instance) -> bool:
    """Whether this very server says it is ready, within `PROBE_SECONDS`."""
    return readiness(instance) == http.HTTPStatus.OK


def readiness(instance: Instance) -> int | None:
    """The status with which this very server says whether it is ready; None for no answer in time, or another server's."""
    connection = http.client.HTTPConnection(HOST, instance.port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", f"/v2/models/{instance.workload}/ready")
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    said = (response.getheader("x-mcml-location"), response.getheader("x-mcml-digest"))
    return response.status if said == (instance.location, instance.digest) else None


def _said(command: list[str]) -> dict[str, str]:
    """Every option of a command line with its last value."""
    return {flag: value for flag, value in pairwise(command) if flag.startswith("--")}
