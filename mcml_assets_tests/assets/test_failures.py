"""What becomes of a run whose epoch ends under it: it goes on once where the work is still its own, else it says so."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from mcml_assets.assets import traffic_route
from mcml_assets.assets.failures import typed_failures
from mcml_assets.automation import ERROR_TAG, NEXT_EPOCH_TAG
from mcml_assets.declaration import asset_key
from mcml_assets.domain.acting import Acting
from mcml_assets.domain.route import Route
from mcml_assets.partitions import by_jurisdiction, by_location
from mcml_assets.resources.endpoints import Endpoints
from mcml_assets.resources.stores import CloudStores
from mcml_assets.serving import routes
from mcml_assets_tests.failover.stage import Stage, example_workloads
from mcml_assets_tests.snapshots.committing import commit

A, B, C = "aws/eu-west-2", "gcp/europe-west2", "azure/uksouth"
SHOP = "online_retail"


class Overtaken:
    """A shop whose register is changed, by somebody else, each time that an asset is about to commit."""

    def __init__(self, home: Path) -> None:
        self.stage = Stage(home, example_workloads([SHOP]))
        self.workload = self.stage.workloads[SHOP]
        self.instance = dg.DagsterInstance.ephemeral()
        self.attempts: list[Acting] = []
        self.moves: list[list[str]] = []

    def overtake(self) -> None:
        """Make the next of the planned moves, by a register of its own."""
        for location in self.moves.pop(0) if self.moves else ():
            register = CloudStores.from_settings(self.stage.settings).register
            now = register.read(self.workload, "UK")
            new = Acting(location, now.epoch + 1)
            register.change(self.workload, "UK", now, new, who="a test", why="aws is dark", request_id=str(new.epoch))

    def run(self, noun: str, partition: str) -> dg.ExecuteInProcessResult:
        """A run of a noun that commits something under the epoch in which it began, as the platform's own assets do."""
        partitions = by_jurisdiction if partition in self.workload.jurisdictions else by_location

        @dg.asset(key=asset_key(self.workload, noun), partitions_def=partitions(self.workload))
        def made(context: dg.AssetExecutionContext, stores: CloudStores) -> None:
            with typed_failures(stores, self.workload):
                acting = stores.acting(self.workload, "UK")
                self.attempts.append(acting)
                where = acting.location if context.partition_key == "UK" else context.partition_key
                self.overtake()
                content = {"made": f"{where} {acting.epoch}".encode()}
                commit(stores.snapshots(self.workload, where, noun), content, self.stage.scratch, epoch=acting.epoch)

        return dg.materialize(
            [made], partition_key=partition, instance=self.instance, raise_on_error=False,
            resources={"stores": CloudStores.from_settings(self.stage.settings)},
        )  # fmt: skip

    def tags(self, result: dg.ExecuteInProcessResult) -> dict[str, str]:
        run = self.instance.get_run_by_id(result.run_id)
        assert run is not None
        return dict(run.tags)

    def epoch(self, location: str, noun: str) -> int | None:
        pointer = self.stage.snapshots(self.workload, location, noun).current_pointer()
        return pointer.epoch if pointer is not None else None


@pytest.fixture
def overtaken(tmp_path: Path) -> Overtaken:
    return Overtaken(tmp_path)


def test_a_copy_goes_on_under_the_next_epoch(overtaken: Overtaken):
    """A location's own work is due whoever acts: refused once, it is done under the new epoch in the same run."""
    overtaken.moves = [[B]]
    result = overtaken.run("raw_data", C)
    assert result.success
    assert overtaken.attempts == [Acting(A, 1), Acting(B, 2)]
    assert overtaken.epoch(C, "raw_data") == 2
    assert overtaken.tags(result)[NEXT_EPOCH_TAG] == "2"


def test_it_goes_on_once_however_often_the_epoch_changes(overtaken: Overtaken):
    """With a change under each attempt there are two attempts, and the run ends with the clear error."""
    overtaken.moves = [[B], [A], [B], [A]]
    result = overtaken.run("raw_data", C)
    assert not result.success
    assert len(overtaken.attempts) == 2
    assert overtaken.tags(result)[ERROR_TAG] == "StaleEpoch"
    assert overtaken.epoch(C, "raw_data") is None


def test_what_the_former_acting_location_was_about_to_land_is_left_to_its_successor(overtaken: Overtaken):
    """Its successor takes the batch by its own takeover: the run ends, names who acts, and lands nothing anywhere."""
    overtaken.moves = [[B]]
    result = overtaken.run("landing", "UK")
    assert overtaken.attempts == [Acting(A, 1)]
    (failure,) = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert "epoch 1 is over" in str(failure.error)
    assert f"{B} acts in epoch 2" in str(failure.error)
    assert (overtaken.epoch(A, "landing"), overtaken.epoch(B, "landing")) == (None, None)


def test_a_location_that_acts_again_goes_on_with_its_landing(overtaken: Overtaken):
    """Left and returned to while the run went on: it lands under the present epoch."""
    overtaken.moves = [[B, A]]
    assert overtaken.run("landing", "UK").success
    assert overtaken.attempts == [Acting(A, 1), Acting(A, 3)]
    assert overtaken.epoch(A, "landing") == 3


def test_a_route_that_was_planned_before_the_change_never_reaches_the_edge(
    overtaken: Overtaken, monkeypatch: pytest.MonkeyPatch
):
    """The edge has not heard of the new epoch, and so would obey: the register is asked, and the new route published."""
    overtaken.stage.fill()
    overtaken.moves = [[B]]
    plan: Callable[..., Route] = traffic_route.plan_route
    publish: Callable[..., None] = routes.publish_route
    published: list[tuple[int, str]] = []

    def planned(*arguments: object) -> Route:
        route = plan(*arguments)
        overtaken.overtake()
        return route

    def noted(route: Route, *arguments: object) -> None:
        published.append((route.epoch, route.locations[0]))
        publish(route, *arguments)

    monkeypatch.setattr(traffic_route, "plan_route", planned)
    monkeypatch.setattr(routes, "publish_route", noted)
    # No edge runs here, and whether it obeys is `serving/test_data_plane.py`'s question.
    monkeypatch.setattr(traffic_route, "_wait_until_obeyed", lambda *_: None)
    asset = traffic_route.build_traffic_route(overtaken.workload)
    result = dg.materialize(
        [asset, dg.AssetSpec(asset_key(overtaken.workload, "endpoint"), partitions_def=by_location(overtaken.workload))],
        selection=[asset], partition_key="UK", instance=overtaken.instance, raise_on_error=False,
        resources={
            "stores": CloudStores.from_settings(overtaken.stage.settings),
            "endpoints": Endpoints.from_settings(overtaken.stage.settings),
        },
    )  # fmt: skip
    assert result.success
    assert published == [(2, B)]
