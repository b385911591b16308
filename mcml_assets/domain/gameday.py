"""Game days: people rehearse together. The definition, and the document that is its plan before and its report afterwards.

Pure. Reading definitions is `configuration/gameday_files.py`'s business, running the scenarios and keeping the document
`drills/gamedays.py`'s.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class GameDay:
    """A definition: its roles with what each does, the agenda as (minutes, what), scenarios by name, and questions."""

    name: str
    title: str
    purpose: str
    roles: Mapping[str, str]
    agenda: tuple[tuple[int, str], ...]
    scenarios: tuple[str, ...]
    questions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """A line of the minutes, or an action, `at` seconds since the epoch; `owner` and `due` (ISO 8601) are an action's."""

    at: float
    text: str
    owner: str = ""
    due: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """A game day of one workload in one jurisdiction: who has which role, the ids of its drills, and what was written down.

    `contact` owns the actions that missed objectives give.
    """

    id: str
    workload: str
    jurisdiction: str
    contact: str
    people: Mapping[str, str]
    drills: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()


def remaining(day: GameDay, results: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The scenarios that were not rehearsed yet, in order; one that was refused gives no result, and is still to be done."""
    done = {one["scenario"] for one in results}
    return tuple(name for name in day.scenarios if name not in done)


def document(day: GameDay, held: Held, titles: Mapping[str, str], results: Sequence[Mapping[str, Any]]) -> str:
    """The whole document as Markdown: plan, results, minutes, actions. Before the day the last three say so.

    `titles` are the scenarios' titles by name, `results` the documents of the day's drills.
    """
    lines = [f"# {day.title}: {held.workload} in {held.jurisdiction}", "", day.purpose, "", f"Game day {held.id}.", ""]
    lines += ["## Roles", "", "| role | who | does |", "|---|---|---|"]
    lines += [f"| {role} | {_cell(held.people.get(role, 'to be named'))} | {does} |" for role, does in day.roles.items()]
    lines += ["", "## Agenda", "", "| minutes | |", "|---:|---|"]
    lines += [f"| {minutes} | {what} |" for minutes, what in day.agenda]
    lines += ["", "## Scenarios", ""]
    lines += [f"{number}. `{name}`: {titles[name]}. `mcml runbook {name} --workload {held.workload} -j {held.jurisdiction}`"
              for number, name in enumerate(day.scenarios, start=1)]  # fmt: skip
    lines += ["", "## Results", "", *_results(day, results)]
    lines += ["", "## Questions", ""]
    lines += [f"{number}. {question}" for number, question in enumerate(day.questions, start=1)]
    minutes = [note for note in held.notes if not note.owner]
    lines += [
        "",
        "## Minutes",
        "",
        *([f"- {_clock(note.at)} {note.text}" for note in minutes] or ["Nothing was written down."]),
    ]
    lines += ["", "## Actions", "", *_actions(held, results)]
    return "\n".join(lines).rstrip() + "\n"


def _results(day: GameDay, results: Sequence[Mapping[str, Any]]) -> list[str]:
    if not results:
        return ["No scenario was rehearsed yet."]
    lines = ["| scenario | verdict | recovery | requests failed | what surprised |", "|---|---|---:|---:|---|"]
    for one in results:
        measured: Mapping[str, Any] = one["measured"] or {}
        recovery, requests = measured.get("recovery_seconds"), measured.get("requests")
        told = "-" if recovery is None else f"{recovery:.1f} s"
        failed = f"{requests['failed']} of {requests['sent']}" if requests else "-"
        lines.append(f"| {one['scenario']} | {one['verdict']} | {told} | {failed} | {_cell('; '.join(one['reasons']))} |")
    left = remaining(day, results)
    return [*lines, *(["", f"Not rehearsed: {', '.join(left)}."] if left else [])]


def _actions(held: Held, results: Sequence[Mapping[str, Any]]) -> list[str]:
    """What was written down, and one for every objective that was missed: a miss without an action would be forgotten."""
    rows = [f"| {_cell(note.text)} | {note.owner} | {note.due or 'to be set'} |" for note in held.notes if note.owner]
    rows += [
        f"| {one['scenario']}: {_cell(judged['objective'])}, measured {_cell(judged['measured'])} "
        f"| {held.contact} | to be set |"
        for one in results
        for judged in one["judged"]
        if not judged["met"]
    ]
    return ["| what | who | until |", "|---|---|---|", *rows] if rows else ["None."]


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
