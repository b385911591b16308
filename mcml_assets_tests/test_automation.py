"""What the automation conditions promise, evaluated by Dagster on a real instance over a small graph of the same shape."""

from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from mcml_assets.asset_checks.partitioned import partitioned_check
from mcml_assets.automation import (
    ACTING_TAG,
    when_acting_location_published,
    when_missing_or_on_cron,
    when_upstream_published,
)

UK, EU = ("aws/eu-west-2", "gcp/europe-west2", "azure/uksouth"), ("azure/westeurope",)
ACTING = {UK[0], EU[0]}
LOCATIONS = dg.StaticPartitionsDefinition([*UK, *EU])
JURISDICTIONS = dg.StaticPartitionsDefinition(["UK", "EU"])
DOWN = dg.StaticPartitionMapping({"UK": list(UK), "EU": list(EU)})
UP = dg.StaticPartitionMapping({**dict.fromkeys(UK, "UK"), **dict.fromkeys(EU, "EU")})
NOUNS = ("landing", "raw_data", "feature_snapshot", "training_run", "model", "endpoint", "traffic_route")


class Platform:
    """The graph, an instance, and ticks of the automation whose requests are executed, one run per partition."""

    def __init__(self) -> None:
        self.dead: set[str] = set()
        self.corrupt: set[str] = set()
        self.drifted: set[str] = set()
        self.instance = dg.DagsterInstance.ephemeral()
        self.definitions = dg.Definitions(assets=self._assets(), asset_checks=[self._integrity(), self._drift()])
        self.cursor: dg.AutomationConditionEvaluationCursor | None = None  # type: ignore[name-defined]

    def tick(self, at: datetime | None = None) -> dict[str, list[str]]:
        """Evaluate once, now or at another time; returns the nouns requested by partition, after running them."""
        result = dg.evaluate_automation_conditions(
            self.definitions, instance=self.instance, cursor=self.cursor, evaluation_time=at
        )
        self.cursor = result.cursor
        requested: dict[str, list[str]] = {}
        for noun in NOUNS:
            for partition in result.get_requested_partitions(dg.AssetKey(noun)):
                requested.setdefault(str(partition), []).append(noun)
        for partition, nouns in requested.items():
            self.run(nouns, partition)
        return requested

    def run(self, nouns: Collection[str], partition: str) -> None:
        """What a launched run of these nouns does, blocking checks included."""
        job = self.definitions.resolve_implicit_global_asset_job_def()
        job.execute_in_process(
            instance=self.instance,
            partition_key=partition,
            asset_selection=[dg.AssetKey(noun) for noun in nouns],
            raise_on_error=False,
        )

    def settle(self, ticks: int = 8) -> list[dict[str, list[str]]]:
        return [self.tick() for _ in range(ticks)]

    def _body(self) -> Callable[[dg.AssetExecutionContext], None]:
        def body(context: dg.AssetExecutionContext) -> None:
            if context.partition_key in self.dead:
                raise dg.Failure("the location does not answer", allow_retries=False)
            if context.partition_key in ACTING:
                context.instance.add_run_tags(context.run.run_id, {ACTING_TAG: "1"})

        return body

    def _assets(self) -> list[dg.AssetsDefinition]:
        location = when_upstream_published()
        jurisdiction = when_acting_location_published()
        serving = when_upstream_published(without_updates_of=dg.AssetKey("feature_snapshot"))
        declared = {
            "landing": ([], JURISDICTIONS, when_missing_or_on_cron("0 0 1 1 *")),
            "raw_data": ([dg.AssetDep("landing", partition_mapping=DOWN)], LOCATIONS, location),
            "feature_snapshot": (["raw_data"], LOCATIONS, location),
            "training_run": ([dg.AssetDep("feature_snapshot", partition_mapping=UP)], JURISDICTIONS, jurisdiction),
            "model": ([dg.AssetDep("training_run", partition_mapping=DOWN)], LOCATIONS, location),
            "endpoint": (["model", "feature_snapshot"], LOCATIONS, serving),
            "traffic_route": ([dg.AssetDep("endpoint", partition_mapping=UP)], JURISDICTIONS, jurisdiction),
        }
        return [
            dg.asset(key=noun, deps=deps, partitions_def=partitions, automation_condition=condition)(self._body())
            for noun, (deps, partitions, condition) in declared.items()
        ]

    def _integrity(self) -> dg.AssetChecksDefinition:
        @partitioned_check(dg.AssetKey("raw_data"), "integrity", "bytes are sound", LOCATIONS)
        def integrity(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
            return dg.AssetCheckResult(passed=context.partition_key not in self.corrupt)

        return integrity

    def _drift(self) -> dg.AssetChecksDefinition:
        @partitioned_check(dg.AssetKey("feature_snapshot"), "drift", "features are as learnt", LOCATIONS, blocking=False)
        def drift(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
            return dg.AssetCheckResult(passed=context.partition_key not in self.drifted)

        return drift


@pytest.fixture
def platform() -> Platform:
    return Platform()


def requests_of(ticks: list[dict[str, list[str]]], noun: str) -> list[str]:
    return [partition for tick in ticks for partition, nouns in tick.items() if noun in nouns]


def test_a_fresh_platform_fills_itself(platform: Platform) -> None:
    """With no click, every partition of every asset is requested exactly once, and then nothing more."""
    ticks = platform.settle()
    for noun in NOUNS:
        wanted = ["EU", "UK"] if noun in ("landing", "training_run", "traffic_route") else sorted([*UK, *EU])
        assert sorted(requests_of(ticks, noun)) == wanted
    assert ticks[-1] == {}


def test_a_location_chain_is_one_run(platform: Platform) -> None:
    """What becomes due in one location on a tick is requested together, so it shares one process."""
    ticks = platform.settle()
    assert ticks[1] == {location: ["raw_data", "feature_snapshot"] for location in [*UK, *EU]}
    assert ticks[3] == {location: ["model", "endpoint"] for location in [*UK, *EU]}


def test_a_new_landing_flows_through_its_jurisdiction_only(platform: Platform) -> None:
    """A new UK batch reaches every UK location and the UK route, and touches nothing in the EU."""
    platform.settle()
    platform.run(["landing"], "UK")
    ticks = platform.settle()
    assert sorted(requests_of(ticks, "endpoint")) == sorted(UK)
    assert {partition for tick in ticks for partition in tick} == {*UK, "UK"}


def test_a_dead_standby_stops_nobody_else(platform: Platform) -> None:
    """With a standby dead from the beginning the jurisdiction still trains, serves and routes."""
    platform.dead.add(UK[1])
    ticks = platform.settle()
    assert requests_of(ticks, "training_run").count("UK") == 1
    assert requests_of(ticks, "traffic_route").count("UK") == 1
    assert UK[2] in requests_of(ticks, "endpoint")


def test_a_location_that_fails_forever_is_asked_a_bounded_number_of_times(platform: Platform) -> None:
    """Each asset of a dead location is requested once per landing at most, however many ticks pass."""
    platform.dead.add(UK[0])
    ticks = platform.settle(ticks=20)
    assert requests_of(ticks, "raw_data").count(UK[0]) == 1
    assert requests_of(ticks, "training_run").count("UK") == 0
    assert requests_of(ticks, "training_run").count("EU") == 1


def test_a_failed_landing_waits_for_its_cron(platform: Platform) -> None:
    """A source that cannot be read is not asked again on every tick."""
    platform.dead.update({"UK", "EU"})
    assert len(requests_of(platform.settle(ticks=10), "landing")) == 2


def test_a_landing_is_due_once_per_tick_of_its_cron(platform: Platform) -> None:
    """When the workload's cron passes, each jurisdiction lands once, and the batch flows on from there."""
    platform.settle()
    new_year = datetime(datetime.now(UTC).year + 1, 1, 1, tzinfo=UTC)
    due = platform.tick(at=new_year + timedelta(minutes=1))
    assert sorted(due) == ["EU", "UK"]
    after = platform.tick(at=new_year + timedelta(minutes=2))
    assert requests_of([after], "landing") == []
    assert sorted(requests_of([after], "raw_data")) == sorted([*UK, *EU])


def test_a_failed_check_holds_back_only_its_location(platform: Platform) -> None:
    """Corrupt raw data in one location never becomes features there, and the other locations go on."""
    platform.corrupt.add(UK[1])
    platform.settle()
    published = platform.instance.get_materialized_partitions(dg.AssetKey("feature_snapshot"))
    assert published == {*UK, *EU} - {UK[1]}


def test_a_check_that_only_warns_holds_nothing_back(platform: Platform) -> None:
    """Drifted features are told to people; the location trains, serves and takes new data as before."""
    platform.drifted.update([*UK, *EU])
    assert sorted(requests_of(platform.settle(), "endpoint")) == sorted([*UK, *EU])
    platform.run(["landing"], "UK")
    assert sorted(requests_of(platform.settle(), "endpoint")) == sorted(UK)


def test_a_mended_location_catches_up_with_the_next_landing(platform: Platform) -> None:
    """A check that failed in an earlier run does not hold the location back once it is due to run again."""
    platform.corrupt.add(UK[1])
    platform.settle()
    platform.corrupt.clear()
    platform.run(["landing"], "UK")
    platform.settle()
    assert UK[1] in platform.instance.get_materialized_partitions(dg.AssetKey("endpoint"))


def test_new_features_alone_do_not_start_an_endpoint_again(platform: Platform) -> None:
    """A running server takes new features by itself; only a new model is a reason to change it."""
    platform.settle()
    platform.run(["feature_snapshot"], UK[2])
    assert UK[2] not in requests_of(platform.settle(), "endpoint")
