"""Where a run's work is done, as tags of the run, so that the queue can bound each location and each cloud.

Runs come from sensors, schedules, backfills and people. All of them pass the instance's run coordinator, so it is there
that they get their tags. How many may run at once is `dagster.yaml`'s business: the root's on a laptop, that of
`deploy/instance` on a cluster.
"""

from collections.abc import Collection

import dagster as dg
from dagster._core.run_coordinator import QueuedRunCoordinator, SubmitRunContext

PARTITION_TAG = "dagster/partition"
LOCATION_TAG = "mcml/location"
"""On runs of assets by location: `aws/eu-west-2`."""
CLOUD_TAG = "mcml/cloud"
"""Beside it, the cloud: `aws`. A run by jurisdiction has none: which location does its work, only the run finds out."""
PLACE_TAG = "mcml/place"
"""What no two runs may change at the same time: the workloads of a run, and its location or jurisdiction."""


def placement_tags(partition: str | None, assets: Collection[dg.AssetKey]) -> dict[str, str]:
    """The tags of a run of these assets and this partition; none for a run without a partition, which is a job over all."""
    if partition is None:
        return {}
    workloads = "+".join(sorted({key.path[0] for key in assets}))
    tags = {PLACE_TAG: f"{workloads}@{partition}"} if workloads else {}
    cloud, separator, _ = partition.partition("/")
    return tags | {LOCATION_TAG: partition, CLOUD_TAG: cloud} if separator else tags


class PlacedRunCoordinator(QueuedRunCoordinator):
    """Dagster's own queue; each run is tagged with its place before it is queued."""

    def submit_run(self, context: SubmitRunContext) -> dg.DagsterRun:
        """Tag and queue a run."""
        run = context.dagster_run
        checked = {check.asset_key for check in run.asset_check_selection or ()}
        tags = placement_tags(run.tags.get(PARTITION_TAG), {*(run.asset_selection or ()), *checked})
        if tags:
            self._instance.add_run_tags(run.run_id, tags)
        return super().submit_run(context)
