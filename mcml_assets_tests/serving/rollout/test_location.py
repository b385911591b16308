"""Promises of one location's rollout: what is no version's fault is not held against it, and its record outlives its driver."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.rollout import Phase
from mcml_assets.domain.workload import RolloutSteps
from mcml_assets.serving.folder import DataPlaneFolder
from mcml_assets.serving.manifest import WantedEndpoint, inference_service, read_manifest
from mcml_assets.serving.rollout.location import LocationRollout, rollout_of
from mcml_assets.serving.rollout.record import Order, read_record
from mcml_assets_tests.serving.served_shop import PRIMARY, shop_workload

STEPS = RolloutSteps(percents=(20, 100), dwell_seconds=2, shadow_seconds=1)


@pytest.fixture
def folder(tmp_path: Path) -> DataPlaneFolder:
    return DataPlaneFolder.of(Settings(home=tmp_path))


def wanted(tmp_path: Path, version: int) -> WantedEndpoint:
    workload = shop_workload(tmp_path / "shop")
    workload = replace(workload, serving=replace(workload.serving, rollout=STEPS))
    manifest = inference_service(
        workload, workload.placed(PRIMARY), package_uri=(tmp_path / "package").as_uri(),
        features_uri=(tmp_path / "features").as_uri(), model_version=version, digest=f"{version}" * 64,
    )  # fmt: skip
    return read_manifest(manifest)


def begun(folder: DataPlaneFolder, tmp_path: Path) -> LocationRollout:
    """Version 2, which is to take over from version 1."""
    rollout = rollout_of(folder, wanted(tmp_path, 2), wanted(tmp_path, 1), None)
    assert rollout is not None
    return rollout


def test_a_manifest_says_by_which_steps_it_takes_over(folder: DataPlaneFolder, tmp_path: Path) -> None:
    """Steps, order and objectives come with the manifest; where nothing answers yet, or the same package, there are none."""
    rollout = begun(folder, tmp_path)
    assert (rollout.record.phase, rollout.record.plan.steps) == (Phase.WAITING, STEPS)
    assert rollout.record.plan.order[-1] == PRIMARY
    assert rollout_of(folder, wanted(tmp_path, 3), None, None) is None
    assert rollout_of(folder, wanted(tmp_path, 3), wanted(tmp_path, 3), None) is None


@pytest.mark.parametrize("dark", [True, False])
def test_an_outage_stands_a_rollout_still(folder: DataPlaneFolder, tmp_path: Path, dark: bool) -> None:
    """While a location is dark a package that is refused there, or a server that is not there, says nothing of the version."""
    rollout = begun(folder, tmp_path)
    rollout.dark = lambda: dark
    with ThreadPoolExecutor(1) as pool:
        rollout.step(1.0, None, "the package is refused", None, pool)
    assert rollout.record.phase is (Phase.WAITING if dark else Phase.ROLLED_BACK)


def test_whoever_drives_it_next_finds_it(folder: DataPlaneFolder, tmp_path: Path) -> None:
    """The record is on disk with every change, and another process begins with it; a package given anew begins nothing."""
    rollout = begun(folder, tmp_path)
    rollout.obey(Order("abort", "ada", "case 17"))
    found = rollout_of(folder, wanted(tmp_path, 2), wanted(tmp_path, 1), None)
    assert found is not None
    assert found.record == read_record(folder, f"shop@{PRIMARY}")
    assert (found.record.phase, found.record.reason) == (Phase.ABORTED, "ada: abort, case 17")
    assert found.holds_back
