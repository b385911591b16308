"""The heartbeat: proof that a data plane watches its folder, so that old status files are never taken for news."""

import json
import os
import socket
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

import psutil

from mcml_assets.serving.folder import DataPlaneFolder, write_atomically
from mcml_assets.serving.processes import is_alive

BEAT_SECONDS = 1.0
STALE_SECONDS = 15.0  # a busy machine may stall the controller for some seconds


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Who watches: its process (pid and time of creation as psutil gives it), when it last beat (ISO 8601, UTC), and on
    which machine; in a cluster the folder is shared, and the pid is another pod's.
    """

    pid: int
    created: float
    beaten_at: str
    host: str = field(default_factory=socket.gethostname)

    @property
    def is_elsewhere(self) -> bool:
        """Whether it beat on another machine, whose processes cannot be seen from here."""
        return self.host != socket.gethostname()

    @property
    def process(self) -> psutil.Process | None:
        """The watching process, or None when it has ended, even if another has its pid now; None for another machine's."""
        if self.is_elsewhere:
            return None
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < 0.01
        except psutil.NoSuchProcess:
            return None
        return process if same and is_alive(process) else None

    @property
    def age_seconds(self) -> float:
        """Seconds since it last beat."""
        return (datetime.now(UTC) - datetime.fromisoformat(self.beaten_at)).total_seconds()


def beat(folder: DataPlaneFolder) -> None:
    """Say that this process watches the folder now."""
    own = psutil.Process(os.getpid())
    pulse = Heartbeat(own.pid, own.create_time(), datetime.now(UTC).isoformat())
    write_atomically(folder.heartbeat, json.dumps(asdict(pulse)))


def read_heartbeat(folder: DataPlaneFolder) -> Heartbeat | None:
    """The last beat, or None when there was none."""
    try:
        return Heartbeat(**json.loads(folder.heartbeat.read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def is_watched(folder: DataPlaneFolder) -> bool:
    """Whether a data plane runs for this folder and has looked at it lately."""
    pulse = read_heartbeat(folder)
    return pulse is not None and pulse.age_seconds < STALE_SECONDS and (pulse.is_elsewhere or pulse.process is not None)
