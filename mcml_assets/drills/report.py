"""A drill's report for people: the picture of its timeline, Markdown for the UI, and one self-contained HTML page.

Says what the result says, and judges nothing. The page carries its picture within, and asks no other host for anything.
"""

from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path

from mcml_assets.domain.drill import STAGES, Verdict
from mcml_assets.domain.drill_result import DrillResult
from mcml_assets.training.figures import CANDIDATE, INK, add_axes, as_markdown, as_png, new_figure

TEMPLATE = Path(__file__).with_name("report.html.jinja")
ANSWERED, FAILED, TEXT = "#9db8d9", "#c0392b", "#1d2733"
STAGE_WORDS = {
    "detected": "noticed",
    "decided": "decided",
    "first_run": "first run in the new location",
    "published": "snapshot published there",
    "served": "first answer under the new route",
    "mended": "fault over",
    "returned": "all well again",
}
VERDICT_WORDS = {
    Verdict.MET: "Objectives met",
    Verdict.MISSED: "Objectives missed",
    Verdict.REFUSED: "Refused: it did not begin",
    Verdict.ABORTED: "Given up",
}


def moments(result: DrillResult) -> list[tuple[str, float | None]]:
    """The stages in words, with seconds from the fault; None where no event tells."""
    if result.measured is None:
        return []
    return [(STAGE_WORDS[stage], result.measured.timeline.seconds(stage)) for stage in STAGES]


def stages(result: DrillResult) -> list[tuple[str, str, str, str]]:
    """Each asset and place that went on: its name, where, and seconds from the fault until it was published and served."""
    measured = result.measured
    if measured is None:
        return []

    def since(at: float | None) -> str:
        return "" if at is None else f"{at - measured.timeline.fault:.1f}"

    return [(stage.asset, stage.place, since(stage.published), since(stage.served)) for stage in measured.stages]


def markdown(result: DrillResult, picture: bytes | None) -> str:
    """The report as the UI shows it on the materialization."""
    where = f"{result.workload} in {result.jurisdiction}, at {result.location}"
    lines = [f"## {result.title}", "", f"**{VERDICT_WORDS[result.verdict]}**: {where}", "", result.hypothesis, ""]
    lines += [f"- {reason}" for reason in result.reasons]
    lines += [f"- surprise: {told}" for told in result.surprises]
    if picture is not None:
        lines += ["", as_markdown("timeline", picture)]
    if result.judged:
        lines += ["", "| objective | measured | |", "|---|---|---|"]
        lines += [f"| {one.objective} | {one.measured} | {'met' if one.met else '**missed**'} |" for one in result.judged]
    if result.measured is not None:
        lines += ["", "| moment | seconds from the fault |", "|---|---:|"]
        lines += [f"| {words} | {'no event' if at is None else f'{at:.1f}'} |" for words, at in moments(result)]
        lines += ["", "| asset | where | published | served |", "|---|---|---:|---:|"]
        lines += [f"| {' | '.join(row)} |" for row in stages(result)]
    if result.decisions:
        lines += ["", "Decisions:", *(f"- {_clock(told.at)} {told.text}" for told in result.decisions)]
    return "\n".join(lines)


def html(result: DrillResult, picture: bytes | None, runs: str) -> str:
    """The report as one page that can be sent and kept; `runs` is where the Dagster UI shows the drill's runs."""
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - only who writes a report

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["clock"] = _clock
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        result=result,
        verdict=VERDICT_WORDS[result.verdict],
        moments=moments(result),
        stages=stages(result),
        runs=runs,
        day=f"{datetime.fromtimestamp(result.began, UTC):%d %B %Y, %H:%M UTC}",
        picture=b64encode(picture).decode() if picture is not None else None,
        fault=result.measured.timeline.fault if result.measured is not None else None,
    )


def timeline_picture(result: DrillResult) -> bytes | None:
    """Requests and their slowest answer by second, failures in red, the moments as lines. PNG; None without a load."""
    measured = result.measured
    if measured is None or not measured.load:
        return None
    figure = new_figure(8.0, 4.0)
    at = [second.at for second in measured.load]
    above, below = add_axes(figure, 2, 1, 1), add_axes(figure, 2, 1, 2)
    above.bar(at, [second.sent - second.failed for second in measured.load], color=ANSWERED, width=1.0)
    above.bar(
        at, [second.failed for second in measured.load], bottom=[second.sent - second.failed for second in measured.load],
        color=FAILED, width=1.0,
    )  # fmt: skip
    above.set_ylabel("requests / s", fontsize=7, color=INK)
    below.plot(at, [second.slowest for second in measured.load], color=CANDIDATE, linewidth=1.0)
    below.set_yscale("log")
    below.tick_params(which="minor", labelleft=False)
    below.set_ylabel("slowest, ms", fontsize=7, color=INK)
    below.set_xlabel("seconds from the fault", fontsize=7, color=INK)
    top = max(second.sent for second in measured.load)
    for number, (words, seconds) in enumerate([("fault", 0.0), *moments(result)]):
        if seconds is None:
            continue
        for axes in (above, below):
            axes.axvline(seconds, color=INK, linewidth=0.7, linestyle=":")
        height = top * (1.25 + 0.28 * number)  # one line each: the first moments lie within seconds
        side = "right" if seconds > at[-1] * 0.7 else "left"
        label = {"facecolor": "#ffffff", "edgecolor": "none", "pad": 0.6}  # other moments' lines pass behind it
        said = f" {words} {seconds:.0f} s "
        above.text(seconds, height, said, fontsize=7, color=TEXT, ha=side, va="center", bbox=label)
    above.set_ylim(0, top * 3.5)
    above.set_yticks([0, top])
    for axes in (above, below):
        axes.set_xlim(at[0], at[-1] + 1)
        axes.tick_params(labelsize=6)
    return as_png(figure)


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}"
