"""`mcml rebuild`: a fresh Dagster instance, filled from the buckets. What is reported, and what not, is in `instance/`."""

import shutil
from typing import Annotated

import typer
from rich.markup import escape

from mcml_assets.commands.terminal import Exit, Json, fail, out, print_json, read_platform
from mcml_assets.configuration.settings import PROJECT_ROOT, Settings
from mcml_assets.domain.errors import McmlError


def rebuild(
    verify: Annotated[
        bool, typer.Option("--verify", help="Also read all stored bytes, and report `integrity` everywhere.")
    ] = False,
    json_: Json = False,
) -> None:
    """Fill a fresh Dagster instance with what the buckets hold, after the old one was lost; then start the platform.

    Exits with 1 when something could not be read: what is missing comes with its next run. JSON: {materializations,
    check_results, problems}.
    """
    from mcml_assets.emulation.servers import enter_emulators  # noqa: PLC0415 - opens object stores
    from mcml_assets.failover.control import platform_control  # noqa: PLC0415 - the same
    from mcml_assets.instance.rebuild import rebuild as fill  # noqa: PLC0415 - Dagster, which only this command needs

    try:
        settings = enter_emulators(Settings())
        workloads, topology = read_platform(settings)
        settings.dagster_home.mkdir(parents=True, exist_ok=True)
        if not (settings.dagster_home / "dagster.yaml").exists():
            shutil.copyfile(PROJECT_ROOT / "dagster.yaml", settings.dagster_home / "dagster.yaml")
        rebuilt = fill(platform_control(settings, topology), workloads, settings.dagster_home, verify=verify)
    except McmlError as error:
        fail(error)
    if json_:
        print_json(
            {
                "materializations": rebuilt.materializations,
                "check_results": rebuilt.check_results,
                "problems": list(rebuilt.problems),
            }
        )
    else:
        out.print(f"Reported {rebuilt.materializations} materializations and {rebuilt.check_results} check results.")
        for problem in dict.fromkeys(rebuilt.problems):
            out.print(f"[yellow]not read:[/yellow] {escape(problem)}", highlight=False)
    if rebuilt.problems:
        raise typer.Exit(Exit.UNHEALTHY)
