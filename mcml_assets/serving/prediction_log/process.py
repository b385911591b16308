"""The shipper's process: started, adopted, and restarted when it dies. What it does is `shipper.py`'s."""

import logging
import os
import sys
import time

import psutil

from mcml_assets.serving.folder import DataPlaneFolder, bound_log
from mcml_assets.serving.processes import end, find, is_alive, spawn

MODULE = "mcml_assets.serving.prediction_log.shipper"
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0

log = logging.getLogger(__name__)


class ShipperProcess:
    """The one shipper of a data plane's folder; every method may be called again and again."""

    def __init__(self, folder: DataPlaneFolder) -> None:
        self.folder = folder
        self.log_file = folder.own_log("shipper")
        self.process: psutil.Process | None = None
        self._failures = 0
        self._not_before = 0.0

    def adopt(self) -> None:
        """Take over the shipper of a former controller, and end any other."""
        for process, _ in find(lambda line: is_shipper(line, self.folder)):
            if self.process is None:
                self.process = process
                log.info("adopted the shipper, pid %s", process.pid)
            else:
                end([process], grace_seconds=5)

    def keep_running(self) -> None:
        """Start it when it does not run, ever more rarely while it keeps dying."""
        if self.process is not None and is_alive(self.process):
            return
        now = time.monotonic()
        if self.process is not None:
            log.error("the shipper, pid %s, died; predictions wait in the spool", self.process.pid)
            self.process = None
        if now < self._not_before:
            return
        self._not_before = now + min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**self._failures)
        self._failures += 1
        # Its environment is ours: the settings, and the credentials of the buckets.
        command = [sys.executable, "-m", MODULE, "--data-plane", str(self.folder.path)]
        self.process = spawn(command, os.environ, self.log_file)
        log.info("the shipper of predictions runs, pid %s", self.process.pid)

    def bound_log(self) -> None:
        """Keep the log small, and forget failures of long ago."""
        bound_log(self.log_file)
        if time.monotonic() > self._not_before + LONGEST_PAUSE_SECONDS:
            self._failures = 0


def is_shipper(command: list[str], folder: DataPlaneFolder) -> bool:
    """Whether this is the command line of the shipper of this folder."""
    return MODULE in command and command[-1] == str(folder.path)
