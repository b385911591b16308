"""`mcml caller`: who may ask the edge, a token for somebody new, and nothing more for somebody old.

Commands read arguments, call down and print. What a caller is, is `serving/edge/callers.py`'s business.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from mcml_assets.commands.terminal import Exit, Json, err, fail, out, print_json, read_platform
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import ConfigurationError, McmlError
from mcml_assets.domain.topology import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcml_assets.serving.edge.callers import Caller

ALL = ("*",)

caller_app = typer.Typer(help="Callers of the edge: who may ask for what, and how often.", no_args_is_help=True)


@caller_app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Who it is: a word, or with --certificate the URI in its certificate.")],
    workload: Annotated[list[str], typer.Option("--workload", "-w", help='May be repeated; "*" for all.')],
    jurisdiction: Annotated[list[str], typer.Option("--jurisdiction", "-j", help='May be repeated; "*" for all.')],
    rate: Annotated[int, typer.Option(help="Requests that it may make in a second.")] = 100,
    days: Annotated[int, typer.Option(help="Days until its token expires.", min=1, max=3650)] = 365,
    certificate: Annotated[bool, typer.Option("--certificate", help="It shows a certificate, and gets no token.")] = False,
    synthetic: Annotated[bool, typer.Option("--synthetic", help="It makes synthetic transactions, and nothing else.")] = False,
    json_: Json = False,
) -> None:
    """Let somebody ask the edge, within a second: `mcml caller add billing -w online_retail -j UK`.

    The token is shown now and never again: its private key is thrown away. JSON: {name, credential, workloads,
    jurisdictions, requests_per_second, expires, synthetic, state, file, token}; expires and token are null for a certificate.
    """
    from mcml_assets.serving.edge.callers import Caller, file_name, new_token, write_caller  # noqa: PLC0415 - only here

    settings = Settings()
    try:
        folder = _folder(settings)
        _check_names(settings, workload, jurisdiction)
        expires = None if certificate else datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)
        token, public_key = (None, None) if expires is None else new_token(name, expires)
        caller = Caller(
            name, "certificate" if certificate else "token", public_key, expires, tuple(workload), tuple(jurisdiction), rate,
            synthetic, folder / file_name(name),
        )  # fmt: skip
        write_caller(folder, caller)
    except McmlError as error:
        fail(error)
    if json_:
        print_json({**_document(caller), "token": token})
        return
    err.print(f"{name} may ask the edge; it is kept in {caller.file}.", highlight=False, soft_wrap=True)
    if token is not None:
        err.print("This token is shown once: give it to the caller, who sends it as `Authorization: Bearer <token>`.")
        typer.echo(token)


@caller_app.command("list")
def list_(json_: Json = False) -> None:
    """Every caller, and what it may ask; 1 when a file cannot be read, whose caller may then ask nothing.

    JSON: {open, callers: [what `add` prints, without token], problems}; `open` says that the edge asks nobody who they are.
    """
    from mcml_assets.serving.edge.callers import read_callers  # noqa: PLC0415 - only here

    settings = Settings()
    callers, errors = read_callers(settings.edge_callers) if settings.edge_callers is not None else ((), ())
    if json_:
        documents = [_document(caller) for caller in callers]
        print_json({"open": settings.edge_callers is None, "callers": documents, "problems": [str(error) for error in errors]})
    elif settings.edge_callers is None:
        out.print("The edge is open: it asks nobody who they are. MCML_EDGE_CALLERS=<folder> closes it.", highlight=False)
    else:
        out.print(_table(callers))
        for error in errors:
            out.print(f"[red]✗[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
    if errors:
        raise typer.Exit(Exit.UNHEALTHY)


@caller_app.command("revoke")
def revoke(name: Annotated[str, typer.Argument(help="Who shall ask no more.")], json_: Json = False) -> None:
    """Let a caller ask no more, within a second, whatever its token says. JSON: the caller as `list` prints it."""
    from mcml_assets.serving.edge.callers import revoke_caller  # noqa: PLC0415 - only here

    try:
        caller = revoke_caller(_folder(Settings()), name)
    except McmlError as error:
        fail(error)
    if json_:
        print_json(_document(caller))
        return
    out.print(f"{name} may ask nothing any more.", highlight=False)


def _folder(settings: Settings) -> Path:
    if settings.edge_callers is None:
        raise ConfigurationError(
            "the edge is open, and keeps no callers: name a folder for them with MCML_EDGE_CALLERS, "
            "here and where the platform runs"
        )
    return settings.edge_callers


def _check_names(settings: Settings, workloads: "Sequence[str]", jurisdictions: "Sequence[str]") -> None:
    """Raise `ConfigurationError` for a workload or jurisdiction that there is not: a typing error would forbid in silence."""
    known, _ = read_platform(settings)
    names = [workload.name for workload in known]
    places = sorted({place for workload in known for place in workload.jurisdictions})
    for given, right, what in ((workloads, names, "workload"), (jurisdictions, places, "jurisdiction")):
        for word in given:
            if word not in (*right, *ALL):
                raise ConfigurationError(f"{word!r} is no {what}{did_you_mean(word, right)}")


def _document(caller: "Caller") -> dict[str, Any]:
    return {
        "name": caller.name,
        "credential": caller.credential,
        "workloads": list(caller.workloads),
        "jurisdictions": list(caller.jurisdictions),
        "requests_per_second": caller.requests_per_second,
        "expires": caller.expires.isoformat() if caller.expires is not None else None,
        "synthetic": caller.synthetic,
        "state": "expired" if caller.expired(datetime.now(UTC)) else "current",
        "file": str(caller.file),
    }


def _table(callers: "Sequence[Caller]") -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("caller", "by", "workloads", "jurisdictions", "asks for", "a second", "until"):
        table.add_column(heading, justify="right" if heading == "a second" else "left")
    now = datetime.now(UTC)
    for caller in callers:
        until = f"{caller.expires:%Y-%m-%d}" if caller.expires is not None else "its certificate says"
        table.add_row(
            escape(caller.name), caller.credential, ", ".join(caller.workloads), ", ".join(caller.jurisdictions),
            "synthetic transactions" if caller.synthetic else "predictions", f"{caller.requests_per_second:,}",
            f"[red]expired {until}[/red]" if caller.expired(now) else until,
        )  # fmt: skip
    return table
