"""What the cluster's instance promises before anything runs on it: it is what Dagster takes, and no cloud starves another."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._config import process_config, resolve_to_config_type
from dagster._core.errors import DagsterInvalidConfigError
from dagster._core.instance.ref import InstanceRef
from dagster._core.test_utils import create_run_for_test
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster._serdes import ConfigurableClassData

from mcml_assets.configuration.settings import PROJECT_ROOT
from mcml_assets.instance.run_placement import CLOUD_TAG, LOCATION_TAG, PLACE_TAG, placement_tags

INSTANCE = PROJECT_ROOT / "deploy" / "instance"
CLOUDS = ("aws", "gcp", "azure")
SHOP, CREDIT = dg.AssetKey(["shop", "raw_data"]), dg.AssetKey(["credit", "model"])
VARIABLES = (
    "MCML_POSTGRES_URL", "MCML_RUN_SERVICE_ACCOUNT", "MCML_RUN_NAMESPACE", "MCML_INSTANCE_CONFIG_MAP",
    "MCML_COMPUTE_LOG_BUCKET", "MCML_COMPUTE_LOG_ACCOUNT",
)  # fmt: skip


def joined(folder: Path, cloud: str) -> str:
    """The file that a control plane in this cloud is given."""
    content = (INSTANCE / "dagster.yaml").read_text() + (INSTANCE / "compute_logs" / f"{cloud}.yaml").read_text()
    (folder / "dagster.yaml").write_text(content)
    return content


def classes_of(ref: InstanceRef) -> list[ConfigurableClassData]:
    """The classes that the file names; each judges its own configuration."""
    found = (ref.storage_data, ref.run_launcher_data, ref.run_coordinator_data, ref.compute_logs_data)
    return [data for data in found if data is not None]


def judge(data: ConfigurableClassData) -> list[str]:
    """What the class finds wrong with its configuration."""
    module = __import__(data.module_name, fromlist=[data.class_name])
    schema = resolve_to_config_type(getattr(module, data.class_name).config_type())
    return [error.message for error in process_config(schema, data.config_dict).errors or ()]


@pytest.mark.parametrize("cloud", CLOUDS)
def test_dagster_takes_the_instance_of_every_cloud(cloud: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster itself, and each class that the file names, find nothing wrong with it."""
    for variable in VARIABLES:
        monkeypatch.setenv(variable, "postgresql+psycopg2://nobody@127.0.0.1:1/none" if "URL" in variable else "example")
    joined(tmp_path, cloud)
    classes = classes_of(InstanceRef.from_dir(str(tmp_path)))
    assert {one.class_name for one in classes} > {"DagsterPostgresStorage", "K8sRunLauncher", "PlacedRunCoordinator"}
    assert {one.class_name: judge(one) for one in classes} == {one.class_name: [] for one in classes}


@pytest.mark.parametrize(
    "misspelt", ["service_account_name", "dequeue_num_workers", "upload_interval", "start_timeout_seconds"]
)
def test_a_misspelt_key_is_not_taken(misspelt: str, tmp_path: Path) -> None:
    """The judgement above can fail: a key that no class knows is found, wherever it is."""
    (tmp_path / "dagster.yaml").write_text(joined(tmp_path, "aws").replace(misspelt, f"{misspelt}x"))
    try:
        problems = [problem for one in classes_of(InstanceRef.from_dir(str(tmp_path))) for problem in judge(one)]
    except DagsterInvalidConfigError as error:
        problems = [str(error)]
    assert any(f"{misspelt}x" in problem for problem in problems)


def test_the_variables_of_the_instance_are_documented(tmp_path: Path) -> None:
    """Whoever deploys it finds every variable that it reads on its page."""
    named = {
        value["env"]
        for cloud in CLOUDS
        for value in _mappings(yaml.safe_load(joined(tmp_path, cloud)))
        if isinstance(value.get("env"), str)
    }
    assert named == set(VARIABLES)
    page = (PROJECT_ROOT / "deploy" / "docs" / "instance.md").read_text()
    assert [variable for variable in VARIABLES if f"`{variable}`" not in page] == []


def _mappings(node: object) -> Iterator[dict[str, object]]:
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _mappings(child)


def test_a_run_is_tagged_with_its_location_and_cloud() -> None:
    """By location both are known; by jurisdiction only the run finds out who acts; a job over all places has no place."""
    tags = placement_tags("aws/eu-west-2", [SHOP, CREDIT])
    assert tags == {PLACE_TAG: "credit+shop@aws/eu-west-2", LOCATION_TAG: "aws/eu-west-2", CLOUD_TAG: "aws"}
    assert placement_tags("UK", [SHOP]) == {PLACE_TAG: "shop@UK"}
    assert placement_tags(None, [SHOP]) == {}


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance on sqlite with the cluster's queue, where started runs never end."""
    queue = yaml.safe_load((INSTANCE / "dagster.yaml").read_text())["run_coordinator"]
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump({"run_coordinator": queue}))
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(tmp_path))) as made:
        yield made


def test_a_slow_cloud_does_not_starve_the_others(instance: dg.DagsterInstance) -> None:
    """A hundred runs of one cloud are queued first: it gets its share, and every run of another cloud starts at once."""
    waiting = [_queued(instance, f"aws/region-{number % 25}", f"shop_{number}") for number in range(100)]
    others = [_queued(instance, f"{cloud}/region-{number}", "shop") for cloud in ("gcp", "azure") for number in range(8)]
    central = _queued(instance, "UK", "shop")
    started = _dequeued(instance)
    assert {*others, central} <= started
    assert len(started & set(waiting)) == 10


def test_a_workload_is_changed_by_one_run_at_a_time_in_a_location(instance: dg.DagsterInstance) -> None:
    """A second run of a workload waits there; another workload's, and the same one's elsewhere, do not."""
    first, second = (_queued(instance, "aws/eu-west-2", "shop") for _ in range(2))
    other, elsewhere = _queued(instance, "aws/eu-west-2", "credit"), _queued(instance, "gcp/europe-west2", "shop")
    assert _dequeued(instance) == {first, other, elsewhere}
    assert second not in _dequeued(instance)


def _queued(instance: dg.DagsterInstance, partition: str, workload: str) -> str:
    """A run as any sensor or person would submit it."""
    from dagster._core.remote_origin import (
        InProcessCodeLocationOrigin,
        RemoteJobOrigin,
        RemoteRepositoryOrigin,
    )
    from dagster._core.run_coordinator import SubmitRunContext
    from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

    location = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="mcml_assets.definitions"), "mcml_assets")
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), "__ASSET_JOB")
    run = create_run_for_test(
        instance, "__ASSET_JOB", status=dg.DagsterRunStatus.NOT_STARTED, tags={"dagster/partition": partition},
        asset_selection=frozenset({dg.AssetKey([workload, "raw_data"])}), remote_job_origin=origin,
    )  # fmt: skip
    assert instance.run_coordinator is not None
    return instance.run_coordinator.submit_run(SubmitRunContext(run, None)).run_id  # pyright: ignore[reportArgumentType]


def _dequeued(instance: dg.DagsterInstance) -> set[str]:
    """The runs that the daemon would start now; they are started, and go on."""
    daemon = QueuedRunCoordinatorDaemon(interval_seconds=1)
    config = instance.get_concurrency_config()
    runs = daemon._get_runs_to_dequeue(instance, config, fixed_iteration_time=None)
    for run in runs:
        instance.report_dagster_event(dg.DagsterEvent("PIPELINE_STARTING", run.job_name), run.run_id)
    return {run.run_id for run in runs}
