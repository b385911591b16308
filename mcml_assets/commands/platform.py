"""`mcml dev`, `start` and `stop`: running the platform, or its endpoints and edge alone, on this machine.

Commands read arguments, call down and print. What is started and ended is `development.py`'s and `serving/`'s business.
"""

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from mcml_assets.commands.terminal import Json, fail, out, print_json, print_json_line, read_platform
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import McmlError

if TYPE_CHECKING:
    from mcml_assets.development import News


def dev(json_: Json = False) -> None:
    """Start the Dagster UI and daemon, the local clouds, the endpoints and the edge; Ctrl-C ends all of it.

    With `MCML_PROFILE=emulated` the clouds are emulators, which start empty. Exits with 0 after Ctrl-C, 1 when Dagster
    ended by itself, 2 for a taken port or a platform that runs already.

    JSON: a line for each thing that happens, {event, text, name, seconds}; event is address (text is that of `name`),
    published (`seconds` after the start), note, failed or stopped.
    """
    from mcml_assets.configuration.topology import load_topology  # noqa: PLC0415 - pydantic models, not needed for help
    from mcml_assets.development import run_platform  # noqa: PLC0415 - only this command starts processes
    from mcml_assets.status import milestones  # noqa: PLC0415 - opens object stores

    settings = Settings()
    workloads, _ = read_platform(settings)
    try:
        code = run_platform(
            settings,
            (lambda news: print_json_line(asdict(news))) if json_ else _print,
            lambda used: milestones(workloads, load_topology(used.topology_file), used),
        )
    except McmlError as error:
        fail(error)
    raise typer.Exit(code)


def _print(news: "News") -> None:
    match news.event:
        case "address":
            out.print(f"{news.name:<16} {escape(news.text)}", soft_wrap=True)
        case "published":
            out.print(f"{news.seconds:6.0f} s  {escape(news.text)}", highlight=False)
        case "failed":
            out.print(f"[red]{escape(news.text)}[/red]")
        case _:
            out.print(f"{escape(news.text)}\n")


def start(json_: Json = False) -> None:
    """Start the endpoints and the edge with what they last served; Dagster is not needed for it.

    JSON: {edge, endpoints: [{name, state, version, address}]}; `state` as `mcml status` has it.
    """
    from mcml_assets.serving.data_plane import ensure_data_plane  # noqa: PLC0415 - only this command starts processes

    try:
        state = ensure_data_plane(Settings())
    except McmlError as error:
        fail(error)
    if json_:
        endpoints = [
            {"name": each.name, "state": each.state, "version": each.version, "address": each.address}
            for each in state.endpoints
        ]
        print_json({"edge": state.edge, "endpoints": endpoints})
        return
    out.print(f"The edge answers at {state.edge}; {len(state.endpoints)} endpoints are wanted.")


def stop(json_: Json = False) -> None:
    """End the endpoints and the edge, where `dagster dev` or `mcml start` left them running on purpose.

    JSON: {was_running}, whether there was anything to end.
    """
    from mcml_assets.serving.data_plane import data_plane_state, stop_data_plane  # noqa: PLC0415 - ends processes

    settings = Settings()
    was_running = data_plane_state(settings).running
    stop_data_plane(settings)
    if json_:
        print_json({"was_running": was_running})
        return
    out.print("The endpoints and the edge are stopped.")
