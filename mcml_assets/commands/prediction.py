"""`mcml explain`, `mcml stale` and `mcml predictions`: what was answered, from what, and whether the record is whole.

Commands read arguments, call down and print. What they find is `audit/`'s business.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from mcml_assets.commands.terminal import Exit, Json, fail, out, print_json, read_platform
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import McmlError
from mcml_assets.domain.workload import workload_named

if TYPE_CHECKING:
    from mcml_assets.audit.explain import Archive, Explanation, Replay
    from mcml_assets.audit.stale import StalePrediction

WORDS = {
    "model": "answered by model",
    "feature_snapshot": "trained on features",
    "raw_data": "computed from raw data",
    "landing": "landed as",
}


def explain(
    prediction: Annotated[str, typer.Argument(help="The id that the answer carried (x-mcml-prediction-id).")],
    replay: Annotated[
        bool, typer.Option("--replay", help="Give the score again, from the archived package and features.")
    ] = False,
    json_: Json = False,
) -> None:
    """Where an answer came from: model, training snapshot, raw data, landing, contract; exits with 1 when a part is missing.

    With --replay also 1 when the score is not the logged one. JSON: a list, one entry for each entity that was asked about,
    of {row, logged_in, served_from, steps: [{asset, snapshot_id, found_in, produced_in, created_at, epoch, code_version,
    watermark, facts}], contract_version, problems, replay: {score, logged, difference, tolerance, same} or null}.
    """
    try:
        archive = _archive()
        rows, logged_in = archive.find(prediction)
        found = [(archive.explain(row, logged_in), archive.replay(row) if replay else None) for row in rows]
    except McmlError as error:
        fail(error)
    if json_:
        print_json([{**asdict(walk), "replay": asdict(again) if again else None} for walk, again in found])
    else:
        for walk, again in found:
            _print_explanation(walk, again)
    if any(walk.problems or (again is not None and not again.same) for walk, again in found):
        raise typer.Exit(Exit.UNHEALTHY)


def stale(
    workload: Annotated[str, typer.Argument(help="The workload, as `mcml matrix` lists it.")],
    between: Annotated[
        tuple[datetime, datetime], typer.Option(help="From when until when (UTC): 2026-07-01T12:00 2026-07-01T13:00.")
    ],
    jurisdiction: Annotated[str | None, typer.Option("--jurisdiction", "-j", help="One jurisdiction; all if absent.")] = None,
    json_: Json = False,
) -> None:
    """Predictions that were served from an older model or older features than the acting location had: an outage's bill.

    Exits with 1 when there are any. JSON: a list of {row, asset, served, newest, behind_seconds}; behind_seconds is null
    when the acting location does not hold what was served.
    """
    from mcml_assets.audit.stale import stale_predictions  # noqa: PLC0415 - opens object stores
    from mcml_assets.register.quorum import QuorumRegister  # noqa: PLC0415 - opens object stores

    since, until = (moment.replace(tzinfo=UTC) for moment in between)
    try:
        archive = _archive()
        register = QuorumRegister(archive.topology, archive.bucket)
        asked = workload_named(workload, archive.workloads.values())
        placements = [asked.placement(jurisdiction)] if jurisdiction else asked.placements
        found = [
            entry
            for placement in placements
            for entry in stale_predictions(
                archive, asked, placement, register.read(asked, placement.jurisdiction).location, since, until
            )
        ]
    except McmlError as error:
        fail(error)
    if json_:
        print_json([asdict(entry) for entry in found])
    else:
        _print_stale(found)
    if found:
        raise typer.Exit(Exit.UNHEALTHY)


def predictions(
    verify: Annotated[bool, typer.Option("--verify", help="Read every log and compare every link of its chain.")] = False,
    json_: Json = False,
) -> None:
    """The prediction log of every location: its rows, what waits for its bucket, and what was lost; 1 when not all is well.

    JSON: a list of {workload, location, rows, segments, waiting, lost, chain, findings, problem}; findings is null without
    --verify.
    """
    try:
        archive = _archive()
    except McmlError as error:
        fail(error)
    found = list(_logs(archive, verify))
    if json_:
        print_json(found)
    else:
        _print_logs(found)
    if any(entry["problem"] or entry["lost"] or entry["findings"] for entry in found):
        raise typer.Exit(Exit.UNHEALTHY)


def _archive() -> "Archive":
    """All workloads that can be read, over the running platform's clouds."""
    from mcml_assets.audit.explain import Archive  # noqa: PLC0415 - the same
    from mcml_assets.clouds.registry import provision  # noqa: PLC0415 - opens object stores
    from mcml_assets.emulation.servers import enter_emulators  # noqa: PLC0415 - the same

    settings = enter_emulators(Settings())
    workloads, topology = read_platform(settings)
    provision(topology, settings)
    return Archive(workloads, topology, settings)


def _logs(archive: "Archive", verify: bool) -> Iterator[dict[str, Any]]:
    from mcml_assets.serving.folder import DataPlaneFolder  # noqa: PLC0415 - not needed for help
    from mcml_assets.serving.prediction_log.shipper import waiting_rows  # noqa: PLC0415 - the same

    folder = DataPlaneFolder.of(archive.settings)
    for workload in archive.workloads.values():
        for placed in workload.locations:
            entry: dict[str, Any] = dict.fromkeys(("rows", "segments", "lost", "chain", "findings", "problem"))
            shipped: dict[str, int] = {}
            try:
                prediction_log = archive.prediction_log(workload, placed.key)
                head = prediction_log.head()
                shipped = dict(head.shipped)
                entry |= {"rows": head.rows, "segments": head.segments, "lost": head.lost, "chain": head.chain}
                if verify:
                    verdict = prediction_log.verify()
                    entry |= {"findings": list(verdict.findings), "lost": verdict.lost}
            except McmlError as error:
                entry["problem"] = f"{type(error).__name__}: {error}"
            here = waiting_rows(folder, {(workload.name, placed.key): shipped})
            waiting = sum((row.workload, row.location) == (workload.name, placed.key) for row in here)
            yield {"workload": workload.name, "location": placed.key, "waiting": waiting, **entry}


def _print_explanation(walk: "Explanation", again: "Replay | None") -> None:
    row = walk.row
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_row("prediction", f"{row.prediction_id} [dim](item {row.item})[/dim]")
    table.add_row("score", f"[bold]{row.score:.6f}[/bold]  at {row.time}")
    table.add_row("asked by", f"{row.caller}, under route epoch {row.route_epoch if row.route_epoch is not None else '-'}")
    table.add_row("answered in", f"{row.location} ({row.jurisdiction}), logged in {walk.logged_in}")
    table.add_row("inputs", f"{row.features if row.inputs == 'kept' else f'digest {row.features[:12]}'} ({row.inputs})")
    table.add_row("features from", row.feature_snapshot[:12])
    for step in walk.steps:
        facts = [f"v{step.facts['version']}"] if "version" in step.facts else []
        facts += [f"batch {step.facts['number']}"] if "number" in step.facts else []
        facts += [f"{step.facts['rows']:,} rows"] if step.facts["rows"] else []
        facts += [f"up to {step.watermark[:10]}"] if step.watermark else []
        table.add_row(
            WORDS[step.asset], f"{step.snapshot_id[:12]}  {', '.join(facts)}  [dim]{step.produced_in}, {step.created_at}[/dim]"
        )
    table.add_row("contract version", walk.contract_version or "[red]unknown[/red]")
    if again is not None:
        verdict = "[green]the same[/green]" if again.same else "[red]another[/red]"
        table.add_row(
            "replayed", f"{again.score:.6f}, {verdict} (difference {again.difference:g}, allowed {again.tolerance:g})"
        )
    out.print(table)
    for problem in walk.problems:
        out.print(f"[red]✗[/red] {escape(problem)}", highlight=False, soft_wrap=True)


def _print_stale(found: Sequence["StalePrediction"]) -> None:
    if not found:
        out.print("Every prediction was served from the newest the acting location had.")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("location", "asset", "served", "newest", "predictions", "longest behind"):
        table.add_column(heading, justify="right" if heading in ("predictions", "longest behind") else "left")
    counted = Counter((entry.row.location, entry.asset, entry.served, entry.newest) for entry in found)
    for (location, asset, served, newest), count in sorted(counted.items()):
        behind = [
            entry.behind_seconds
            for entry in found
            if (entry.row.location, entry.asset, entry.served, entry.newest) == (location, asset, served, newest)
        ]
        known = [seconds for seconds in behind if seconds is not None]
        table.add_row(location, asset, served[:12], newest[:12], f"{count:,}", f"{max(known):.0f} s" if known else "unknown")
    out.print(table)


def _print_logs(found: Sequence[dict[str, Any]]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("workload", "location", "rows", "waiting", "lost", "last link", "chain"):
        table.add_column(heading, justify="right" if heading in ("rows", "waiting", "lost") else "left")
    for entry in found:
        chain = (
            "not read" if entry["findings"] is None else "[red]broken[/red]" if entry["findings"] else "[green]whole[/green]"
        )
        rows = f"{entry['rows']:,}" if entry["rows"] is not None else "[red]unknown[/red]"
        lost = f"[red]{entry['lost']:,}[/red]" if entry["lost"] else "0" if entry["lost"] is not None else "[red]unknown[/red]"
        table.add_row(
            entry["workload"], entry["location"], rows, f"{entry['waiting']:,}", lost, (entry["chain"] or "-")[:12], chain
        )
    out.print(table)
    for entry in found:
        for problem in [*(entry["findings"] or []), *([entry["problem"]] if entry["problem"] else [])]:
            out.print(
                f"[red]✗[/red] {entry['workload']} {entry['location']}: {escape(problem)}", highlight=False, soft_wrap=True
            )
