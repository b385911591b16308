"""`repair`: where `integrity` or `parity` failed, the location that is to blame copies anew from good ones; no other does.

A failed `integrity` accuses its own location: its bytes are not what was promised. A failed `parity` says only that two
differ, so all locations of the placement vote. What is down is no case for repair, and what the acting location alone
has, nobody can copy: then a person is told.

Bound: two runs for each check and location within a day.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import dagster as dg

from mcml_assets.domain.errors import CredentialsRejected, LocationUnavailable, McmlError
from mcml_assets.domain.parity import Holding, convene
from mcml_assets.domain.workload import Workload
from mcml_assets.resources.stores import CloudStores
from mcml_assets.sensors.check_results import FailedCheck, new_failed_checks
from mcml_assets.sensors.cursor import remembered, seen, stored
from mcml_assets.sensors.failures import Seen
from mcml_assets.sensors.pace import every

INTERVAL_SECONDS = 10
WANTED: Mapping[str, tuple[str, ...]] = {
    "integrity": ("raw_data", "feature_snapshot", "model"),
    "parity": ("raw_data", "model"),
}
SCRUB_JOB = "integrity_scrub"
FORGOTTEN_SECONDS = 86_400.0
MOST_REPAIRS = 2
"""Copies that are made anew for one failure, before a person is told."""
REPAIR_TAG = "mcml/repair"
NO_CASE = (LocationUnavailable.__name__, CredentialsRejected.__name__)
FORMAT = 1


@dataclass
class Repairs:
    """The sensor's memory: how far results were read, and by failure when it was first seen and how often repaired."""

    seen: Seen | None = None
    made: dict[str, tuple[float, int]] = field(default_factory=dict[str, "tuple[float, int]"])

    @classmethod
    def from_json(cls, text: str | None) -> "Repairs":
        """Read a stored cursor; one of another version is forgotten."""
        document = remembered(text, FORMAT)
        if document is None:
            return cls()
        made = {key: (first, count) for key, (first, count) in document["made"].items()}
        return cls(seen(document["seen"]), made)

    def to_json(self) -> str:
        """The stored form."""
        return stored(self, FORMAT)


def build_repair(workloads: Callable[[], Sequence[Workload]]) -> dg.SensorDefinition:
    """The sensor over the workloads that `workloads` gives."""

    @dg.sensor(
        name="repair",
        asset_selection=dg.AssetSelection.all(),
        minimum_interval_seconds=every(INTERVAL_SECONDS),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Asks the location whose copy a check proved wrong to copy it anew from good ones, twice at most.",
    )
    def repair(context: dg.SensorEvaluationContext, stores: CloudStores) -> dg.SensorResult:
        """One tick; see the module."""
        repairs = Repairs.from_json(context.cursor)
        by_name = {workload.name: workload for workload in workloads()}
        now = datetime.now(UTC).timestamp()
        failed, repairs.seen = new_failed_checks(context.instance, repairs.seen, by_name, WANTED, (SCRUB_JOB,), now)
        repairs.made = {key: made for key, made in repairs.made.items() if now - made[0] < FORGOTTEN_SECONDS}
        requests: list[dg.RunRequest] = []
        events: list[dg.AssetObservation] = []
        for one in failed:
            reason = not_to_repair(by_name[one.workload], one, stores)
            request = None if reason else _request(one, repairs, now)
            if request is not None:
                requests.append(request)
            reason = reason or ("it is copied anew" if request else f"{MOST_REPAIRS} repairs did not mend it: a person has to")
            events.append(_told(one, reason))
            context.log.log(30 if request is None else 20, "%s/%s in %s: %s", one.workload, one.noun, one.partition, reason)
        skipped = None if requests else dg.SkipReason("Nothing is to be repaired.")
        return dg.SensorResult(
            run_requests=requests or None, skip_reason=skipped, cursor=repairs.to_json(), asset_events=events
        )

    return repair


def not_to_repair(workload: Workload, failed: FailedCheck, stores: CloudStores) -> str | None:
    """Why this location is not asked to copy anew; None when it is to blame, and a copy can mend it."""
    if failed.metadata.get("error") in NO_CASE:
        return "the location did not answer: that is an outage, and no case for repair"
    if failed.check == "integrity":
        return None
    placement = workload.placement_of(failed.partition)
    held = {placed.key: _held(workload, placed.key, failed.noun, stores) for placed in placement.locations}
    # Whoever is behind holds another snapshot than the others, and is to copy too: all are of one generation here.
    holdings = [Holding(location, "current", snapshot) for location, snapshot in held.items() if snapshot is not None]
    quorum = convene(holdings, "current", lambda one, other: False)
    if quorum.undecided or not holdings:
        return "too few locations hold anything to say which one is wrong: a person has to"
    if failed.partition not in quorum.accused:
        named = ", ".join(quorum.accused) or "nobody"
        return f"the vote accuses {named}, and not this location"
    return None


def _held(workload: Workload, location: str, noun: str, stores: CloudStores) -> str | None:
    try:
        pointer = stores.snapshots(workload, location, noun).current_pointer()
    except McmlError:
        return None
    return pointer.snapshot_id if pointer is not None else None


def _request(failed: FailedCheck, repairs: Repairs, now: float) -> dg.RunRequest | None:
    key = f"{failed.workload}/{failed.noun}/{failed.check}/{failed.partition}"
    first, count = repairs.made.get(key, (now, 0))
    if count >= MOST_REPAIRS:
        return None
    repairs.made[key] = (first, count + 1)
    return dg.RunRequest(
        run_key=f"repair/{key}/{int(first)}/{count + 1}",
        partition_key=failed.partition,
        asset_selection=[dg.AssetKey([failed.workload, failed.noun])],
        run_config={"ops": {f"{failed.workload}__{failed.noun}": {"config": {"verify": True}}}},
        tags={REPAIR_TAG: f"{failed.check} {count + 1} of {MOST_REPAIRS}"},
    )


def _told(failed: FailedCheck, reason: str) -> dg.AssetObservation:
    return dg.AssetObservation(
        dg.AssetKey([failed.workload, failed.noun]),
        partition=failed.partition,
        description=f"{failed.check} failed in {failed.partition}: {reason}",
        metadata={"check": failed.check, "decision": reason, "failed_in_run": failed.run_id},
    )
