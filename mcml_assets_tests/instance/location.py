"""The code location of the instance's test, twice: a job by location, and a sensor that requests each order once."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

NAME, FOLDER = os.environ["INSTANCE_TEST_NAME"], Path(os.environ["INSTANCE_TEST_FOLDER"])


@dg.asset(
    key=[NAME, "work"], partitions_def=dg.StaticPartitionsDefinition(["aws/eu-west-2", "gcp/europe-west2", "azure/uksouth"])
)
def work(context: dg.AssetExecutionContext) -> None:
    """Takes a moment, as work does, so that faults meet it."""
    context.log.info("began")
    time.sleep(1.5)


@dg.sensor(
    name="orders",
    target=[work],
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def orders(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest]:
    """Everything that was ever ordered, at every tick: only the run key keeps it from being run again."""
    for line in (FOLDER / f"orders-{NAME}").read_text().splitlines():
        key, partition = line.split()
        yield dg.RunRequest(run_key=key, partition_key=partition)


defs = dg.Definitions(assets=[work], sensors=[orders], executor=dg.in_process_executor)
