"""A small real placement whose endpoints answer from servers that a test spoils; made once, for it takes a training."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcml_assets.build import DEFS
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.resources.packages import held_package
from mcml_assets_tests.asset_checks.golden_servers import AskedEndpoints, GoldenServers, golden_servers
from mcml_assets_tests.assets.conftest import Bench, failure_of

PRIMARY, WARM, COLD = "azure/westeurope", "gcp/europe-west1", "aws/eu-central-1"


class Served(Bench):
    """The EU, whose primary and warm standbys answer from the packages that they hold."""

    servers: GoldenServers
    answering: tuple[str, ...] = (PRIMARY, WARM)

    def answer_as_held(self) -> None:
        self.servers.spoilt.clear()
        for location in self.answering:
            self.answer_from(location, self.held(location))

    def held(self, location: str) -> Manifest:
        manifest = self.stores.snapshots(self.workload, location, "model").current()
        assert manifest is not None
        return manifest

    def answer_from(self, location: str, manifest: Manifest) -> None:
        """Have the location's server answer from this package."""
        package = held_package(self.workload, self.stores, location, manifest)
        self.servers.packages[location] = (package.folder, manifest.snapshot_id)


def copied_example(folder: Path) -> Path:
    """The example's declaration in a folder that a test may change, training in this process.

    A process of its own imports everything anew, and where a model is trained is not the subject here.
    """
    shutil.copytree(DEFS / "online_retail", folder / "online_retail", ignore=shutil.ignore_patterns("__pycache__"))
    declaration = folder / "online_retail" / "defs.yaml"
    lines = declaration.read_text().splitlines(keepends=True)
    declaration.write_text("".join(line for line in lines if not line.startswith("    compute_profile: small  ")))
    return declaration


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One landing and two trainings of it, held by all three; the cold standby runs no server."""
    folder = tmp_path_factory.mktemp("served")
    declaration = copied_example(folder)
    settings = Settings(home=folder / "home")
    with golden_servers() as servers:
        endpoints = AskedEndpoints(
            home=str(settings.home), topology_file=str(settings.topology_file), port=servers.port, cold=[COLD]
        )
        served = Served(declaration, settings, endpoints=endpoints)
        served.servers = servers
        locations = (PRIMARY, WARM, COLD)
        models = [("EU", ["training_run"]), *((location, ["model"]) for location in locations)]
        features = [(location, ["raw_data", "feature_snapshot"]) for location in locations]
        for partition, nouns in [("EU", ["landing"]), *features, *models, *models]:
            result = served.run(partition, *nouns)
            assert result.success, failure_of(result)
        yield served
