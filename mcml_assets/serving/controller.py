"""The controller: a loop that brings every endpoint of this machine, and the edge, to what their files want.

It holds nothing that the next controller could not find again: servers and Envoy outlive it, and are adopted by their
command lines. What one endpoint does is `endpoint.py`'s, how the process is started and stopped `data_plane.py`'s.
"""

import logging
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError, TransientError
from mcml_assets.domain.flags import FlagName
from mcml_assets.domain.route import Route
from mcml_assets.domain.workload import Role
from mcml_assets.serving.data_plane_metrics import serve_metrics
from mcml_assets.serving.edge.envoy import Edge, forget_edge, is_edge
from mcml_assets.serving.edge.render import EndpointAddress
from mcml_assets.serving.endpoint import Endpoint, is_stalled
from mcml_assets.serving.folder import DataPlaneFolder, bound_log
from mcml_assets.serving.heartbeat import BEAT_SECONDS, beat
from mcml_assets.serving.instance import find_instances
from mcml_assets.serving.interfaces import EndpointStatus
from mcml_assets.serving.local_platform import write_status
from mcml_assets.serving.manifest import endpoint_name
from mcml_assets.serving.ports import check_free, endpoint_port
from mcml_assets.serving.prediction_log.process import ShipperProcess, is_shipper
from mcml_assets.serving.processes import end, find
from mcml_assets.serving.rollout.turns import turn
from mcml_assets.serving.rollout.watch import EdgeCounts
from mcml_assets.serving.routes import read_routes
from mcml_assets.serving.told_edge import endpoint_address

TICK_SECONDS = 0.2
LOG_EVERY_SECONDS = 15.0
COUNT_EVERY_SECONDS = 0.5
GRACE_SECONDS = 10.0
START_ORDER = {Role.PRIMARY: 0, Role.WARM: 1, Role.COLD: 2}

log = logging.getLogger(__name__)


class Controller:
    """All endpoints and the edge of one data plane. One per folder: the caller holds its lock."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = DataPlaneFolder.of(settings)
        self.edge = Edge(settings)
        self.shipper = ShipperProcess(self.folder)
        self.endpoints: dict[str, Endpoint] = {}
        self._manifest_times: dict[str, int] = {}
        self._written: dict[str, tuple[str, EndpointStatus]] = {}
        self._last_ports: dict[str, int] = {}
        self._beat_at = self._logs_at = self._counted_at = 0.0
        self._counting: Future[EdgeCounts] | None = None
        self._probes = ThreadPoolExecutor(max_workers=8, thread_name_prefix="probe")

    def adopt(self) -> None:
        """Take over what a former controller left running, and end what nobody wants any more.

        Raises `ConfigurationError` when a port of the edge, or that of the metrics, is taken by something else.
        """
        self.edge.adopt()
        check_free(self.settings.metrics_port, "MCML_METRICS_PORT", "the metrics of the data plane")
        self.shipper.adopt()
        self._read_manifests()
        now = time.monotonic()
        running = find_instances(self.folder)
        for name in {instance.name for instance in running} - self.endpoints.keys():
            self.endpoints[name] = Endpoint(name, self.folder)
        unwanted = []
        for name, endpoint in self.endpoints.items():
            own = [instance for instance in running if instance.name == name]
            left = endpoint.adopt(own, now)
            unwanted += left
            for instance in (instance for instance in own if instance not in left):
                log.info("%s: adopted the server of version %s, pid %s", name, instance.version, instance.process.pid)
        end([instance.process for instance in unwanted], GRACE_SECONDS)

    def run(self, stop: Event) -> None:
        """Converge until `stop` is set, then end every server and the edge."""
        metrics = serve_metrics(self.settings)
        try:
            while not stop.is_set():
                try:
                    self.tick()
                except Exception:
                    # A full disk or a damaged file must not end what keeps everything else alive; without a beat
                    # the statuses soon count as unknown.
                    log.exception("a round failed; the next one follows")
                stop.wait(TICK_SECONDS)
        finally:
            metrics.shutdown()
            self.end_all()

    def tick(self) -> None:
        """One round over manifests, servers, statuses and routes."""
        now = time.monotonic()
        self._read_manifests()
        routes = read_routes(self.folder)
        self._read_flags(routes)
        stalled = is_stalled([endpoint.serving.unanswered for endpoint in self.endpoints.values() if endpoint.serving])
        for endpoint in self.endpoints.values():
            endpoint.step(now, self._probes, stalled=stalled)
        self._roll(now)
        self._start_due(now)
        self._forget_gone()
        self._write_statuses(self.endpoints.values())
        self.edge.tell(routes, self._addresses(now))
        self.edge.keep_running()
        self.shipper.keep_running()
        if now - self._beat_at >= BEAT_SECONDS:
            beat(self.folder)
            self._beat_at = now
        if now - self._logs_at >= LOG_EVERY_SECONDS:
            self._bound_logs()
            self._logs_at = now

    def end_all(self) -> None:
        """End every server and the edge, and say that nobody watches any more."""
        self.folder.heartbeat.unlink(missing_ok=True)
        self._probes.shutdown(wait=False, cancel_futures=True)
        log.info("ended %s processes", end_processes(self.folder))

    def _read_manifests(self) -> None:
        """Hand every new, changed or removed manifest to its endpoint."""
        times = {name: self.folder.endpoint("wanted", name).stat().st_mtime_ns for name in self.folder.wanted_names()}
        for name in sorted(times.keys() | self.endpoints.keys()):
            if times.get(name) == self._manifest_times.get(name) and name in self.endpoints:
                continue
            try:
                endpoint = self.endpoints.setdefault(name, Endpoint(name, self.folder))
                endpoint.want()
            except ConfigurationError as error:
                log.error("%s: %s", name, error)
        self._manifest_times = times

    def _read_flags(self, routes: Sequence[Route]) -> None:
        """Hand every endpoint the flags that its route has for it."""
        found: dict[str, dict[FlagName, int]] = {}
        for route in routes:
            for flag in route.flags:
                found.setdefault(endpoint_name(route.workload, flag.location), {})[FlagName(flag.name)] = flag.value
        for name, endpoint in self.endpoints.items():
            endpoint.flags = found.get(name, {})

    def _start_due(self, now: float) -> None:
        """Start servers while there are slots: first where nothing serves, primaries before standbys."""
        slots = self.settings.concurrent_starts - sum(entry.candidate is not None for entry in self.endpoints.values())
        due = [(endpoint, manifest) for endpoint in self.endpoints.values() if (manifest := endpoint.due(now))]
        due.sort(key=lambda pair: (pair[0].serving is not None, START_ORDER[pair[1].role], pair[0].name))
        for endpoint, manifest in due[: max(0, slots)]:
            taken = {instance.port for other in self.endpoints.values() for instance in other.instances}
            try:
                port = endpoint_port(self.settings, taken, self._last_ports.get(endpoint.name))
            except TransientError as error:
                log.error("%s", error)
                return
            self._last_ports[endpoint.name] = port
            endpoint.start(manifest, port, now)

    def _roll(self, now: float) -> None:
        """Take every rollout further. That is done here and by no run: it goes on, and back, when Dagster is gone."""
        rolling = [endpoint for endpoint in self.endpoints.values() if endpoint.rollout is not None]
        watched = any(endpoint.rollout is not None and endpoint.rollout.server is not None for endpoint in rolling)
        counts = self._counts(now) if watched else None
        for endpoint in rolling:
            if endpoint.rollout is not None:
                endpoint.roll(now, turn(endpoint.rollout.record, self.endpoints), counts, self._probes)

    def _counts(self, now: float) -> EdgeCounts | None:
        """What the edge counted, when it has just told; asked beside the rounds, which wait for nobody."""
        told, counting = None, self._counting
        if counting is not None and counting.done():
            self._counting = None
            try:
                told = counting.result()
            except TransientError as error:
                log.warning("%s", error)
        if self._counting is None and now - self._counted_at >= COUNT_EVERY_SECONDS:
            self._counted_at = now
            self._counting = self._probes.submit(EdgeCounts.read, self.settings)
        return told

    def _forget_gone(self) -> None:
        for name in [name for name, endpoint in self.endpoints.items() if endpoint.gone]:
            del self.endpoints[name]
            self._written.pop(name, None)
            for kind in ("status", "answering", "former", "ended", "lag", "synthetic", "rollout", "order"):
                self.folder.endpoint(kind, name).unlink(missing_ok=True)
            log.info("%s: nothing is wanted and nothing runs", name)

    def _write_statuses(self, endpoints: Iterable[Endpoint]) -> None:
        for endpoint in endpoints:
            status = endpoint.status()
            if status is None or endpoint.wanted is None:
                continue
            entry = (endpoint.wanted.revision, status)
            if self._written.get(endpoint.name) != entry:
                write_status(self.folder, *entry)
                self._written[endpoint.name] = entry

    def _addresses(self, now: float) -> dict[tuple[str, str], EndpointAddress]:
        addresses: dict[tuple[str, str], EndpointAddress] = {}
        for endpoint in self.endpoints.values():
            manifest, address = endpoint.wanted or endpoint.answering, endpoint_address(endpoint, now)
            if manifest is not None and address is not None:
                addresses[manifest.workload, manifest.location] = address
        return addresses

    def _bound_logs(self) -> None:
        self.edge.bound_log()
        self.shipper.bound_log()
        bound_log(self.folder.own_log("data_plane"))
        for name in self.endpoints:
            bound_log(self.folder.endpoint("logs", name))


def end_processes(folder: DataPlaneFolder) -> int:
    """End every server, Envoy and the shipper of a folder, whoever started them, and say how many there were."""
    processes = [instance.process for instance in find_instances(folder)]
    processes += [process for process, _ in find(lambda line: is_edge(line, folder))]
    end(processes, GRACE_SECONDS)
    forget_edge(folder)
    # Last: it takes what the servers answered until now into the buckets.
    shippers = [process for process, _ in find(lambda line: is_shipper(line, folder))]
    end(shippers, GRACE_SECONDS)
    return len(processes) + len(shippers)
