"""No defect of the catalogue goes unfound, and no sound copy is accused."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from mcml_assets.configuration.code_rules import PLATFORM_CHECKS
from mcml_assets.configuration.settings import Settings
from mcml_assets_tests.asset_checks.conftest import Served, copied_example
from mcml_assets_tests.asset_checks.defects import (
    CHECKS,
    DEFECTS,
    JURISDICTION,
    OF_THE_WORKLOAD,
    PARTITIONS,
    SOUND,
    YIELDED,
    Defect,
)
from mcml_assets_tests.asset_checks.defects_page import PAGE, render
from mcml_assets_tests.asset_checks.golden_servers import AskedEndpoints, GoldenServers, golden_servers
from mcml_assets_tests.asset_checks.planting import SPOILT
from mcml_assets_tests.assets.conftest import failure_of

LOCATIONS = (*SOUND, SPOILT)
LAST = "evidence"
"""Asks what the other checks found."""
COMPARING = ("parity", "replication_lag")
"""Those that ask other locations."""
Failure = tuple[str, str, str]
"""Partition, asset, and the check that failed."""


@pytest.fixture(scope="module")
def servers() -> Iterator[GoldenServers]:
    with golden_servers() as servers:
        yield servers


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, servers: GoldenServers) -> Path:
    """The EU after two landings and two trainings: three locations that computed for themselves, and hold the same.

    All checks were asked there of all three, and none failed.
    """
    root = tmp_path_factory.mktemp("sound")
    declaration = copied_example(root)
    warm = declaration.read_text().replace("aws/eu-central-1, standby: cold", "aws/eu-central-1, standby: warm")
    # From one month to the next the shop's features hardly move; from what the first model learnt from they really did.
    declaration.write_text(warm.replace("  thresholds:\n", "  thresholds:\n    drift: {reference: previous}\n"))
    bench = opened(root, servers)
    for _ in range(2):
        steps = [(JURISDICTION, ["landing"]), *((location, ["raw_data", "feature_snapshot"]) for location in LOCATIONS)]
        models = [(location, ["model"]) for location in LOCATIONS]
        for partition, nouns in [*steps, (JURISDICTION, ["training_run"]), *models]:
            publish(bench, partition, *nouns)
    publish(bench, SPOILT, "canary_training")
    bench.answer_as_held()
    assert failed_checks(bench) == set()
    bench.instance.dispose()
    return root


def opened(root: Path, servers: GoldenServers) -> Served:
    """A placement, with what Dagster knows of it: evidence is what is on record."""
    settings = Settings(home=root / "home")
    endpoints = AskedEndpoints(home=str(settings.home), topology_file=str(settings.topology_file), port=servers.port)
    (root / "instance").mkdir(exist_ok=True)
    instance = dg.DagsterInstance.local_temp(str(root / "instance"))
    served = Served(root / "online_retail" / "defs.yaml", settings, instance, endpoints)
    served.servers, served.answering = servers, LOCATIONS
    return served


@pytest.fixture
def copies(sound: Path, servers: GoldenServers, tmp_path: Path) -> Iterator[Served]:
    """Makes copies of everything, so that a defect stays with its own."""

    def make() -> Iterator[Served]:
        for number in range(len(DEFECTS)):
            root = tmp_path / str(number)
            shutil.copytree(sound, root)
            served = opened(root, servers)
            served.answer_as_held()
            yield served
            served.instance.dispose()
            shutil.rmtree(root)

    return make()


def publish(bench: Served, partition: str, *nouns: str) -> None:
    """Materialize what has to be sound."""
    result = bench.run(partition, *nouns)
    assert result.success, failure_of(result)
    assert not {failure for failure in failures_of(result, partition) if failure[1] in YIELDED}


def failures_of(result: dg.ExecuteInProcessResult, partition: str) -> set[Failure]:
    """The checks that failed in a run."""
    evaluations = result.get_asset_check_evaluations()
    return {(partition, one.asset_key.path[-1], one.check_name) for one in evaluations if not one.passed}


def failed_checks(bench: Served, defect: Defect | None = None) -> set[Failure]:
    """Every check that fails, once all have been asked.

    Of a defect the two sound locations are asked only what looks beyond a location: else nothing changed there.
    """
    for location in LOCATIONS:
        ask(bench, location, {noun: tuple(_asked(location, noun, defect)) for noun in CHECKS})
    for location in LOCATIONS:
        ask(bench, location, {"endpoint": (LAST,)})
    return {
        (location, noun, name)
        for noun, names in CHECKS.items()
        for name in names
        for location, passed in recorded(bench, noun, name).items()
        if not passed
    }


def _asked(location: str, noun: str, defect: Defect | None) -> Iterator[str]:
    for name in CHECKS[noun]:
        beyond = defect is None or location == SPOILT or name in COMPARING
        unasked = defect is not None and location == SPOILT and (noun, name) == (defect.asset, defect.unasked)
        if name != LAST and beyond and not unasked:
            yield name


def ask(bench: Served, location: str, checks: dict[str, tuple[str, ...]]) -> None:
    result = bench.run_checks(location, checks)
    asked = {
        (one.asset_key.path[-1], one.check_name) for one in result.get_asset_check_evaluations() if one.partition == location
    }
    assert asked == {(noun, name) for noun, names in checks.items() for name in names}, failure_of(result)


def recorded(bench: Served, noun: str, name: str) -> dict[str, bool]:
    found = bench.recorded(noun, name)
    assert found.keys() == set(LOCATIONS), f"{name} of {noun} did not run everywhere"
    return found


def found_after(defect: Defect, bench: Served) -> set[Failure]:
    """Plant a defect, and ask the checks that it is there for."""
    defect.plant(bench)
    if defect.asset in YIELDED:
        partition = PARTITIONS[defect.asset]
        return failures_of(bench.run(partition, defect.asset), partition)
    return failed_checks(bench, defect)


def expected(defect: Defect) -> set[Failure]:
    return {(PARTITIONS.get(noun, SPOILT), noun, name) for noun, name in defect.found_by}


def test_every_defect_is_found_where_it_is_and_by_the_checks_that_say_so(copies: Iterator[Served]) -> None:
    """Each defect fails exactly its checks, in its location; where there is none, none fails anywhere."""
    found: dict[str, set[Failure]] = {}
    for defect in DEFECTS:
        found[f"{defect.name} in {defect.asset}"] = found_after(defect, next(copies))
    assert found == {f"{defect.name} in {defect.asset}": expected(defect) for defect in DEFECTS}
    assert all(defect.found_by for defect in DEFECTS)


def test_every_check_of_every_asset_finds_something() -> None:
    """A check that no defect fails would be worth nothing."""
    finding = {check for defect in DEFECTS for check in defect.found_by}
    assert finding == {(noun, name) for checks in (CHECKS, YIELDED) for noun, names in checks.items() for name in names}
    # Of servers and of standbys: planted in the tests of the data plane and of readiness.
    assert {name for _, name in finding} == {*PLATFORM_CHECKS, OF_THE_WORKLOAD} - {"health", "readiness"}


def test_the_page_is_what_the_catalogue_says() -> None:
    """The page of defects is made from the catalogue that the checks are tested with."""
    assert PAGE.read_text() == render(), "stale: run python -m mcml_assets_tests.asset_checks.defects_page"
