"""Stores in memory that can be taken down, slowed and counted, and a register over them."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Event

from mcml_assets.clouds.interfaces import ObjectMeta
from mcml_assets.clouds.memory.store import MemoryStore
from mcml_assets.configuration.settings import TOPOLOGIES
from mcml_assets.configuration.topology import load_topology
from mcml_assets.configuration.workload import load_workload
from mcml_assets.domain.errors import LocationUnavailable
from mcml_assets.domain.workload import Workload
from mcml_assets.register.quorum import QuorumRegister
from mcml_assets.register.rounds import Limits
from mcml_assets_tests.configuration.workload_files import write_workload

TOPOLOGY = load_topology(TOPOLOGIES / "local.yaml")
UK = ("aws/eu-west-2", "azure/uksouth", "gcp/europe-west2")
QUICK = Limits(round_seconds=3.0, patience_seconds=0.1, attempts=8, pause_seconds=0.002, longest_pause_seconds=0.02)


def make_workload(folder: Path) -> Workload:
    """`churn`, placed in three clouds in the UK, `aws/eu-west-2` first."""
    return load_workload(write_workload(folder / "churn"), TOPOLOGY)


class TroubledStore(MemoryStore):
    """A bucket in memory that may be `down`, hang while `released` is not set, or take `seconds` for each request.

    `before_put` happens between a client's request to put and the put.
    """

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.down = False
        self.seconds = 0.0
        self.released = Event()
        self.released.set()
        self.requests: Counter[str] = Counter()
        self.before_put: Callable[[TroubledStore, str], None] | None = None

    def get_with_meta(self, key: str) -> tuple[bytes, ObjectMeta]:
        self._meet("get_with_meta")
        return super().get_with_meta(key)

    def put_if_absent(self, key: str, data: bytes) -> ObjectMeta:
        self._meet("put_if_absent")
        return super().put_if_absent(key, data)

    def put_if_match(self, key: str, data: bytes, etag: str) -> ObjectMeta:
        self._meet("put_if_match")
        if self.before_put is not None:
            self.before_put(self, key)
        return super().put_if_match(key, data, etag)

    def _meet(self, operation: str) -> None:
        self.requests[operation] += 1
        self.released.wait()
        time.sleep(self.seconds)
        if self.down:
            raise LocationUnavailable(self.location, "taken down by the test")


class Clouds:
    """The troubled stores of all locations, by key, and registers over them."""

    def __init__(self) -> None:
        self.stores = {key: TroubledStore(key) for key in TOPOLOGY.locations}

    def register(self, limits: Limits = QUICK) -> QuorumRegister:
        """A register as another process would open it: it shares nothing but the stores."""
        return QuorumRegister(TOPOLOGY, lambda location: self.stores[location], limits)

    def take_down(self, *locations: str) -> None:
        for key, store in self.stores.items():
            store.down = key in locations

    def requests(self) -> Counter[str]:
        """How many requests of each kind were made of all stores since this was last asked."""
        made: Counter[str] = Counter()
        for store in self.stores.values():
            made += store.requests
            store.requests = Counter()
        return made


def settle() -> None:
    """Wait for the requests of this process to any register whose answers nobody needed."""
    for thread in threading.enumerate():
        if thread.name.startswith("register-"):
            thread.join(timeout=60)
