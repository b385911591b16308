"""`mcml endpoint`: end what still runs where a workload was placed, and is not any more.

Commands read arguments, call down and print. While a workload is placed in a location, its `endpoint` asset decides what
runs there; ending it on the platform is `serving/platforms.py`'s business.
"""

from typing import Annotated

import typer

from mcml_assets.commands.terminal import Json, fail, out, print_json
from mcml_assets.configuration.settings import DEFS, Settings
from mcml_assets.domain.errors import ConfigurationError, McmlError

endpoint_app = typer.Typer(help="Endpoints of workloads that have left a location.", no_args_is_help=True)


@endpoint_app.command("delete")
def delete(
    workload: Annotated[str, typer.Argument(help="The workload, also one that is not declared any more.")],
    location: Annotated[str, typer.Argument(help="The location that it has left: aws/eu-west-2.")],
    json_: Json = False,
) -> None:
    """End a workload's endpoint in a location that it is not placed in any more; the server finishes what it was asked.

    Refused while a placement names the location, and while a route still sends requests there. The model's package stays in
    the bucket: placed there again, the workload serves again. JSON: {workload, location, was, version}, where `was` is the
    state it was found in, `STOPPED` where nothing ran.
    """
    from mcml_assets.serving.manifest import endpoint_name  # noqa: PLC0415 - only this command
    from mcml_assets.serving.platforms import placed_platforms  # noqa: PLC0415 - the same

    settings = Settings()
    try:
        _check_left(settings, workload, location)
        platforms, name = placed_platforms(settings), endpoint_name(workload, location)
        found = platforms.status(name)
        platforms.delete(name)
    except McmlError as error:
        fail(error)
    if json_:
        print_json({"workload": workload, "location": location, "was": found.state.name, "version": found.wanted_version})
    else:
        out.print(f"{name}: nothing is wanted any more; it was {found.state.value}.", highlight=False)


def _check_left(settings: Settings, workload: str, location: str) -> None:
    """Raise `ConfigurationError` while anything still needs the endpoint."""
    from mcml_assets.configuration.topology import load_topology  # noqa: PLC0415 - only this command
    from mcml_assets.configuration.workload import load_workloads  # noqa: PLC0415 - the same
    from mcml_assets.serving.folder import DataPlaneFolder  # noqa: PLC0415 - the same
    from mcml_assets.serving.routes import read_routes  # noqa: PLC0415 - the same

    workloads, unread = load_workloads(DEFS, load_topology(settings.topology_file))
    if unread:
        raise ConfigurationError(f"whether {workload} is placed in {location} cannot be told: {unread[0]}")
    placed = {(one.name, there.location.key) for one in workloads for there in one.locations}
    if (workload, location) in placed:
        raise ConfigurationError(f"{workload} is placed in {location}: take it out of the placements of its defs.yaml first")
    for route in read_routes(DataPlaneFolder.of(settings)):
        if route.workload == workload and location in route.locations:
            raise ConfigurationError(
                f"the route {route.name} of epoch {route.epoch} still sends requests to {location}: "
                f"materialize {workload}/traffic_route of {route.jurisdiction} first"
            )
