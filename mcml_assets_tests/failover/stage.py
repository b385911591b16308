"""A platform as it stands when all is well, on local clouds with a few bytes of data: for tests that take parts of it away.

Buckets, endpoints' files, routes and faults are the real ones; nobody runs servers or computes anything.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

from mcml_assets.clouds.fault_plan import clear_all_faults, set_fault
from mcml_assets.configuration.settings import DEFS, Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.configuration.workload import load_workload
from mcml_assets.domain.acting import Acting, initial_acting
from mcml_assets.domain.faults import Fault, FaultKind
from mcml_assets.domain.route import plan_route
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.domain.workload import PlacedLocation, Placement, Role, Workload
from mcml_assets.resources.stores import CloudStores
from mcml_assets.serving.heartbeat import BEAT_SECONDS, beat
from mcml_assets.serving.interfaces import EndpointState, EndpointStatus
from mcml_assets.serving.local_platform import LocalEndpointPlatform, write_status
from mcml_assets.serving.manifest import endpoint_name, inference_service, read_manifest
from mcml_assets.serving.routes import publish_route
from mcml_assets.snapshots.replication import replicate
from mcml_assets.snapshots.store import SnapshotStore
from mcml_assets_tests.snapshots.committing import commit


def example_workloads(names: Sequence[str] = ("online_retail", "credit_scoring"), copies: int = 1) -> list[Workload]:
    """The example workloads; with `copies`, so many of each under names of their own."""
    topology = load_topology(Settings().topology_file)
    loaded = [load_workload(DEFS / name / "defs.yaml", topology) for name in names]
    if copies == 1:
        return loaded
    return [replace(workload, name=f"{workload.name}_{number:02d}") for workload in loaded for number in range(copies)]


class Stage:
    """Workloads that landed, were copied, trained and are served everywhere they are placed."""

    def __init__(self, home: Path, workloads: Sequence[Workload], topology: Path | None = None) -> None:
        self.settings = Settings(home=home, topology=topology)
        self.stores = CloudStores.from_settings(self.settings)
        self.platform = LocalEndpointPlatform(self.settings)
        self.workloads = {workload.name: workload for workload in workloads}
        self.scratch = home / "scratch"
        self.scratch.mkdir(parents=True)

    @property
    def jurisdictions(self) -> Iterator[tuple[Workload, Placement]]:
        for workload in self.workloads.values():
            for placement in workload.placements:
                yield workload, placement

    def snapshots(self, workload: Workload, location: str, noun: str) -> SnapshotStore:
        return self.stores.snapshots(workload, location, noun)

    def fill(self) -> None:
        """Bring every workload to where all is well."""
        for workload, placement in self.jurisdictions:
            acting = initial_acting(placement)
            self.land(workload, acting, b"batch 0")
            self.copy(workload, acting, "landing", "raw_data", [placed.key for placed in placement.locations])
            for placed in placement.locations:
                self.compute(workload, placed.key, acting.epoch)
            self.train(workload, acting)
            self.copy(workload, acting, "training_run", "model", [placed.key for placed in placement.locations])
            for placed in placement.locations:
                self.serve(workload, placed)
            self.route(workload, placement, acting)
        self.beat()

    def land(self, workload: Workload, acting: Acting, *batches: bytes) -> Manifest:
        """Commit a landing of these batches at the acting location."""
        files = {f"batch/{number:05d}": batch for number, batch in enumerate(batches)}
        landing = self.snapshots(workload, acting.location, "landing")
        return commit(landing, files, self.scratch, epoch=acting.epoch).manifest

    def copy(self, workload: Workload, acting: Acting, noun: str, copied: str, locations: Sequence[str]) -> None:
        """Bring the acting location's current snapshot of `noun` to `copied` in these locations."""
        source = self.snapshots(workload, acting.location, noun)
        manifest = source.current()
        assert manifest is not None
        for location in locations:
            replicate(source, self.snapshots(workload, location, copied), manifest, epoch=acting.epoch)

    def compute(self, workload: Workload, location: str, epoch: int) -> None:
        """Commit features of the location's raw data."""
        raw = self.snapshots(workload, location, "raw_data").current()
        assert raw is not None
        features = self.snapshots(workload, location, "feature_snapshot")
        content = {"features": raw.snapshot_id.encode()}
        commit(features, content, self.scratch, epoch=epoch, parents={"raw_data": raw.snapshot_id})

    def train(self, workload: Workload, acting: Acting, version: int = 1) -> None:
        """Commit a package made of the acting location's features."""
        features = self.snapshots(workload, acting.location, "feature_snapshot").current()
        assert features is not None
        parents = {"feature_snapshot": features.snapshot_id, "raw_data": features.parents["raw_data"]}
        package = {"model": f"{workload.name} {acting.location} {version}".encode()}
        training_run = self.snapshots(workload, acting.location, "training_run")
        commit(training_run, package, self.scratch, epoch=acting.epoch, parents=parents, annotations={"version": version})

    def serve(self, workload: Workload, placed: PlacedLocation, state: EndpointState | None = None) -> None:
        """Want the location's model served, and report what a controller would."""
        model = self.snapshots(workload, placed.key, "model").current()
        assert model is not None
        version = model.annotations["version"]
        manifest = inference_service(
            workload, placed, package_uri="file:///package", features_uri="file:///features",
            model_version=version, digest=model.snapshot_id,
        )  # fmt: skip
        self.platform.apply(manifest)
        state = state or (EndpointState.COLD if placed.role is Role.COLD else EndpointState.READY)
        answering = {"version": version, "digest": model.snapshot_id, "port": 1, "pid": os.getpid()}
        status = EndpointStatus(
            endpoint_name(workload.name, placed.key), state, "2026-01-01T00:00:00+00:00",
            wanted_version=version, wanted_digest=model.snapshot_id,
            **answering if state is EndpointState.READY else {},
        )  # fmt: skip
        write_status(self.platform.folder, read_manifest(manifest).revision, status)

    def route(self, workload: Workload, placement: Placement, acting: Acting) -> None:
        """Publish the route that names the acting location first."""
        running = [placed.key for placed in placement.locations if placed.role is not Role.COLD]
        time = datetime.now(UTC).isoformat()
        publish_route(plan_route(workload.name, placement, acting.location, running, acting.epoch, 1, time), self.settings)

    def beat(self) -> None:
        """Be the data plane that watches the endpoints."""
        beat(self.platform.folder)

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Go on as the data plane meanwhile: on a busy machine work takes longer than a heartbeat counts."""
        ended = Event()

        def go_on() -> None:
            while not ended.wait(BEAT_SECONDS):
                self.beat()

        thread = Thread(target=go_on, name="beating")
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def darken(self, *targets: str) -> None:
        """Make clouds or locations fail."""
        now = datetime.now(UTC)
        for target in targets:
            fault = Fault(target, FaultKind.OUTAGE, now, now + timedelta(hours=1))
            set_fault(fault, self.stores.topology, self.settings)

    def mend(self) -> None:
        """End all faults."""
        clear_all_faults(self.settings)
