"""Where game days are kept, one folder each, and how one goes through its scenarios; the drills are those of `mcml drill`."""

import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg

from mcml_assets.configuration.gameday_files import gameday_named
from mcml_assets.configuration.scenario_files import scenario_named
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.drill import Verdict
from mcml_assets.domain.drill_result import DrillResult
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.gameday import GameDay, Held, Note, document, remaining
from mcml_assets.domain.topology import did_you_mean
from mcml_assets.domain.workload import Workload
from mcml_assets.drills.results import keep, kept_results, report_event
from mcml_assets.drills.run import rehearse
from mcml_assets.serving.folder import write_atomically

DOCUMENT, STATE = "gameday.md", "gameday.json"


def plan(day: GameDay, workload: Workload, jurisdiction: str, people: Mapping[str, str], settings: Settings) -> Path:
    """Begin a game day, and return its document. Raises `ConfigurationError` for a role that the definition has not."""
    for role in people:
        if role not in day.roles:
            raise ConfigurationError(f"{day.name} has no role {role!r}{did_you_mean(role, day.roles)}")
    name = f"{datetime.now(UTC):%Y%m%d}-{day.name}-{secrets.token_hex(2)}"
    return save(day, Held(name, workload.name, workload.placement(jurisdiction).jurisdiction, workload.owner, people), settings)


def save(day: GameDay, held: Held, settings: Settings) -> Path:
    """Keep a game day and its document, and return the document."""
    folder = _folder(settings) / held.id
    write_atomically(folder / STATE, json.dumps({"definition": day.name, **asdict(held)}, indent=2) + "\n")
    titles = {name: scenario_named(name).title for name in day.scenarios}
    write_atomically(folder / DOCUMENT, document(day, held, titles, results_of(held, settings)))
    return folder / DOCUMENT


def load(name: str, settings: Settings) -> tuple[GameDay, Held]:
    """A game day by its id, and its definition. Raises `ConfigurationError` with the nearest id."""
    known = [file.parent.name for file in _folder(settings).glob(f"*/{STATE}")]
    if name not in known:
        raise ConfigurationError(f"unknown game day {name!r}{did_you_mean(name, known)}; `mcml gameday plan` begins one")
    said = json.loads((_folder(settings) / name / STATE).read_bytes())
    definition = said.pop("definition")
    said |= {"drills": tuple(said["drills"]), "notes": tuple(Note(**note) for note in said["notes"])}
    return gameday_named(definition), Held(**said)


def results_of(held: Held, settings: Settings) -> list[dict[str, Any]]:
    """The documents of its drills, oldest first."""
    return [one for one in kept_results(settings) if one["id"] in held.drills]


def last_held(settings: Settings) -> float | None:
    """When the last drill of a game day ended (seconds since the epoch); None when none was ever held."""
    drills = {drill for file in _folder(settings).glob(f"*/{STATE}") for drill in json.loads(file.read_bytes())["drills"]}
    return max((one["ended"] for one in kept_results(settings) if one["id"] in drills), default=None)


def run(
    day: GameDay,
    held: Held,
    workload: Workload,
    settings: Settings,
    instance: dg.DagsterInstance,
    tell: Callable[[str], object],
    go_on: Callable[[str], bool],
) -> tuple[Held, list[DrillResult]]:
    """Go through the scenarios that are left, as long as `go_on` says so of each; a refusal ends the run, and is in
    the minutes.

    Each result is kept at once, so that a day that was interrupted goes on where it was.
    """
    made: list[DrillResult] = []
    for name in remaining(day, results_of(held, settings)):
        scenario = scenario_named(name)
        if not go_on(scenario.title):
            break
        result = rehearse(scenario, workload, held.jurisdiction, settings, instance, tell)
        made.append(result)
        if result.verdict is Verdict.REFUSED:
            refused = Note(time.time(), f"{name} was refused: {'; '.join(result.reasons)}")
            held = replace(held, notes=(*held.notes, refused))
            save(day, held, settings)
            break
        report_event(result, workload, keep(result, settings), instance)
        held = replace(held, drills=(*held.drills, result.id))
        save(day, held, settings)
    return held, made


def _folder(settings: Settings) -> Path:
    return settings.home / "gamedays"
