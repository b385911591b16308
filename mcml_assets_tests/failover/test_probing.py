"""What a probe promises: it sees what work would see, never takes silence for health, and never takes long."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest

from mcml_assets.clouds.fault_plan import set_fault
from mcml_assets.clouds.memory.store import MemoryStore
from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.domain.errors import LocationUnavailable
from mcml_assets.domain.failover import Health
from mcml_assets.domain.faults import Fault, FaultKind
from mcml_assets.failover.probing import SILENT_SECONDS, Prober, shared_prober

LOCATION, OTHER = "aws/eu-west-2", "gcp/europe-west2"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def fault(settings: Settings, target: str, kind: FaultKind, **parameters: float) -> None:
    now = datetime.now(UTC)
    set_fault(
        Fault(target, kind, now, now + timedelta(minutes=5), parameters=dict(parameters)),
        load_topology(settings.topology_file),
        settings,
    )


def test_locations_that_answer_are_up(settings: Settings):
    """A bucket with nothing in it is as good as a full one."""
    probes = shared_prober(settings).probe([LOCATION, OTHER])
    assert {location: probe.health for location, probe in probes.items()} == {LOCATION: Health.UP, OTHER: Health.UP}


def test_a_bucket_that_is_gone_is_down(settings: Settings):
    """The location whose bucket vanished is down, by name, and the other one is not."""
    prober = shared_prober(settings)
    prober.probe([LOCATION])
    bucket = load_topology(settings.topology_file).location(LOCATION).bucket
    shutil.rmtree(settings.clouds_folder / "aws" / bucket)
    probes = prober.probe([LOCATION, OTHER])
    assert probes[LOCATION].health is Health.DOWN
    assert LOCATION in (probes[LOCATION].problem or "")
    assert probes[OTHER].health is Health.UP


@pytest.mark.parametrize(
    ("kind", "parameters", "health"),
    [
        (FaultKind.OUTAGE, {}, Health.DOWN),
        (FaultKind.CREDENTIALS_REVOKED, {}, Health.DOWN),
        (FaultKind.THROTTLING, {}, Health.UP),
        (FaultKind.LATENCY, {"ms": 50}, Health.UP),
        (FaultKind.CLOCK_SKEW, {"seconds": 3600}, Health.UNKNOWN),
    ],
)
def test_a_probe_sees_what_work_would_see(settings: Settings, kind: FaultKind, parameters: dict[str, float], health: Health):
    """A planned fault of a cloud shows as a real one would, and the other cloud is not accused."""
    fault(settings, "aws", kind, **parameters)
    probes = shared_prober(settings).probe([LOCATION, OTHER])
    assert probes[LOCATION].health is health
    assert probes[OTHER].health is Health.UP


def test_what_cannot_be_judged_is_no_outage(settings: Settings):
    """An unreadable fault plan, or a wrong configuration, takes no location down."""
    settings.faults_file.write_text("{")
    assert shared_prober(settings).probe([LOCATION])[LOCATION].health is Health.UNKNOWN


class Once(MemoryStore):
    """A bucket that refuses the first question only."""

    refused = False

    def head(self, key: str):
        if not self.refused:
            self.refused = True
            raise LocationUnavailable(self.location, "a connection was lost")
        return super().head(key)


def test_one_lost_connection_is_no_outage():
    """A refusal counts when it is repeated."""
    assert Prober(Once).probe([LOCATION])[LOCATION].health is Health.UP


class Silent(MemoryStore):
    """A bucket that answers nothing until it is let go."""

    released = Event()
    asked = 0

    def head(self, key: str):
        type(self).asked += 1
        self.released.wait(60)
        return super().head(key)


def test_silence_is_unknown_first_and_an_outage_when_it_lasts():
    """A location that does not answer holds up nobody, is asked once, and is down when the next round finds it silent."""
    now = [100.0]
    prober = Prober(Silent, clock=lambda: now[0])
    try:
        assert prober.probe([LOCATION], seconds=0.05)[LOCATION].health is Health.UNKNOWN
        now[0] += SILENT_SECONDS
        # However long it might wait: it knows.
        again = prober.probe([LOCATION], seconds=3600)[LOCATION]
        assert (again.health, again.problem) == (Health.DOWN, f"no answer for {SILENT_SECONDS:.0f} s")
        assert Silent.asked == 1
    finally:
        Silent.released.set()
    now[0] = 100.0  # again as if it had only just been asked, so that the answer is waited for
    assert prober.probe([LOCATION], seconds=10)[LOCATION].health is Health.UP
