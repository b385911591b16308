"""`mcml runbook`: what to do in a scenario, with the commands of this very platform. What it says is `domain/runbook.py`'s."""

from typing import Annotated

import typer
from rich.markdown import Markdown

from mcml_assets.commands.terminal import Json, fail, out, print_json, read_platform
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import McmlError
from mcml_assets.domain.runbook import runbook as compose
from mcml_assets.domain.scenario import struck
from mcml_assets.domain.workload import workload_named


def runbook(
    scenario: Annotated[str, typer.Argument(help="The scenario, as `mcml drill list` names it.")],
    workload: Annotated[str | None, typer.Option("--workload", help="The workload; the first if absent.")] = None,
    jurisdiction: Annotated[
        str | None, typer.Option("--jurisdiction", "-j", help="Where; the first placement's if absent.")
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Markdown, as it is.")] = False,
    json_: Json = False,
) -> None:
    """What a person does when a scenario is no drill: signs, decision, commands, how to check, how to go back, who is told.

    It is about who acts now; where the register does not answer, about the primary. JSON: {scenario, title, about,
    commands, markdown}.
    """
    from mcml_assets.configuration.scenario_files import scenario_named  # noqa: PLC0415 - pydantic models

    settings = Settings()
    try:
        workloads, topology = read_platform(settings)
        chosen = workload_named(workload, workloads) if workload else workloads[0]
        placement = chosen.placement(jurisdiction or chosen.jurisdictions[0])
        written = scenario_named(scenario)
        acting = _acting(settings, chosen.name, placement.jurisdiction) or placement.primary.key
        targets = [(one, struck(one.target, acting, placement, topology)) for one in written.injections]
        made = compose(written, chosen, placement.jurisdiction, acting, targets)
    except McmlError as error:
        fail(error)
    if json_:
        print_json(
            {
                "scenario": made.scenario,
                "title": made.title,
                "about": made.about,
                "commands": list(made.commands),
                "markdown": made.markdown(),
            }
        )
    elif plain:
        typer.echo(made.markdown(), nl=False)
    else:
        out.print(Markdown(made.markdown()))


def _acting(settings: Settings, workload: str, jurisdiction: str) -> str | None:
    """Who acts now; None where nobody can tell, when a runbook is needed most."""
    from mcml_assets.emulation.servers import enter_emulators  # noqa: PLC0415 - opens object stores
    from mcml_assets.failover.control import platform_control  # noqa: PLC0415 - the same

    try:
        entered = enter_emulators(settings)
        workloads, topology = read_platform(entered)
        return platform_control(entered, topology).register.read(workload_named(workload, workloads), jurisdiction).location
    except McmlError:
        return None
