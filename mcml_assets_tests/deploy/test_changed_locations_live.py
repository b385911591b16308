"""Promises of a changed topology while the platform runs: a location is added and filled, the acting one is taken out, and
nobody who asks is left without an answer. What holds for each step by itself is in `test_changed_locations.py`.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import pytest

from mcml_assets_tests.benchmarks.running_platform import MCML, WORKLOAD, Platform, copy_project, running, wait_until

pytestmark = pytest.mark.live

JURISDICTION, CUSTOMER = "EU", 12583
ACTING, SECOND, NEW = "azure/westeurope", "gcp/europe-west1", "azure/germanywestcentral"
REGION = """      germanywestcentral:  # Frankfurt
        jurisdiction: EU
        bucket: mcml-azure-germanywestcentral
        compute_profiles: [small, medium]
        egress_price: 0.087
        currency: USD
"""
BEFORE = "      westeurope:"
PRIMARY_LINE, SECOND_LINE = f"      - location: {ACTING}\n", f"      - {{location: {SECOND}, standby: warm}}\n"
NEW_LINE = f"      - {{location: {NEW}, standby: cold}}\n"
PATIENCE_SECONDS = 600.0
RELOAD = 'mutation { reloadRepositoryLocation(repositoryLocationName: "mcml_assets") { __typename } }'


@contextmanager
def asked(platform: Platform) -> Iterator[list[bool]]:
    """Whether each of the predictions that were asked for meanwhile, twice a second, was answered, if asked once more.

    Once more, because a busy machine may let a single one wait past its time; a route without a server lasts longer.
    """
    answered: list[bool] = []
    over = Event()

    def ask() -> None:
        while not over.wait(0.5):
            answered.append(any(platform.predict(JURISDICTION, CUSTOMER) is not None for _ in range(2)))

    asking = Thread(target=ask)
    asking.start()
    try:
        yield answered
    finally:
        over.set()
        asking.join()


def changed(file: Path, former: str, new: str) -> None:
    text = file.read_text()
    assert text.count(former) == 1, (file, former)
    file.write_text(text.replace(former, new))


def reload(platform: Platform) -> None:
    """What the button Reload of the UI does."""
    answer = httpx.post(f"{platform.ui}/graphql", json={"query": RELOAD}, timeout=120, trust_env=False).json()
    assert answer["data"]["reloadRepositoryLocation"]["__typename"] == "WorkspaceLocationEntry", answer


def rows(platform: Platform) -> dict[str, dict[str, Any]]:
    """What `mcml status` says of the jurisdiction's locations, by their keys."""
    told = subprocess.run(
        [MCML, "status", "--json"], env=platform.environment, cwd=platform.project, capture_output=True, text=True, check=False
    )
    return {row["location"]: row for row in json.loads(told.stdout) if row["jurisdiction"] == JURISDICTION}


def healthy(platform: Platform, locations: set[str]) -> bool:
    """Whether exactly these are the jurisdiction's locations, all healthy and with the same snapshot."""
    found = rows(platform)
    same = len({row["snapshot"] for row in found.values()}) == 1
    return found.keys() == locations and same and all(row["healthy"] for row in found.values())


def acting(platform: Platform) -> str:
    return platform.register.entry(platform.workload, JURISDICTION).acting.location


def test_a_location_comes_and_the_acting_one_goes_while_the_platform_runs(tmp_path: Path) -> None:
    """Added to topology and placement, a location is filled without a click; evacuated and taken out of the placement, the
    acting one hands its work over, leaves the route, and its endpoint is ended; every prediction is answered.
    """
    platform = Platform(tmp_path)
    copy_project(platform.project, {})
    package = platform.project / "mcml_assets"
    topology, declaration = package / "topologies" / "local.yaml", package / "defs" / WORKLOAD / "defs.yaml"
    with running(platform), asked(platform) as answered:
        others = rows(platform).keys() - {ACTING}
        changed(topology, BEFORE, REGION + BEFORE)
        changed(declaration, SECOND_LINE, SECOND_LINE + NEW_LINE)
        reload(platform)
        wait_until(lambda: healthy(platform, {ACTING, *others, NEW}), PATIENCE_SECONDS, 3.0, "the new location is filled")

        platform.mcml("evacuate", ACTING, "--why", "it is closed down")
        wait_until(lambda: acting(platform) == SECOND, PATIENCE_SECONDS, 1.0, "the next location acts")
        changed(declaration, PRIMARY_LINE + SECOND_LINE, f"      - location: {SECOND}\n")
        reload(platform)
        wait_until(lambda: healthy(platform, {*others, NEW}), PATIENCE_SECONDS, 3.0, "the others are well without it")
        gone = json.loads(platform.mcml("endpoint", "delete", WORKLOAD, ACTING, "--json"))
    assert gone["was"] == "READY"
    assert answered
    assert all(answered), f"{answered.count(False)} of {len(answered)} were not answered"
