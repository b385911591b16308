"""What `mcml rebuild` promises: a lost instance knows again what the buckets hold, and nothing is done twice."""

import json
import shutil

import dagster as dg
import pytest
from typer.testing import CliRunner, Result

from mcml_assets.build import build_resources, build_workload
from mcml_assets.cli import app
from mcml_assets.domain.acting import Acting
from mcml_assets.domain.recovery import FAILBACK_CHECKS
from mcml_assets.sensors.failover import build_failover
from mcml_assets.sensors.recovery import build_recovery
from mcml_assets_tests.failover.stage import Stage
from mcml_assets_tests.sensors.tower import Tower

A, B = "aws/eu-west-2", "gcp/europe-west2"
SHOP = "online_retail"


@pytest.fixture
def stage(stage_in_shell: Stage) -> Stage:
    return stage_in_shell


def rebuild(stage: Stage, *options: str) -> Result:
    stage.beat()
    return CliRunner().invoke(app, ["rebuild", "--json", *options])


def instance_of(stage: Stage) -> dg.DagsterInstance:
    return dg.DagsterInstance.from_config(str(stage.settings.dagster_home))


def test_a_fresh_instance_knows_everything_again(stage: Stage):
    """Every partition of every asset with its data version, and the checks that can be told without reading data."""
    result = rebuild(stage)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["problems"] == []
    with instance_of(stage) as instance:
        for workload, placement in stage.jurisdictions:
            places = {placed.key for placed in placement.locations}
            for noun in ("landing", "training_run", "traffic_route"):
                assert placement.jurisdiction in instance.get_materialized_partitions(dg.AssetKey([workload.name, noun]))
            for noun in ("raw_data", "feature_snapshot", "model", "endpoint"):
                assert places <= instance.get_materialized_partitions(dg.AssetKey([workload.name, noun]))
            newest = stage.snapshots(workload, placement.primary.key, "landing").current_pointer()
            assert newest is not None
            tags = instance.event_log_storage.get_latest_tags_by_partition(
                dg.AssetKey([workload.name, "raw_data"]), dg.DagsterEventType.ASSET_MATERIALIZATION, ["dagster/data_version"]
            )
            assert {tags[place]["dagster/data_version"] for place in places} == {newest.snapshot_id}
            parity = dg.AssetCheckKey(dg.AssetKey([workload.name, "raw_data"]), "parity")
            infos = instance.event_log_storage.get_asset_check_partition_info([parity])
            assert {info.partition_key for info in infos} >= places


def test_automation_does_nothing_again(stage: Stage):
    """On a rebuilt instance no condition asks for what is there already."""
    assert rebuild(stage).exit_code == 0
    workloads = [build_workload(workload) for workload in stage.workloads.values()]
    definitions = dg.Definitions.merge(build_resources(stage.settings), *workloads)
    cursor = None
    with instance_of(stage) as instance:
        for _ in range(3):
            result = dg.evaluate_automation_conditions(definitions, instance=instance, cursor=cursor)
            cursor = result.cursor
            assert result.total_requested == 0


def test_an_instance_lost_in_the_middle_of_an_outage(stage: Stage):
    """Deleted after the work had moved and before the primary returned: rebuilt, the sensors repeat nothing and go on."""
    workload = stage.workloads[SHOP]
    everything = lambda: [workload]  # noqa: E731 - the sensors' one argument
    Tower(stage, build_failover(everything, 0.0)).tick()
    stage.darken("aws")
    tower = Tower(stage, build_failover(everything, 0.0))
    tower.tick()
    assert tower.acting(SHOP, "UK") == (B, 2)
    stage.copy(workload, Acting(B, 2), "raw_data", "landing", [B])
    shutil.rmtree(stage.settings.dagster_home, ignore_errors=True)
    result = rebuild(stage)
    assert result.exit_code == 1
    assert any(A in problem for problem in json.loads(result.stdout)["problems"])
    with instance_of(stage) as instance:
        anew = Tower(stage, build_failover(everything, 0.0), build_recovery(everything), instance=instance)
        assert [anew.tick() for _ in range(3)] == [[], [], []]
        assert [anew.tick("recovery") for _ in range(3)] == [[], [], []]
        assert anew.acting(SHOP, "UK") == (B, 2)
        landed = instance.get_materialized_partitions(dg.AssetKey([SHOP, "landing"]))
        assert landed == {"UK", "EU"}


def test_an_evacuated_location_stays_so_when_the_control_plane_is_lost(stage: Stage):
    """Nothing of it is kept where only the control plane is: rebuilt on another machine, nothing is given back to it."""
    workload = stage.workloads[SHOP]
    assert CliRunner().invoke(app, ["evacuate", A, "--why", "maintenance"]).exit_code == 0
    stage.copy(workload, Acting(B, 2), "raw_data", "landing", [B])
    for kept in stage.settings.home.iterdir():
        if kept not in (stage.settings.clouds_folder, stage.settings.data_plane_folder):
            shutil.rmtree(kept)
    assert rebuild(stage).exit_code == 0
    everything = lambda: [workload]  # noqa: E731 - the sensors' one argument
    with instance_of(stage) as instance:
        anew = Tower(stage, build_failover(everything, 0.0), build_recovery(everything), instance=instance)
        assert [anew.tick("recovery") for _ in range(FAILBACK_CHECKS + 1)] == [[]] * (FAILBACK_CHECKS + 1)
        assert anew.acting(SHOP, "UK") == (B, 2)
        assert "evacuated" in anew.last_skip["recovery"]
        stage.darken("gcp")
        anew.tick()
        assert anew.acting(SHOP, "UK") == ("azure/uksouth", 3)


def test_damage_is_found_only_where_bytes_are_read(stage: Stage):
    """Without --verify nothing is said about integrity; with it a corrupt copy is reported as such."""
    where = stage.stores.topology.location(B)
    blobs = stage.settings.clouds_folder / where.cloud / where.bucket / SHOP / "blobs"
    for blob in (path for path in blobs.rglob("*") if path.is_file()):
        blob.write_bytes(b"x" * blob.stat().st_size)
    assert rebuild(stage, "--verify").exit_code == 0
    integrity = dg.AssetCheckKey(dg.AssetKey([SHOP, "raw_data"]), "integrity")
    with instance_of(stage) as instance:
        infos = instance.event_log_storage.get_asset_check_partition_info([integrity])
        results = {info.partition_key: info.latest_execution_status.value for info in infos}
    assert (results[A], results[B]) == ("SUCCEEDED", "FAILED")


def test_an_instance_with_a_history_is_left_alone(stage: Stage):
    """A second rebuild is refused with the way out, and reports nothing twice."""
    assert rebuild(stage).exit_code == 0
    again = rebuild(stage)
    assert again.exit_code == 2
    assert "move that folder away" in " ".join(again.output.split())
