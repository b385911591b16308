"""`python -m mcml_assets.serving.prediction_log.shipper`: takes predictions from the spool into each location's bucket.

One process per machine, kept alive by the controller, with the buckets' credentials that no model server has; so it is
also from here that `lag_watch.py` looks into the buckets. A bucket that does not answer keeps only its own predictions
waiting. It never stands between a caller and an answer.
"""

import argparse
import json
import logging
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from threading import Event

from mcml_assets.clouds.registry import open_store
from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.domain.errors import CorruptSnapshot, McmlError
from mcml_assets.domain.prediction import PredictionRow
from mcml_assets.domain.topology import Topology
from mcml_assets.serving.folder import DataPlaneFolder, write_atomically
from mcml_assets.serving.json_log import log_json_lines
from mcml_assets.serving.lag_watch import LagWatch
from mcml_assets.serving.prediction_log.log import Head, PredictionLog
from mcml_assets.serving.prediction_log.process import MODULE
from mcml_assets.serving.prediction_log.spool import SpoolFile, spool_files

ROUND_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
SEGMENT_ROWS = 50_000

log = logging.getLogger(MODULE)


@dataclass(slots=True)
class EndpointSpool:
    """What waits of one endpoint, and how its last shipping went. Times are monotonic seconds."""

    workload: str
    location: str
    keys_put: set[str] = field(default_factory=set[str])
    failures: int = 0
    not_before: float = 0.0
    under_way: Future[None] | None = None


@dataclass(frozen=True, slots=True)
class Shipped:
    """What is known of one endpoint's log after a shipping: `problem` says why the last one did not succeed."""

    workload: str
    location: str
    rows: int
    lost: int
    problem: str | None
    at: str


class Shipper:
    """Ships every endpoint's spool, each in its own turn."""

    def __init__(self, settings: Settings, topology: Topology) -> None:
        self.settings, self.topology = settings, topology
        self.folder = DataPlaneFolder.of(settings)
        self.spools: dict[tuple[str, str], EndpointSpool] = {}
        self._pool = ThreadPoolExecutor(max_workers=16, thread_name_prefix="ship")

    def round(self) -> None:
        """Start what is due; a shipping that is still under way keeps only its own endpoint waiting."""
        waiting = defaultdict[tuple[str, str], list[SpoolFile]](list)
        for file in spool_files(self.folder.predictions):
            waiting[file.workload, file.location].append(file)
        now = time.monotonic()
        for key, files in waiting.items():
            spool = self.spools.setdefault(key, EndpointSpool(*key))
            if (spool.under_way is None or spool.under_way.done()) and now >= spool.not_before:
                spool.not_before = now + self.settings.prediction_log_seconds
                spool.under_way = self._pool.submit(self._ship, spool, files)

    def finish(self) -> None:
        """One last shipping of all that waits, as far as the buckets answer."""
        for spool in self.spools.values():
            spool.not_before = 0.0
        self.round()
        self._pool.shutdown(wait=True)

    def _ship(self, spool: EndpointSpool, files: Sequence[SpoolFile]) -> None:
        try:
            head = self._append(spool, files)
        except Exception as error:  # noqa: BLE001 - whatever it is: the rows stay in the spool, and the next try follows
            spool.failures += 1
            pause = min(LONGEST_PAUSE_SECONDS, 2.0**spool.failures)
            spool.not_before = time.monotonic() + pause
            if spool.failures == 1:
                log.warning("%s@%s: predictions wait: %s", spool.workload, spool.location, error)
            self._tell(spool, None, f"{type(error).__name__}: {error}")
            return
        if spool.failures:
            log.info("%s@%s: predictions are shipped again", spool.workload, spool.location)
        spool.failures = 0
        self._tell(spool, head)

    def _append(self, spool: EndpointSpool, files: Sequence[SpoolFile]) -> Head:
        prediction_log = PredictionLog(open_store(self.topology.location(spool.location), self.settings), spool.workload)
        writers = frozenset(file.writer for file in files)
        head = prediction_log.head()
        for file in files:
            # Asked first: what is complete now is read whole below.
            complete = file.is_complete()
            rows = read_spool_file(file, after=head.shipped.get(file.writer, 0))
            if rows:
                self._put_key(spool, prediction_log, file)
            for start in range(0, len(rows), SEGMENT_ROWS):
                head = prediction_log.append(rows[start : start + SEGMENT_ROWS], live_writers=writers)
            if complete:
                file.path.unlink(missing_ok=True)
        left = {file.writer for file in files if file.path.exists()}
        for file in {file.writer: file for file in files if file.writer not in left}.values():
            if last_lost := file.last_lost():
                head = prediction_log.note_lost(file.writer, last_lost)
            file.losses_file.unlink(missing_ok=True)
            file.key_file.unlink(missing_ok=True)
        return head

    def _put_key(self, spool: EndpointSpool, prediction_log: PredictionLog, file: SpoolFile) -> None:
        if file.writer in spool.keys_put or not file.key_file.exists():
            return
        prediction_log.put_key(file.writer, file.key_file.read_bytes())
        spool.keys_put.add(file.writer)

    def _tell(self, spool: EndpointSpool, head: Head | None, problem: str | None = None) -> None:
        """Leave word for the metrics, which ask no bucket; what was known before a failure stays."""
        name = f"{spool.workload}@{spool.location}"
        before = read_shipped(self.folder, name)
        known = (head.rows, head.lost) if head is not None else (before.rows, before.lost) if before is not None else (0, 0)
        said = Shipped(spool.workload, spool.location, *known, problem, datetime.now(UTC).isoformat(timespec="seconds"))
        write_atomically(self.folder.endpoint("shipped", name), json.dumps(asdict(said)))


def read_shipped(folder: DataPlaneFolder, name: str) -> Shipped | None:
    """What the shipper last said about an endpoint's log, however long ago; None before the first time."""
    try:
        return Shipped(**json.loads(folder.endpoint("shipped", name).read_bytes()))
    except FileNotFoundError:
        return None


def read_spool_file(file: SpoolFile, *, after: int = 0) -> list[PredictionRow]:
    """The whole rows of a spool file with a sequence above `after`.

    A part of a line is what a full disk or a power cut left: its number is missing in the log, as a loss must be.
    """
    with file.path.open("rb") as opened:
        # Somebody may append now: what has no line end yet is read in the next round.
        lines = opened.read().split(b"\n")[:-1]
        os.fdatasync(opened.fileno())
    rows = []
    for line in lines:
        try:
            row = PredictionRow.from_json(line)
        except CorruptSnapshot:
            continue
        if row.sequence > after:
            rows.append(row)
    return rows


def waiting_rows(folder: DataPlaneFolder, shipped: Mapping[tuple[str, str], Mapping[str, int]]) -> list[PredictionRow]:
    """Every row that waits in the spool; `shipped` is how far each writer is in the log of its workload and location."""
    rows = []
    for file in spool_files(folder.predictions):
        known = shipped.get((file.workload, file.location), {})
        try:
            rows += read_spool_file(file, after=known.get(file.writer, 0))
        except FileNotFoundError:
            continue  # shipped meanwhile
    return rows


def main() -> int:
    """Run until SIGTERM or SIGINT; the exit status is 1 when the topology cannot be read."""
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=__doc__)
    # By it a controller recognises the shipper of its folder; everything else is in the settings.
    parser.add_argument("--data-plane", help="folder of the data plane that the shipper belongs to")
    parser.parse_args()
    log_json_lines(logging.INFO)
    settings = Settings()
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        topology = load_topology(settings.topology_file)
        shipper, lag_watch = Shipper(settings, topology), LagWatch(settings, topology)
    except McmlError as error:
        log.error("%s", error)
        return 1
    while not stop.wait(ROUND_SECONDS):
        try:
            shipper.round()
            lag_watch.round()
        except OSError:
            log.exception("a round failed; the next one follows")
    lag_watch.end()
    shipper.finish()
    return 0


if __name__ == "__main__":
    sys.exit(main())
