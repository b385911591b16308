"""The data plane's folder: which file holds what, and how a file is replaced.

Everything the data plane knows is in these files, so that its processes and the control plane can come and go. What
the files say belongs to their readers and writers.

    lock                                        held by the one data plane of this folder
    heartbeat.json                              who watches, and when it last did
    refused.json                                why a data plane could not start
    wanted/<workload>/<cloud>__<region>.yaml    the manifest that should run
    answering/…yaml                             the manifest whose server answers now
    former/…yaml                                the one that answered before, for rollback
    status/…json                                what is so
    ended/…json                                 why the last server ended itself (a container's termination message)
    synthetic/…json                             how synthetic transactions with the endpoint went
    synthetic/<workload>.<jurisdiction>.json    the same through the edge
    lag/…json                                   how far the endpoint's location was behind the acting one
    rollout/…json                               how a new version takes over, or did last
    order/…json                                 what somebody wants of that rollout
    shipped/…json                               how far the endpoint's prediction log is in its bucket
    predictions/<workload>/<cloud>__<region>/   the spool: predictions on their way there
    logs/…log                                   the servers' output; also logs/{data_plane,envoy,shipper}.log
    routes/<workload>.<jurisdiction>.json       what the edge should do
    edge/                                       what Envoy was told
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Literal

from mcml_assets.clouds.fault_plan import faults_allowed
from mcml_assets.configuration.settings import Settings

EndpointFile = Literal[
    "wanted", "answering", "former", "status", "ended", "shipped", "synthetic", "lag", "rollout", "order", "logs"
]
SUFFIXES: dict[EndpointFile, str] = {
    "wanted": "yaml",
    "answering": "yaml",
    "former": "yaml",
    "status": "json",
    "ended": "json",
    "shipped": "json",
    "synthetic": "json",
    "lag": "json",
    "rollout": "json",
    "order": "json",
    "logs": "log",
}
LOG_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class DataPlaneFolder:
    """Paths under `<home>/data_plane`; an endpoint's name is `workload@cloud/region`.

    `faults` is the platform's fault plan, beside the folder; None where no faults may be set.
    """

    path: Path
    faults: Path | None = None

    @classmethod
    def of(cls, settings: Settings) -> "DataPlaneFolder":
        """The folder of these settings, absolute, since processes are recognised by it."""
        faults = settings.faults_file.resolve() if faults_allowed(settings) else None
        return cls(settings.data_plane_folder.resolve(), faults)

    def endpoint(self, kind: EndpointFile, name: str) -> Path:
        """The file of one kind for one endpoint."""
        workload, _, location = name.partition("@")
        cloud, _, region = location.partition("/")
        return self.path / kind / workload / f"{cloud}__{region}.{SUFFIXES[kind]}"

    def wanted_names(self) -> Iterator[str]:
        """The names of all endpoints that have a wanted manifest, sorted."""
        for file in sorted((self.path / "wanted").glob("*/*__*.yaml")):
            cloud, _, region = file.stem.partition("__")
            yield f"{file.parent.name}@{cloud}/{region}"

    @property
    def lock(self) -> Path:
        """Held by the one data plane of this folder."""
        return self.path / "lock"

    @property
    def heartbeat(self) -> Path:
        """Who watches the folder, and when it last did."""
        return self.path / "heartbeat.json"

    @property
    def refused(self) -> Path:
        """Why a data plane could not start."""
        return self.path / "refused.json"

    @property
    def routes(self) -> Path:
        """The folder of published routes."""
        return self.path / "routes"

    @property
    def predictions(self) -> Path:
        """The spool of predictions."""
        return self.path / "predictions"

    @property
    def edge(self) -> Path:
        """The folder that Envoy watches."""
        return self.path / "edge"

    def own_log(self, name: str) -> Path:
        """The log of the data plane itself, or of Envoy."""
        return self.path / "logs" / f"{name}.log"


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace a file so that a reader sees the old or the new content and never a part; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.replace(file.name, path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def bound_log(path: Path) -> None:
    """Move a log that has grown past `LOG_BYTES` to `<name>.1` while its writer goes on.

    Writers open logs for appending, so after the copy the file is emptied in place; a line written between the two is
    lost, which a log can bear and a held-open file cannot.
    """
    try:
        if path.stat().st_size <= LOG_BYTES:
            return
        shutil.copyfile(path, path.with_name(f"{path.name}.1"))
        os.truncate(path, 0)
    except FileNotFoundError:
        return


def log_tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log for an error message, or a word that there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 8192))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return "(no log yet)"
    return "\n".join(text.splitlines()[-lines:]) or "(the log is empty)"
