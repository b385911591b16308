"""`endpoint_health`: keeps somebody watching the endpoints, and puts on record what rollouts did and people decided by flags.

How a server or the edge is restarted, and a rollout driven, is the data plane's: all of it goes on without Dagster, and is
told here when Dagster is back.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import dagster as dg

from mcml_assets.domain.alert import Finding
from mcml_assets.domain.errors import McmlError
from mcml_assets.domain.rollout import Phase, Rollout
from mcml_assets.domain.route import Route
from mcml_assets.resources.alerts import Alerts
from mcml_assets.resources.endpoints import Endpoints
from mcml_assets.sensors.pace import every
from mcml_assets.sensors.telling import Telling, tell

INTERVAL_SECONDS = 15
FORMAT = 1


@dataclass
class Told:
    """The cursor: the time (Unix seconds) of the newest event told of each rollout, by `workload@location`, and of the newest
    change of a flag told of each route, by `workload.jurisdiction`.
    """

    until: dict[str, float] = field(default_factory=dict[str, float])
    telling: Telling = field(default_factory=Telling)

    @classmethod
    def from_json(cls, text: str | None) -> "Told":
        """Read a stored cursor; one of another version is forgotten."""
        document = json.loads(text) if text else {}
        if document.pop("format", None) != FORMAT:
            return cls()
        return cls(document["until"], Telling.from_document(document["telling"]))

    def to_json(self) -> str:
        """The stored form."""
        document = {"format": FORMAT, "until": self.until, "telling": self.telling.to_document()}
        return json.dumps(document, separators=(",", ":"))


@dg.sensor(
    name="endpoint_health",
    minimum_interval_seconds=every(INTERVAL_SECONDS),
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts the data plane again when it ended; puts each step of a rollout and each change of a flag on record, "
    "and tells of a rollout that went back.",
)
def endpoint_health(context: dg.SensorEvaluationContext, endpoints: Endpoints, alerts: Alerts) -> dg.SensorResult:
    """Requests no run, ever: an endpoint that should run is brought back by the data plane, not by Dagster."""
    told = Told.from_json(context.cursor)
    lines: list[str] = []
    try:
        restarted = endpoints.keep_watched()
        lines.append("The data plane had ended and was started again." if restarted else "The data plane runs.")
    except McmlError as error:
        # Said on every tick, in the tick's own page, until somebody mends it: a failed tick would say no more.
        context.log.error("%s", error)
        lines.append(f"The data plane does not start: {error}")
    routes = endpoints.routes()
    events = list(_flag_changes(routes, told.until))
    flags_until = {route.name: _seconds(route.flag_changes[-1].at) for route in routes if route.flag_changes}
    told.until |= flags_until
    try:
        rollouts = endpoints.rollouts()
    except McmlError as error:
        context.log.error("%s", error)
    else:
        events += _observations(rollouts, told.until)
        told.until = flags_until | {_name(rollout): rollout.events[-1].at for rollout in rollouts}
        lines += tell("endpoint_health", _findings(rollouts), told.telling, alerts, datetime.now(UTC))
    return dg.SensorResult(skip_reason=dg.SkipReason("\n".join(lines)), asset_events=events, cursor=told.to_json())


def _observations(rollouts: Iterable[Rollout], until: dict[str, float]) -> Iterator[dg.AssetObservation]:
    for rollout in rollouts:
        for event in rollout.events:
            if event.at > until.get(_name(rollout), 0.0):
                yield dg.AssetObservation(
                    dg.AssetKey([rollout.workload, "endpoint"]),
                    partition=rollout.location,
                    description=event.text,
                    metadata={
                        "rollout": event.phase.value,
                        "model_version": rollout.version,
                        "former_version": rollout.former_version,
                        "at": dg.MetadataValue.timestamp(event.at),
                    },
                )


def _flag_changes(routes: Iterable[Route], until: dict[str, float]) -> Iterator[dg.AssetObservation]:
    for route in routes:
        for change in route.flag_changes:
            if _seconds(change.at) > until.get(route.name, 0.0):
                done = "cleared" if change.value is None else f"set to {change.value}"
                yield dg.AssetObservation(
                    dg.AssetKey([route.workload, "traffic_route"]),
                    partition=route.jurisdiction,
                    description=f"{change.who}: {change.name} of {change.location} is {done}: {change.reason}",
                    metadata={
                        "flag": change.name,
                        "location": change.location,
                        "value": "none" if change.value is None else change.value,
                        "who": change.who,
                        "reason": change.reason,
                        "at": dg.MetadataValue.timestamp(_seconds(change.at)),
                    },
                )


def _findings(rollouts: Sequence[Rollout]) -> Iterator[Finding]:
    """A version that was found wanting; one that somebody stopped is known to them."""
    for rollout in rollouts:
        if rollout.phase is Phase.ROLLED_BACK:
            yield Finding(
                cause=f"rollout/{rollout.workload}",
                title=f"{rollout.workload}: version {rollout.version} was rolled back",
                where=rollout.location,
                detail=rollout.reason or "unknown",
            )


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()


def _name(rollout: Rollout) -> str:
    return f"{rollout.workload}@{rollout.location}"
