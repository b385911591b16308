"""`mcml register`: who is acting, by the register, and whether its stores agree.

Commands read arguments, call down and print. What the register guarantees is in `deploy/docs/register.md`.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from mcml_assets.commands.terminal import Exit, Json, fail, out, print_json, read_platform
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import McmlError

if TYPE_CHECKING:
    from mcml_assets.domain.workload import Workload
    from mcml_assets.register.quorum import QuorumRegister

COLOURS = {"in step": "green", "behind": "yellow", "unused": "dim", "unreachable": "red"}

register_app = typer.Typer(help="Who is acting in each jurisdiction, by the register.", no_args_is_help=True)


@register_app.callback()
def register() -> None:
    """Who is acting in each jurisdiction, by the register."""


@register_app.command()
def show(json_: Json = False) -> None:
    """The acting location of each workload and jurisdiction, since when and why, and what each store of the register holds.

    Asks all stores and changes nothing; exits with 1 when a store does not answer, is behind, or too few agree. JSON: a
    list of {workload, jurisdiction, acting, epoch, since, who, why, evacuated: [{location, whole, who, why, since}],
    stores: [{location, state, epoch, problem}]}; what is not decided, or never was, is null, and a state is one of: in
    step, behind, unused, unreachable.
    """
    from mcml_assets.clouds.registry import open_store  # noqa: PLC0415 - opens object stores
    from mcml_assets.emulation.servers import enter_emulators  # noqa: PLC0415 - the same
    from mcml_assets.register.quorum import QuorumRegister  # noqa: PLC0415 - the same

    try:
        settings = enter_emulators(Settings())
    except McmlError as error:
        fail(error)
    workloads, topology = read_platform(settings)
    quorum = QuorumRegister(topology, lambda location: open_store(topology.location(location), settings))
    asked = [(workload, jurisdiction) for workload in workloads for jurisdiction in workload.jurisdictions]
    # At once, as a store that hangs costs each of them the whole time that one may wait.
    with ThreadPoolExecutor(8) as surveyors:
        try:
            rows = list(surveyors.map(lambda pair: _row(quorum, *pair), asked))
        except McmlError as error:
            fail(error)
    if json_:
        print_json(rows)
    else:
        out.print(_table(rows))
        for row in rows:
            for one in row["evacuated"]:
                told = f"{row['workload']} in {row['jurisdiction']} keeps away from {one['location']} since {one['since'][:19]}"
                out.print(escape(f"{told}: {one['who']}, {one['why'] or 'no reason given'}"), highlight=False)
        for problem in dict.fromkeys(_problem(store) for row in rows for store in row["stores"] if store["problem"]):
            out.print(f"[red]✗[/red] {escape(problem)}", highlight=False)
    if not all(store["state"] in ("in step", "unused") for row in rows for store in row["stores"]):
        raise typer.Exit(Exit.UNHEALTHY)


def _row(quorum: "QuorumRegister", workload: "Workload", jurisdiction: str) -> dict[str, Any]:
    survey = quorum.survey(workload, jurisdiction)
    entry = survey.entry
    return {
        "workload": workload.name,
        "jurisdiction": jurisdiction,
        "acting": entry.acting.location if entry else None,
        "epoch": entry.acting.epoch if entry else None,
        "since": entry.since if entry else None,
        "who": entry.who if entry else None,
        "why": entry.why if entry else None,
        "evacuated": [asdict(one) for one in entry.evacuations] if entry else [],
        "stores": [
            {"location": store.location, "state": store.state, "epoch": store.epoch, "problem": store.problem}
            for store in survey.replicas
        ],
    }


def _problem(store: dict[str, Any]) -> str:
    location, problem = store["location"], store["problem"]
    return problem if location in problem else f"{location}: {problem}"


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("workload", "in", "acting", "epoch", "since", "who", "why", "stores"):
        table.add_column(heading, no_wrap=heading not in ("why", "stores"), justify="right" if heading == "epoch" else "left")
    for row in rows:
        unused = all(store["state"] == "unused" for store in row["stores"])
        stores = "\n".join(f"{store['location']} [{COLOURS[store['state']]}]{store['state']}[/]" for store in row["stores"])
        table.add_row(
            row["workload"],
            row["jurisdiction"],
            row["acting"] or ("[dim]never asked[/dim]" if unused else "[red]undecided[/red]"),
            str(row["epoch"] or "-"),
            (row["since"] or "-")[:19],
            escape(row["who"] or "-"),
            escape(row["why"] or "-"),
            stores,
        )
    return table
