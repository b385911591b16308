"""A workload's definitions over clouds of their own, run in this process; the data plane is not started here."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import dagster as dg
import pytest

from mcml_assets.build import DEFS, build_resources, build_workload
from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.configuration.workload import load_workload
from mcml_assets.domain.workload import Workload
from mcml_assets.resources.endpoints import Endpoints
from mcml_assets.resources.stores import CloudStores


class Bench:
    """One workload over the clouds of some settings: materialize, look at events, reach into the stores."""

    def __init__(
        self,
        declaration: Path,
        settings: Settings,
        instance: dg.DagsterInstance | None = None,
        endpoints: Endpoints | None = None,
    ) -> None:
        self.settings = settings
        self.workload: Workload = load_workload(declaration, load_topology(self.settings.topology_file))
        base = build_resources(self.settings)
        if endpoints is not None:
            base = dg.Definitions(resources={**(base.resources or {}), "endpoints": endpoints}, executor=base.executor)
        self.definitions = dg.Definitions.merge(base, build_workload(self.workload))
        self.instance = instance or dg.DagsterInstance.ephemeral()
        self.stores = CloudStores.from_settings(self.settings)

    def run(self, partition: str, *nouns: str) -> dg.ExecuteInProcessResult:
        """Materialize the nouns for one partition with their checks, as a launched run would."""
        return self.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=self.instance,
            partition_key=partition,
            asset_selection=[self.key(noun) for noun in nouns],
            raise_on_error=False,
        )

    def check(self, partition: str, noun: str, name: str) -> dg.AssetCheckEvaluation:
        """Run one check by itself for one partition, as the UI does, and return what it found."""
        (evaluation,) = [
            found
            for found in self.run_checks(partition, {noun: (name,)}).get_asset_check_evaluations()
            if found.partition == partition
        ]
        return evaluation

    def run_checks(self, partition: str, checks: Mapping[str, Sequence[str]]) -> dg.ExecuteInProcessResult:
        """Run checks, given by noun, by themselves for one partition."""
        keys = {dg.AssetCheckKey(self.key(noun), name) for noun, names in checks.items() for name in names}
        job = self.definitions.resolve_implicit_global_asset_job_def().get_subset(
            asset_selection=set(), asset_check_selection=keys
        )
        # As a launched run carries its partition: `partition_key` would be looked up among the assets, of which there are none.
        tags = {"dagster/partition": partition}
        return job.execute_in_process(instance=self.instance, tags=tags, raise_on_error=False)

    def recorded(self, noun: str, name: str) -> dict[str, bool]:
        """The newest result of a check by partition, as the UI shows it."""
        key = dg.AssetCheckKey(self.key(noun), name)
        infos = self.instance.event_log_storage.get_asset_check_partition_info([key])
        return {str(info.partition_key): info.latest_execution_status.value == "SUCCEEDED" for info in infos}

    def key(self, noun: str) -> dg.AssetKey:
        return dg.AssetKey([self.workload.name, noun])

    def current(self, location: str, noun: str) -> str | None:
        pointer = self.stores.snapshots(self.workload, location, noun).current_pointer()
        return pointer.snapshot_id if pointer else None


@pytest.fixture
def bench(tmp_path: Path) -> Callable[[str], Bench]:
    """Makes a bench of a copy of an example workload, so that a test may spoil its source."""

    def make(name: str) -> Bench:
        folder = tmp_path / "defs" / name
        shutil.copytree(DEFS / name, folder, ignore=shutil.ignore_patterns("__pycache__"))
        return Bench(folder / "defs.yaml", Settings(home=tmp_path / "home"))

    return make


def published_by(result: dg.ExecuteInProcessResult, noun: str) -> int:
    """How often a run materialized a noun."""
    return sum(event.asset_key is not None and event.asset_key.path[-1] == noun
               for event in result.get_asset_materialization_events())  # fmt: skip


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """What the failed step's event says, causes included."""
    errors = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    return "\n".join(error.to_string() for error in errors if error is not None)


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    """The checks of a run and whether they passed."""
    return {evaluation.check_name: evaluation.passed for evaluation in result.get_asset_check_evaluations()}
