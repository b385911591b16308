"""Promises of a changed topology: a location that is added is filled, one that is removed takes nothing with it, and one that
is still placed cannot be removed.
"""

import shutil
from pathlib import Path

import dagster as dg
import pytest

from mcml_assets.configuration.settings import DEFS, TOPOLOGIES, Settings
from mcml_assets.domain.acting import Acting
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets_tests.assets.conftest import Bench, failure_of

NEW = "gcp/us-central1"
BEFORE = "gcp/us-east4"
REGION = """      us-central1:
        jurisdiction: US
        bucket: mcml-gcp-us-central1
        compute_profiles: [small, medium]
        egress_price: 0.12
        currency: USD
"""
MARK = "      us-east4:  # Northern Virginia\n"


class Platform:
    """One home and one instance, whose topology and declaration a person changes, after which definitions are loaded anew."""

    def __init__(self, home: Path) -> None:
        self.topology, self.declaration = home / "local.yaml", home / "defs" / "credit_scoring" / "defs.yaml"
        shutil.copytree(DEFS / "credit_scoring", self.declaration.parent, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copyfile(TOPOLOGIES / "local.yaml", self.topology)
        self.settings = Settings(home=home / "home", topology=self.topology)
        self.instance = dg.DagsterInstance.ephemeral()

    def load(self) -> Bench:
        return Bench(self.declaration, self.settings, self.instance)


def _replaced(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_a_location_comes_and_goes(tmp_path: Path) -> None:
    """Added and loaded, it gets the snapshot that the others have, by materializing it there; while a placement names it, its
    region cannot leave the topology; taken out of both, it is no partition any more, what it held lies where it lay, and the
    others go on.
    """
    platform = Platform(tmp_path)
    bench = platform.load()
    assert bench.run("US", "landing").success
    assert bench.run(BEFORE, "raw_data").success
    held = bench.current(BEFORE, "raw_data")
    assert held is not None
    unchanged = platform.declaration.read_text()

    _replaced(platform.topology, MARK, REGION + MARK)
    placed = next(line for line in unchanged.splitlines(keepends=True) if BEFORE in line and not line.lstrip().startswith("#"))
    _replaced(platform.declaration, placed, placed + placed.replace(BEFORE, NEW).replace("warm", "cold"))
    bench = platform.load()
    assert bench.run(NEW, "raw_data").success
    assert bench.current(NEW, "raw_data") == held
    assert bench.current(BEFORE, "raw_data") == held

    _replaced(platform.topology, REGION, "")
    with pytest.raises(ConfigurationError, match=r"defs\.yaml:\d+: placements\.US.*unknown region 'us-central1' of gcp"):
        platform.load()

    platform.declaration.write_text(unchanged)
    bench = platform.load()
    with pytest.raises(dg.DagsterUnknownPartitionError):
        bench.run(NEW, "raw_data")
    assert bench.run(BEFORE, "raw_data").success
    assert bench.current(BEFORE, "raw_data") == held
    left = platform.settings.clouds_folder / "gcp" / "mcml-gcp-us-central1" / "credit_scoring" / "raw_data"
    assert held in (left / "current.json").read_text()


def test_a_location_that_acts_cannot_be_taken_out_unnoticed(tmp_path: Path) -> None:
    """Taken out of the placement while it does the work, it is named, and nothing lands anywhere else beside it."""
    platform = Platform(tmp_path)
    bench = platform.load()
    assert bench.run("US", "landing").success
    assert bench.run(BEFORE, "raw_data").success
    now = bench.stores.register.read(bench.workload, "US")
    acting = Acting(BEFORE, now.epoch + 1)
    bench.stores.register.change(bench.workload, "US", now, acting, who="test", why="by hand", request_id="r-2")
    landed = bench.current(now.location, "landing")

    placed = next(line for line in platform.declaration.read_text().splitlines(keepends=True) if BEFORE in line)
    _replaced(platform.declaration, placed, "")
    bench = platform.load()
    refused = bench.run("US", "landing")
    assert not refused.success
    assert BEFORE in failure_of(refused)
    assert bench.current(now.location, "landing") == landed
