"""One endpoint's life: what is wanted, which servers it has, and what follows from what they do.

A new version starts beside the old one and takes over when it is ready, or by the steps that its manifest declares, which
are `rollout/`'s; what fails leaves the old one serving; what dies is started again, ever more rarely. The loop over all
endpoints, ports and start slots are `controller.py`'s.
"""

import logging
import time
from collections.abc import Collection, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

import yaml

from mcml_assets.domain.errors import McmlError, ModelRejected
from mcml_assets.domain.flags import FlagName
from mcml_assets.domain.rollout import Phase
from mcml_assets.serving.folder import DataPlaneFolder, write_atomically
from mcml_assets.serving.instance import Instance, start_instance
from mcml_assets.serving.interfaces import EndpointState, EndpointStatus
from mcml_assets.serving.local_platform import read_manifest_file
from mcml_assets.serving.manifest import WantedEndpoint, read_manifest
from mcml_assets.serving.outage import planned_outage
from mcml_assets.serving.package import read_package
from mcml_assets.serving.ports import HOST
from mcml_assets.serving.processes import ask_to_end, is_alive, kill
from mcml_assets.serving.rollout.location import LocationRollout, rollout_of
from mcml_assets.serving.rollout.record import take_order
from mcml_assets.serving.rollout.watch import EdgeCounts
from mcml_assets.serving.trouble import Trouble, clock, last_word
from mcml_assets.serving.watched_server import DrainingServer, WatchedServer

START_SECONDS = 120.0  # two cores that start seven servers
PROBE_EVERY_SECONDS = 2.0
UNANSWERED_FAILED = 2
UNANSWERED_KILLED = 5
UNANSWERED_STALLED = 30
"""The same while no server of this machine answers: about two minutes."""
FORGET_SECONDS = 60.0
OVERLAP_SECONDS = 2.0  # until the edge has seen the new server answer
DRAIN_SECONDS = 3.0
GRACE_SECONDS = 10.0

log = logging.getLogger(__name__)


def is_stalled(unanswered: Collection[int]) -> bool:
    """Whether no server answers its probes, by their counts of unanswered ones: then it is the machine that stands still.

    To kill all of them at once would make an outage of a stall: each takes half a minute to load. One server alone cannot
    be told from its machine, and is taken for hung.
    """
    return len(unanswered) > 1 and all(unanswered)


class Endpoint:
    """The servers of one endpoint and its way to the wanted manifest. Times are monotonic seconds."""

    def __init__(self, name: str, folder: DataPlaneFolder) -> None:
        self.name = name
        self.folder = folder
        self.dark = planned_outage(folder.faults, name.partition("@")[2])
        self.wanted: WantedEndpoint | None = None
        self.answering: WantedEndpoint | None = None
        self.serving: WatchedServer | None = None
        self.candidate: WatchedServer | None = None
        self.rollout: LocationRollout | None = None
        self.flags: Mapping[FlagName, int] = {}
        self.draining: list[DrainingServer] = []
        self.troubles: dict[str, Trouble] = {}
        self._documents: dict[str, dict[str, Any]] = {}
        self._status: EndpointStatus | None = None
        self._verified: str | None = None
        if (document := read_manifest_file(folder, "answering", name)) is not None:
            self.answering = self._read(document)

    def want(self) -> None:
        """Read the wanted manifest again, after its file changed or went; a manifest given anew is tried anew.

        Raises `ConfigurationError` when it cannot be read; then the former one stays.
        """
        document = read_manifest_file(self.folder, "wanted", self.name)
        self.wanted = self._read(document) if document is not None else None
        if self.wanted is not None:
            self.troubles.pop(self.wanted.revision, None)
            self._verified = None
        before = self.rollout
        self.rollout = rollout_of(self.folder, self.wanted, self.answering, before) if self.wanted is not None else None
        if before is not None and before is not self.rollout and (left := before.release()) is not None:
            self._retire(left, time.monotonic(), overlap=0)

    def adopt(self, instances: list[Instance], now: float) -> list[Instance]:
        """Take over servers that run already; the rest, which nobody wants, is returned."""
        left = []
        for instance in instances:
            if self.serving is None and self.answering and instance.revision == self.answering.revision:
                self.serving = WatchedServer(instance, now)
            elif self.candidate is None and self.wanted and instance.revision == self.wanted.revision:
                self.candidate = WatchedServer(instance, now)
            else:
                left.append(instance)
        return left

    def step(self, now: float, pool: Executor, *, stalled: bool = False) -> None:
        """Look at every server once, and act on what is seen; `stalled` says that no server of this machine answers."""
        self._look_at_candidate(now, pool)
        self._look_at_serving(now, pool, UNANSWERED_STALLED if stalled else UNANSWERED_KILLED)
        if self.wanted is None or not self.wanted.runs:
            self._retire_all(now)
            if self.wanted is not None:
                self._verify_cold(self.wanted)
        self._drain(now)

    def due(self, now: float) -> WantedEndpoint | None:
        """The manifest whose server should start now, or None.

        When nothing serves, the version that served last comes first: it is known to work.
        """
        if self.candidate is not None or self.wanted is None or not self.wanted.runs:
            return None
        order = [self.wanted]
        if self.serving is None and self.answering is not None and self.answering.revision != self.wanted.revision:
            order.insert(0, self.answering)
        for candidate in order:
            if candidate.revision in self._running or (candidate is self.wanted and self._held_back):
                continue
            trouble = self.troubles.get(candidate.revision)
            if trouble is None or (not trouble.permanent and now >= trouble.not_before):
                return candidate
        return None

    def start(self, manifest: WantedEndpoint, port: int, now: float) -> None:
        """Start a server for the manifest that `due` named."""
        try:
            self.candidate = WatchedServer(start_instance(manifest, port, self.folder), now)
        except McmlError as error:
            self._note(manifest.revision, EndpointState.FAILED, str(error), now, type(error).__name__)
        else:
            log.info("%s: version %s starts on port %s", self.name, manifest.version, port)

    @property
    def held(self) -> str | None:
        """The flag that keeps the wanted version from taking over, None for none."""
        pinned = self.flags.get(FlagName.MODEL_VERSION)
        if self.wanted is not None and pinned not in (None, self.wanted.version):
            return f"flag model_version keeps it at version {pinned}"
        return "flag read_only: it takes up nothing new" if self.flags.get(FlagName.READ_ONLY) else None

    def roll(self, now: float, waits: str | None, counts: EdgeCounts | None, pool: Executor) -> None:
        """Take the rollout further, if there is one: `waits` is what it has to wait for, `counts` what the edge told now."""
        rollout = self.rollout
        if rollout is None:
            return
        try:
            order = take_order(self.folder, self.name)
        except McmlError as error:
            log.error("%s", error)
            order = None
        left = rollout.obey(order) if order is not None else None
        if left is None and not rollout.record.ended:
            trouble = self.troubles.get(rollout.wanted.revision)
            refused = trouble.message if trouble is not None and trouble.permanent else None
            left = rollout.step(now, self.held or waits, refused, counts, pool)
        if left is not None:
            # The edge stops asking it with this very round.
            self._retire(left, now, overlap=0)
        if rollout.record.phase is Phase.DONE and (server := rollout.release()) is not None:
            # The edge knows the new one well, and asked the former one no more.
            self._promote(server, now, overlap=0)

    @property
    def instances(self) -> list[Instance]:
        """All servers, whatever their state."""
        new = self.rollout.server if self.rollout is not None else None
        servers = [server.instance for server in (self.serving, self.candidate, new) if server is not None]
        return servers + [entry.instance for entry in self.draining]

    @property
    def gone(self) -> bool:
        """Whether nothing is wanted and nothing is left."""
        return self.wanted is None and not self.instances

    def status(self) -> EndpointStatus | None:
        """What is so, and since when; None when nothing is wanted."""
        if self.wanted is None:
            return None
        state, message, error = self._judge(self.wanted)
        serving = self.serving.instance if self.serving is not None else None
        if serving is not None and serving.revision != self.wanted.revision:
            message += f"; version {serving.version} still answers"
        status = EndpointStatus(
            name=self.name,
            state=state,
            since=clock(),
            message=message,
            error=error,
            wanted_version=self.wanted.version,
            wanted_digest=self.wanted.digest,
        )
        if serving is not None:
            status = replace(
                status,
                version=serving.version,
                digest=serving.digest,
                port=serving.port,
                pid=serving.process.pid,
                address=f"http://{HOST}:{serving.port}",
            )
        if self.rollout is not None and not self.rollout.record.ended:
            new = self.rollout.server
            status = replace(
                status,
                rollout=self.rollout.record.sentence(),
                new_address=f"http://{HOST}:{new.instance.port}" if new is not None else None,
            )
        before = self._status
        if before is not None and (before.state, before.wanted_version) == (status.state, status.wanted_version):
            status = replace(status, since=before.since)
        self._status = status
        return status

    @property
    def _running(self) -> set[str]:
        """The revisions that have a server which is ready."""
        new = self.rollout.server if self.rollout is not None else None
        return {server.instance.revision for server in (self.serving, new) if server is not None}

    @property
    def _held_back(self) -> bool:
        """Whether the wanted version may not start: its turn has not come, it was sent back, or a flag says so."""
        another = self.answering is not None and self.wanted is not None and self.answering.digest != self.wanted.digest
        return (self.rollout is not None and self.rollout.holds_back) or (another and self.held is not None)

    def _judge(self, wanted: WantedEndpoint) -> tuple[EndpointState, str, str | None]:
        """State, message and error class of the wanted manifest."""
        trouble = self.troubles.get(wanted.revision)
        if not wanted.runs and trouble is None:
            return EndpointState.COLD, f"version {wanted.version} is held here", None
        if self.serving is not None and self.serving.instance.revision == wanted.revision:
            if self.serving.unanswered >= UNANSWERED_FAILED:
                return EndpointState.FAILED, f"does not answer ({self.serving.unanswered} probes)", "LocationUnavailable"
            return EndpointState.READY, f"version {wanted.version} answers", None
        if trouble is not None and trouble.permanent:
            return trouble.state, trouble.message, trouble.error
        if self.rollout is not None and self.serving is not None:
            record = self.rollout.record
            if record.phase in (Phase.ROLLED_BACK, Phase.ABORTED):
                return EndpointState.FAILED, record.sentence(), ModelRejected.__name__
            if self.serving.unanswered < UNANSWERED_FAILED:
                return EndpointState.ROLLING_OUT, record.sentence(), None
        if self.held is not None and self.serving is not None and self.serving.unanswered < UNANSWERED_FAILED:
            return EndpointState.ROLLING_OUT, self.held, None
        if self.candidate is not None and self.candidate.instance.revision == wanted.revision:
            after = f" after: {trouble.message}" if trouble is not None else ""
            return EndpointState.STARTING, f"version {wanted.version} is loading{after}", None
        if trouble is not None:
            return trouble.state, trouble.message, trouble.error
        return EndpointState.PENDING, "waits for its turn to start", None

    def _look_at_candidate(self, now: float, pool: Executor) -> None:
        server = self.candidate
        if server is None:
            return
        revision = server.instance.revision
        if revision not in {manifest.revision for manifest in (self.wanted, self.answering) if manifest is not None}:
            self.candidate = None
            self._retire(server, now)
        elif not is_alive(server.instance.process):
            self.candidate = None
            error, message = last_word(self.folder, self.name)
            self._note(revision, EndpointState.FAILED, message, now, error)
        elif server.take_answer(now, 0.2, pool):
            self._take_up(server, now)
        elif now - server.began > START_SECONDS and not (server.instance.gateway and server.speaks):
            # A gateway is there in time, and waits for its platform, which may take long to change version.
            kill(server.instance.process)
            self.candidate = None
            self._note(revision, EndpointState.FAILED, f"not ready {START_SECONDS:g} s after its start", now)

    def _look_at_serving(self, now: float, pool: Executor, patience: int) -> None:
        server = self.serving
        if server is None:
            return
        revision = server.instance.revision
        if not is_alive(server.instance.process):
            self.serving = None
            self._note(revision, EndpointState.STOPPED, f"the server (pid {server.instance.process.pid}) died", now)
            return
        server.take_answer(now, PROBE_EVERY_SECONDS, pool)
        if self.dark() or (server.instance.gateway and server.speaks):
            # It refuses because an outage was planned, or its platform does not answer: it is not to be taken for hung.
            server.unanswered = min(server.unanswered, UNANSWERED_FAILED)
        if server.unanswered >= patience:
            kill(server.instance.process)
            self.serving = None
            self._note(revision, EndpointState.STOPPED, "the server hung and was killed", now)
        elif now - server.began > FORGET_SECONDS and not server.unanswered:
            self.troubles.pop(revision, None)

    def _take_up(self, server: WatchedServer, now: float) -> None:
        """The candidate is ready: it serves from now on, or by the steps of its rollout."""
        rollout = self.rollout
        if rollout is not None and not rollout.record.ended and server.instance.revision == rollout.wanted.revision:
            self.candidate, server.began = None, now
            if (left := rollout.release()) is not None:
                # The same package by another manifest: its former server was watched until now.
                self._retire(left, now, overlap=0)
            rollout.take_up(server)
        else:
            self._promote(server, now)

    def _promote(self, server: WatchedServer, now: float, overlap: float = OVERLAP_SECONDS) -> None:
        """The candidate is ready: it serves from now on, and who served before drains."""
        former, self.serving, self.candidate = self.serving, server, None
        server.began = now
        revision = server.instance.revision
        log.info("%s: version %s answers on port %s", self.name, server.instance.version, server.instance.port)
        if former is not None:
            self._retire(former, now, overlap)
        if self.answering is None or self.answering.revision != revision:
            if self.answering is not None:
                self._store("former", self.answering.revision)
            self._store("answering", revision)
            self.answering = self._read(self._documents[revision])

    def _retire(self, server: WatchedServer, now: float, overlap: float = OVERLAP_SECONDS) -> None:
        """The server ends once it has answered what it was asked; for `overlap` seconds the edge asks it still."""
        ask_at = now + overlap + DRAIN_SECONDS
        self.draining.append(DrainingServer(server.instance, now + overlap, ask_at, ask_at + GRACE_SECONDS))

    def _retire_all(self, now: float) -> None:
        new = self.rollout.release() if self.rollout is not None else None
        for server in (self.serving, self.candidate, new):
            if server is not None:
                # Nobody takes over: the edge must stop sending at once.
                self.draining.append(DrainingServer(server.instance, now, now + DRAIN_SECONDS, now + GRACE_SECONDS))
        self.serving = self.candidate = None
        if self.answering is not None:
            self.answering = None
            self.folder.endpoint("answering", self.name).unlink(missing_ok=True)

    def _drain(self, now: float) -> None:
        for entry in list(self.draining):
            if not is_alive(entry.instance.process):
                self.draining.remove(entry)
            elif now >= entry.kill_at:
                kill(entry.instance.process)
            elif now >= entry.ask_at:
                ask_to_end(entry.instance.process)

    def _note(self, revision: str, state: EndpointState, message: str, now: float, error: str | None = None) -> None:
        """Remember a failure."""
        trouble = self.troubles[revision] = Trouble.after(self.troubles.get(revision), state, message, now, error)
        log.warning("%s: %s", self.name, trouble.message)

    def _verify_cold(self, wanted: WantedEndpoint) -> None:
        """A cold endpoint holds its package: say so only of the very package, checked once per manifest."""
        if self._verified == wanted.revision:
            return
        self._verified = wanted.revision
        try:
            read_package(wanted.package_folder(), digest=wanted.digest)
        except McmlError as error:
            self.troubles[wanted.revision] = Trouble(
                EndpointState.FAILED, f"{type(error).__name__}: {error}", 1, 0.0, type(error).__name__
            )

    def _read(self, document: dict[str, Any]) -> WantedEndpoint:
        manifest = read_manifest(document)
        self._documents[manifest.revision] = document
        return manifest

    def _store(self, kind: str, revision: str) -> None:
        path = self.folder.endpoint("former" if kind == "former" else "answering", self.name)
        write_atomically(path, yaml.safe_dump(self._documents[revision], sort_keys=False))
