"""`mcml daemon`: the cluster's Dagster daemon, of which there is one. How that is kept is in `instance/only_daemon.py`."""

from typing import Annotated

import typer

from mcml_assets.commands.terminal import fail, out
from mcml_assets.domain.errors import McmlError


def daemon(
    arguments: Annotated[list[str] | None, typer.Argument(help="Options of `dagster-daemon run`, after `--`.")] = None,
) -> None:
    """Run Dagster's daemon on an instance on PostgreSQL; a second one waits until the first has ended.

    The lock is a session's of the instance's database. Exits with 75 when it is lost: start it again. For a cluster; `mcml
    dev` starts the laptop's daemon itself. `mcml daemon -- --workspace /etc/mcml/workspace.yaml`
    """
    from mcml_assets.instance.only_daemon import postgres_url, run_only_daemon  # noqa: PLC0415 - Dagster, only needed here

    try:
        url = postgres_url()
    except McmlError as error:
        fail(error)
    run_only_daemon(url, arguments or (), lambda news: out.print(news, highlight=False))
