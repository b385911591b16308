"""`python -m mcml_assets_tests.benchmarks.instance`: an instance on PostgreSQL beside one on sqlite, with few and many runs.

Growth is measured over real runs of a location's chain of four assets with a check each, without their printed output. Ticks
are what the daemon and the UI ask of an instance again and again, with nothing new to find, after the rows of those runs were
repeated under other ids until there are so many. sqlite's file per run is not repeated: no tick opens those.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import dagster as dg
import yaml
from dagster._core.instance.ref import InstanceRef
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from sqlalchemy import create_engine, inspect, text

from mcml_assets_tests.benchmarks.report import Result, in_turns, publish, seconds
from mcml_assets_tests.instance.postgres import postgres

RUNS = (1_000, 50_000)
REAL = 25
"""Runs that truly ran, from which growth is taken; more cost time and change nothing."""
TURNS = 11
LOCATIONS = [f"{cloud}/region-{number}" for cloud in ("aws", "gcp", "azure") for number in range(10)]
NOUNS = ("raw_data", "feature_snapshot", "model", "endpoint")
SERIES = "WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < :more) "
COPIED = {"runs": "run_id", "run_tags": "run_id", "event_logs": "run_id"}
"""Tables that grow with runs, and the column that is the run's id; the run's body holds it too."""


def _chain() -> list[dg.AssetsDefinition]:
    def one(noun: str, upstream: str | None) -> dg.AssetsDefinition:
        key = dg.AssetKey(["shop", noun])

        @dg.asset(
            key=key, deps=[dg.AssetKey(["shop", upstream])] if upstream else [],
            partitions_def=dg.StaticPartitionsDefinition(LOCATIONS), check_specs=[dg.AssetCheckSpec("integrity", asset=key)],
        )  # fmt: skip
        def made(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
            return dg.MaterializeResult(
                data_version=dg.DataVersion("0" * 64), metadata={"bytes": 1, "snapshot": "0" * 12},
                check_results=[dg.AssetCheckResult(passed=True)],
            )  # fmt: skip

        return made

    return [one(noun, upstream) for noun, upstream in zip(NOUNS, (None, *NOUNS), strict=False)]


DEFINITIONS = dg.Definitions(assets=_chain(), executor=dg.in_process_executor)


class Store:
    """One instance, its databases, and how many bytes they have."""

    def __init__(self, instance: dg.DagsterInstance, runs: str, events: str, size: Callable[[], int]) -> None:
        self.instance, self.size = instance, size
        self._engines = {"runs": create_engine(runs), "run_tags": create_engine(runs), "event_logs": create_engine(events)}
        self.stored = 0

    def run_really(self, count: int) -> None:
        """Run the chain so many times, location after location."""
        job = DEFINITIONS.resolve_implicit_global_asset_job_def()
        for number in range(count):
            done = job.execute_in_process(instance=self.instance, partition_key=LOCATIONS[number % len(LOCATIONS)])
            assert done.success
        self.stored += count

    def repeat(self, count: int) -> None:
        """Repeat the newest run's rows until there are so many runs."""
        (newest,) = self.instance.get_runs(limit=1)
        for table, id_column in COPIED.items():
            engine = self._engines[table]
            with engine.begin() as database:
                columns = [name for name in _columns(database, table) if name != "id"]
                other = "(:prefix || CAST(n AS TEXT))"
                values = [
                    other if name == id_column else f"replace({name}, :old, {other})" if name in ("run_body", "event") else name
                    for name in columns
                ]
                series = SERIES if engine.dialect.name == "sqlite" else SERIES.replace(":more", "CAST(:more AS INTEGER)")
                names = ", ".join(columns)
                values[values.index(other)] += f" AS {id_column}"
                chosen = f"SELECT {', '.join(values)} FROM {table}, series WHERE {table}.{id_column} = :old"  # noqa: S608
                database.execute(
                    text(f"INSERT INTO {table} ({names}) {series}{chosen}"),
                    {"more": count - self.stored, "prefix": f"repeated-{count}-", "old": newest.run_id},
                )
        self.stored = count
        for engine in self._engines.values():
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as database:
                database.execute(text("ANALYZE"))


def _columns(database: object, table: str) -> list[str]:
    return [column["name"] for column in inspect(database).get_columns(table)]  # pyright: ignore[reportOptionalMemberAccess]


@contextmanager
def stores() -> Iterator[Mapping[str, Store]]:
    """Both instances, empty, with the cluster's queue."""
    with ExitStack() as stack:
        server = stack.enter_context(postgres())
        homes = [Path(stack.enter_context(TemporaryDirectory())) for _ in range(2)]
        queue = {
            "module": "mcml_assets.instance.run_placement",
            "class": "PlacedRunCoordinator",
            "config": {"max_concurrent_runs": 40},
        }
        common = {"run_coordinator": queue, "telemetry": {"enabled": False}}
        (homes[0] / "dagster.yaml").write_text(yaml.safe_dump(common))
        (homes[1] / "dagster.yaml").write_text(yaml.safe_dump(common | {"storage": {"postgres": {"postgres_url": server.url}}}))
        sqlite, other = (stack.enter_context(dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home)))) for home in homes)
        history = homes[0] / "history"

        def of_files() -> int:
            return sum(file.stat().st_size for file in history.rglob("*") if file.is_file())

        def of_server() -> int:
            with create_engine(server.url).connect() as database:
                return database.execute(text("SELECT pg_database_size(current_database())")).scalar_one()

        yield {
            "sqlite": Store(sqlite, f"sqlite:///{history}/runs.db", f"sqlite:///{history}/runs/index.db", of_files),
            "postgres": Store(other, server.url, server.url, of_server),
        }


TICKS: Mapping[str, Callable[[dg.DagsterInstance], object]] = {
    "the queue's look": lambda instance: QueuedRunCoordinatorDaemon(1)._get_runs_to_dequeue(
        instance, instance.get_concurrency_config(), fixed_iteration_time=None
    ),
    "run monitoring's look": lambda instance: instance.get_run_records(
        dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED])
    ),
    "is this run key known": lambda instance: instance.get_run_records(dg.RunsFilter(tags={"dagster/run_key": "never seen"})),
    "runs of a location, newest first": lambda instance: instance.get_run_records(
        dg.RunsFilter(tags={"dagster/partition": LOCATIONS[0]}), limit=25
    ),
    "what is materialized, one asset": lambda instance: instance.get_materialized_partitions(dg.AssetKey(["shop", "model"])),
    "newest of each partition, one asset": lambda instance: instance.event_log_storage.get_latest_storage_id_by_partition(
        dg.AssetKey(["shop", "model"]), dg.DagsterEventType.ASSET_MATERIALIZATION
    ),
}


def main() -> None:
    """Run everything and publish `build/bench/instance.json`; ours is PostgreSQL, the peer sqlite."""
    results: list[Result] = []
    with stores() as both:
        grown = {}
        for name, store in both.items():
            store.run_really(1)  # what the first run makes is not growth
            before = store.size()
            took = seconds(lambda store=store: store.run_really(REAL)) / REAL
            grown[name] = ((store.size() - before) / REAL / 1024, took)
        results.append(Result("growth by a run of four assets", "", grown["postgres"][0], grown["sqlite"][0], "KiB"))
        results.append(Result("such a run, in one process", "", grown["postgres"][1], grown["sqlite"][1], "s"))
        for count in RUNS:
            for store in both.values():
                store.repeat(count)
            for what, tick in TICKS.items():
                contenders = {name: _asked(store.instance, tick) for name, store in both.items()}
                for ask in contenders.values():
                    ask()  # the first asks for what is not in memory yet
                took = in_turns(contenders, TURNS)
                results.append(Result(f"{what}, {count:,} runs", "", took["postgres"], took["sqlite"], "ms"))
    publish("instance", results)


def _asked(instance: dg.DagsterInstance, tick: Callable[[dg.DagsterInstance], object]) -> Callable[[], float]:
    return lambda: median(1000 * seconds(lambda: tick(instance)) for _ in range(3))


if __name__ == "__main__":
    main()
