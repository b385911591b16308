"""`mcml topology`: what a topology says, for the tools that make what it names."""

import json
from pathlib import Path
from typing import Annotated

import typer

from mcml_assets.commands.terminal import fail, out, print_json
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import McmlError

topology_app = typer.Typer(help="The topology, for the tools that make what it names.", no_args_is_help=True)


@topology_app.command("export")
def export(
    location: Annotated[str | None, typer.Option("--location", "-l", help="Only this location, as one document.")] = None,
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Write a file for each location here: aws.eu-west-2.tfvars.json.")
    ] = None,
) -> None:
    """Print the variables of deploy/terraform that the topology knows; a person adds cluster, trust and DNS.

    JSON: {<location>: {location, region, jurisdiction, bucket, account, copies_from, endpoints, scope}}; with --location the
    inner document alone, which is a file of Terraform variables. `scope` is absent where the topology does not tell it.
    """
    from mcml_assets.configuration.infrastructure import infrastructure_variables, variables_file  # noqa: PLC0415 - only here
    from mcml_assets.configuration.topology import load_topology  # noqa: PLC0415 - pydantic models, not needed for help

    try:
        topology = load_topology(Settings().topology_file)
        wanted = [topology.location(location)] if location is not None else list(topology.locations.values())
        variables = {each.key: infrastructure_variables(each) for each in wanted}
    except McmlError as error:
        fail(error)
    if folder is None:
        print_json(variables if location is None else variables[location])
        return
    folder.mkdir(parents=True, exist_ok=True)
    for key, content in variables.items():
        file = folder / variables_file(key)
        file.write_text(json.dumps(content, indent=2) + "\n")
        out.print(f"{file}", highlight=False, soft_wrap=True)
