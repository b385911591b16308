"""No defect of the catalogue goes unfound, and no sound copy is accused."""

import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from mcml_assets.build import DEFS
from mcml_assets.configuration.code_rules import PLATFORM_CHECKS
from mcml_assets.configuration.settings import Settings
from mcml_assets_tests.asset_checks.defects import CHECKS, DEFECTS, OWN, SOUND, SPOILT, Defect
from mcml_assets_tests.asset_checks.defects_page import PAGE, render
from mcml_assets_tests.assets.conftest import Bench, failure_of

LOCATIONS = (*SOUND, SPOILT)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The EU after two landings and two trainings: three locations that computed for themselves, and hold the same."""
    folder = tmp_path_factory.mktemp("defs") / "online_retail"
    shutil.copytree(DEFS / "online_retail", folder, ignore=shutil.ignore_patterns("__pycache__"))
    declaration = folder / "defs.yaml"
    declaration.write_text(
        declaration.read_text().replace("aws/eu-central-1, standby: cold", "aws/eu-central-1, standby: warm")
    )
    bench = Bench(declaration, Settings(home=tmp_path_factory.mktemp("sound") / "home"))
    for _ in range(2):
        steps = [("EU", ["landing"]), *((location, ["raw_data", "feature_snapshot"]) for location in LOCATIONS)]
        for partition, nouns in [*steps, ("EU", ["training_run"]), *((location, ["model"]) for location in LOCATIONS)]:
            result = bench.run(partition, *nouns)
            assert result.success, failure_of(result)
    return bench


@pytest.fixture
def copies(sound: Bench, tmp_path: Path) -> Iterator[Bench]:
    """Makes benches over copies of everything, so that a defect stays with its own."""

    def make() -> Iterator[Bench]:
        for number in range(len(DEFECTS) + 1):
            home = tmp_path / str(number) / "home"
            shutil.copytree(sound.settings.home, home)
            yield Bench(sound.workload.directory / "defs.yaml", Settings(home=home))
            shutil.rmtree(home)

    return make()


def failed_checks(bench: Bench) -> set[tuple[str, str, str]]:
    """Location, asset and name of every check that fails, once all have been asked everywhere."""
    for location in LOCATIONS:
        bench.run_checks(location, CHECKS)
    return {
        (location, noun, name)
        for noun, names in CHECKS.items()
        for name in names
        for location, passed in recorded(bench, noun, name).items()
        if not passed
    }


def recorded(bench: Bench, noun: str, name: str) -> dict[str, bool]:
    found = bench.recorded(noun, name)
    assert found.keys() == set(LOCATIONS), f"{name} of {noun} did not run everywhere"
    return found


def expected(defect: Defect) -> set[tuple[str, str, str]]:
    return {(SPOILT, defect.asset, name) for name in defect.found_by}


def test_every_defect_is_found_where_it_is_and_by_the_checks_that_say_so(copies: Iterator[Bench]) -> None:
    """Each defect fails exactly its checks, in its location; the copies without one fail none, nowhere."""
    assert failed_checks(next(copies)) == set()
    found: dict[str, set[tuple[str, str, str]]] = {}
    for defect in DEFECTS:
        bench = next(copies)
        defect.plant(bench)
        found[f"{defect.name} in {defect.asset}"] = failed_checks(bench)
    assert found == {f"{defect.name} in {defect.asset}": expected(defect) for defect in DEFECTS}
    assert all(defect.found_by for defect in DEFECTS)


def test_every_check_finds_something() -> None:
    """A check that no defect fails would be worth nothing; the tests that plant the others are there."""
    finding = {name for defect in DEFECTS for name in defect.found_by} | {name for name, *_ in OWN}
    # Of servers, of trainings and of standbys: planted in the tests of the data plane, of canaries and of readiness.
    assert finding == set(PLATFORM_CHECKS) - {"health", "agreement", "readiness"}
    for *_, module, name in OWN:
        assert callable(getattr(import_module(module), name))


def test_the_page_is_what_the_catalogue_says() -> None:
    """The page of defects is made from the catalogue that the checks are tested with."""
    assert PAGE.read_text() == render(), "stale: run python -m mcml_assets_tests.asset_checks.defects_page"
