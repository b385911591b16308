"""`python -m mcml_assets_tests.benchmarks.failover`: how long an outage lasts, stage by stage, on a live platform.

Each round darkens the location that acts for one jurisdiction, takes the times, mends it, and waits until it has caught up.
The next round of that jurisdiction darkens whoever acts then, so work goes back and forth. Batches are five days of the real
data instead of thirty, which gives each round one to land, and `failback` is manual, or a handover would fall into
another round. Rounds are kept as they end: run again, it goes on. What others publish are their words for their
services; it was not measured here.
"""

import argparse
import json
import os
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any

import dagster as dg

from mcml_assets.automation import TAKEOVER_TAG
from mcml_assets.configuration.settings import PROJECT_ROOT
from mcml_assets.sensors.cursor import Cursor
from mcml_assets_tests.benchmarks.running_platform import WORKLOAD, Platform, copy_project, running, wait_until

BENCH = PROJECT_ROOT / "build" / "bench"
ROUNDS = BENCH / "failover-rounds.jsonl"
ASKED = {"UK": 17850, "EU": 12583}
CHANGES = {" batch_days: 30\n": " batch_days: 5\n", "failback: auto ": "failback: manual "}
"""Lines of the declaration; ten outages of a jurisdiction need more batches than thirty days each give."""
ROUND_SECONDS = 180.0
MENDED_SECONDS = 900.0
STAGES = ("detected", "decided", "first_run", "published", "predicted")
GOALS = {"decided": 5.0, "published": 20.0}
"""Seconds from the fault: one tick of a sensor, and what a placement's RTO of a minute leaves room for three times over."""
WHAT = {
    "detected": "a tick of the failover sensor that finds it down begins",
    "decided": "the register names another location",
    "first_run": "the first run there starts",
    "published": "its first snapshot is published",
    "predicted": "the first prediction from features of new data",
}
LIFE = {
    "PIPELINE_STARTING": "is launched",
    "PIPELINE_START": "starts",
    "STEP_START": "begins",
    "PIPELINE_SUCCESS": "ends",
    "PIPELINE_FAILURE": "fails",
}
OTHERS = (
    ("Route 53 failover records", "30 s to notice (10 s x 3), then the record's TTL",
     "https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html"),
    ("Temporal Cloud, multi-cloud replication", "recovery time objective of 20 minutes",
     "https://docs.temporal.io/cloud/rpo-rto"),
    ("AWS Region switch", "plans are evaluated every 30 minutes",
     "https://docs.aws.amazon.com/r53recovery/latest/dg/region-switch.html"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Round:
    """One outage: who was left for whom, and seconds from the fault to each stage; None where a stage was not reached.

    `began` is ISO 8601; `load` the machine's load average just before; `asked` and `unanswered` count predictions asked of
    the edge from the fault on; `timeline` has what Dagster shows of it, in seconds from the fault.
    """

    began: str
    load: float
    jurisdiction: str
    left: str
    taken_by: str
    detected: float | None
    decided: float | None
    first_run: float | None
    published: float | None
    predicted: float | None
    asked: int
    unanswered: int
    timeline: list[tuple[float, str]]


def outage(platform: Platform, jurisdiction: str) -> Round:
    """One round."""
    load = os.getloadavg()[0]
    before = platform.register.entry(platform.workload, jurisdiction)
    known = {row.feature_snapshot for row in platform.rows()}
    began = platform.darken(before.acting.location)
    predicted, asked, unanswered = _ask_for_new_features(platform, jurisdiction, began, known)
    after = platform.register.entry(platform.workload, jurisdiction)
    moved = after.acting.epoch > before.acting.epoch
    with platform.instance() as instance:
        detected = _down_since(instance, before.acting.location)
        first_run, published = _takeover(instance, f"{WORKLOAD}/{jurisdiction}/{after.acting.epoch}", jurisdiction, began)
        told = timeline(instance, platform, jurisdiction, began)
    platform.mcml("fault", "clear", "--all")
    return Round(
        began=datetime.fromtimestamp(began, UTC).isoformat(timespec="seconds"),
        load=round(load, 2),
        jurisdiction=jurisdiction,
        left=before.acting.location,
        taken_by=after.acting.location,
        detected=_since(began, detected),
        decided=_since(began, datetime.fromisoformat(after.since).timestamp() if moved else None),
        first_run=_since(began, first_run),
        published=_since(began, published),
        predicted=_since(began, predicted),
        asked=asked,
        unanswered=unanswered,
        timeline=told,
    )


def _since(began: float, moment: float | None) -> float | None:
    """Seconds from the fault; a tick that was under way when it came began before, and counts as at once."""
    return None if moment is None else round(max(0.0, moment - began), 2)


def _ask_for_new_features(
    platform: Platform, jurisdiction: str, began: float, known: set[str | None]
) -> tuple[float | None, int, int]:
    """Ask the edge four times a second; when an answer came from features that nobody had, how many were asked and lost."""
    asked = unanswered = 0
    while time.time() < began + ROUND_SECONDS:
        answer = platform.predict(jurisdiction, ASKED[jurisdiction])
        asked += 1
        unanswered += answer is None
        if answer is not None and answer.feature_snapshot[:12] not in known:
            return time.time(), asked, unanswered
        time.sleep(0.25)
    return None, asked, unanswered


def _down_since(instance: dg.DagsterInstance, location: str) -> float | None:
    """Since when the failover sensor has taken the location for down, by its cursor."""
    for state in instance.all_instigator_state():
        if state.instigator_name == "failover":
            return Cursor.from_json(getattr(state.instigator_data, "cursor", None)).down.get(location)
    return None


def _takeover(
    instance: dg.DagsterInstance, takeover: str, jurisdiction: str, began: float
) -> tuple[float | None, float | None]:
    """When the first run of this takeover started, and when the jurisdiction's next landing was published."""
    records = instance.get_run_records(dg.RunsFilter(tags={TAKEOVER_TAG: takeover}))
    starts = [record.start_time for record in records if record.start_time]
    wanted = dg.AssetRecordsFilter(dg.AssetKey([WORKLOAD, "landing"]), asset_partitions=[jurisdiction], after_timestamp=began)
    landed = instance.fetch_materializations(wanted, limit=10).records
    return min(starts, default=None), min((record.timestamp for record in landed), default=None)


def timeline(instance: dg.DagsterInstance, platform: Platform, jurisdiction: str, began: float) -> list[tuple[float, str]]:
    """Decisions, the life of every run since the fault, and what was published."""
    told: list[tuple[float, str]] = []
    route = dg.AssetRecordsFilter(
        dg.AssetKey([WORKLOAD, "traffic_route"]), asset_partitions=[jurisdiction], after_timestamp=began
    )
    for record in instance.fetch_observations(route, limit=50).records:
        observation = record.event_log_entry.asset_observation
        told.append((record.timestamp, observation.description or "" if observation else ""))
    places = {jurisdiction, *(placed.key for placed in platform.workload.placement(jurisdiction).locations)}
    for record in instance.get_run_records(dg.RunsFilter(created_after=datetime.fromtimestamp(began, UTC))):
        run = record.dagster_run
        nouns = " + ".join(sorted(key.path[-1] for key in run.asset_selection or ()))
        what = f"{nouns} [{run.tags.get('dagster/partition')}]"
        told.append((record.create_timestamp.timestamp(), f"{what} is requested"))
        for entry in instance.all_logs(run.run_id):
            event = entry.dagster_event
            if event is None or run.tags.get("dagster/partition") not in places:
                continue
            if event.event_type_value in (
                "PIPELINE_STARTING",
                "PIPELINE_START",
                "STEP_START",
                "PIPELINE_SUCCESS",
                "PIPELINE_FAILURE",
            ):
                told.append(
                    (entry.timestamp, f"{what}: {event.event_type_value.replace('PIPELINE', 'RUN')} {event.step_key or ''}")
                )
            elif event.event_type_value == "ASSET_MATERIALIZATION":
                told.append((entry.timestamp, f"{what}: {event.asset_key.path[-1] if event.asset_key else ''} is published"))
    return sorted((round(at - began, 2), text.strip()) for at, text in told)


def report(rounds: list[Round]) -> dict[str, Any]:
    """Median and worst of each stage, for both jurisdictions together and each, beside what others publish."""
    groups = {"all": rounds} | {name: [one for one in rounds if one.jurisdiction == name] for name in ASKED}
    return {
        "rounds": len(rounds),
        "stages": {group: {stage: _figures(stage, those) for stage in STAGES} for group, those in groups.items()},
        "goals": GOALS,
        "asked": sum(one.asked for one in rounds),
        "unanswered": sum(one.unanswered for one in rounds),
        "load": {
            "median": median([one.load for one in rounds] or [0.0]),
            "worst": max((one.load for one in rounds), default=0),
        },
        "others": [dict(zip(("who", "says", "source"), other, strict=True)) for other in OTHERS],
        "each": [asdict(one) for one in rounds],
    }


def _figures(stage: str, rounds: list[Round]) -> dict[str, Any]:
    taken = [seconds for one in rounds if (seconds := getattr(one, stage)) is not None]
    within = sum(seconds <= GOALS[stage] for seconds in taken) if stage in GOALS else None
    return {
        "median": round(median(taken), 1) if taken else None,
        "worst": round(max(taken), 1) if taken else None,
        "reached": len(taken),
        "of": len(rounds),
        "within_goal": within,
    }


def table(found: dict[str, Any]) -> str:
    """The report as Markdown."""
    load, count = found["load"], found["rounds"]
    lines = [
        f"Seconds from the fault, {count} rounds; load average before each {load['median']}, worst {load['worst']}.", "",
        "| until | median | worst | UK | EU | goal |", "| --- | ---: | ---: | ---: | ---: | --- |",
    ]  # fmt: skip
    for stage in STAGES:
        both, each = found["stages"]["all"][stage], [found["stages"][name][stage] for name in ASKED]
        goal = f"{GOALS[stage]:g} s: met in {both['within_goal']} of {both['of']}" if stage in GOALS else ""
        if both["reached"] < both["of"]:
            goal += f" (reached in {both['reached']})"
        by_name = " | ".join(f"{one['median']} / {one['worst']}" for one in each)
        lines.append(f"| {WHAT[stage]} | {both['median']} | {both['worst']} | {by_name} | {goal} |")
    lines += ["", f"Meanwhile the edge left {found['unanswered']} of {found['asked']} predictions unanswered.", ""]
    lines += [f"- {other['who']}: {other['says']} ({other['source']})" for other in found["others"]]
    return "\n".join(lines)


def read_rounds() -> list[Round]:
    """The rounds that ended so far."""
    lines = ROUNDS.read_text().splitlines() if ROUNDS.exists() else []
    return [Round(**json.loads(line)) for line in lines]


def main() -> None:
    """Run what is missing of the rounds, and publish `build/bench/failover.json`."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rounds", type=int, default=20, help="Rounds in all, with those of earlier calls.")
    arguments.add_argument("--at-most", type=int, default=None, help="Rounds of this call; the next one goes on.")
    given = arguments.parse_args()
    platform = Platform(BENCH / "outages")
    if not platform.project.exists():
        copy_project(platform.project, CHANGES)
    done = read_rounds()
    wanted = range(len(done), given.rounds)[: given.at_most]
    if wanted:
        with running(platform):
            for number in wanted:
                done.append(outage(platform, tuple(ASKED)[number % 2]))
                with ROUNDS.open("a") as kept:
                    kept.write(json.dumps(asdict(done[-1])) + "\n")
                print(done[-1], flush=True)  # noqa: T201 - a benchmark tells how far it is
                wait_until(platform.caught_up, MENDED_SECONDS, 3.0, f"{done[-1].left} has caught up")
    if not done:
        raise SystemExit("no round has ended yet")
    found = report(done)
    target = BENCH / "failover.json"
    if target.exists():
        found |= {key: value for key, value in json.loads(target.read_text()).items() if key == "killed_daemon"}
    target.write_text(json.dumps(found, indent=2) + "\n")
    print(table(found))  # noqa: T201 - the figures


if __name__ == "__main__":
    main()
