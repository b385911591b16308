"""`make bench-replication`: how fast, how surely and in how much memory snapshots are copied, beside rclone, s5cmd, boto3
and bare obstore, in one run; writes `build/bench/replication.json`.

What each row measures is in the modules `replication_*.py`; what limits the figures is in
deploy/docs/replication-speed.md. It takes less than a quarter of an hour on two idle cores, and prints a table of Markdown at
the end.
"""

from rich.console import Console

from mcml_assets_tests.benchmarks.replication_corruption import corrupted_in_flight
from mcml_assets_tests.benchmarks.replication_growth import growth
from mcml_assets_tests.benchmarks.replication_memory import memory
from mcml_assets_tests.benchmarks.replication_places import emulated_buckets
from mcml_assets_tests.benchmarks.replication_throughput import (
    between_web_servers,
    large_in_memory,
    large_on_disk,
    large_through_emulators,
    small_through_emulators,
)
from mcml_assets_tests.benchmarks.replication_unchanged import unchanged_through_emulators
from mcml_assets_tests.benchmarks.report import Result, markdown, publish

WITH_EMULATORS = (
    large_through_emulators,
    small_through_emulators,
    unchanged_through_emulators,
    corrupted_in_flight,
    memory,
)


def main() -> None:
    """Run everything, the emulators anew for each part: they slow down with what they hold."""
    results: list[Result] = [*large_in_memory(), *large_on_disk(), *between_web_servers()]
    for part in WITH_EMULATORS:
        with emulated_buckets() as emulators:
            results += part(emulators)
    results += growth()
    publish("replication", results)
    Console(soft_wrap=True).print(markdown(results), markup=False, highlight=False)


if __name__ == "__main__":
    main()
