"""The scorecard for people: a self-contained page with the score, its parts, a heat map of rehearsals, and the trend.

Says what the scorecard says. Pictures are within; the page asks no other host for anything.
"""

from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from mcml_assets.domain.scorecard import DAY, Scorecard
from mcml_assets.training.figures import CANDIDATE, INK, add_axes, as_png, new_figure

TEMPLATE = Path(__file__).with_name("page.html.jinja")
MET, MISSED, NEVER = "#1e7d4f", "#c0392b", "#d9dee4"


def page(scorecard: Scorecard, history: Sequence[tuple[float, float]]) -> str:
    """The page; `history` are former scores as (seconds since the epoch, score), oldest first."""
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - only who writes a page

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["age"] = lambda at: f"{max(0.0, scorecard.now - at) / DAY:.0f} d"
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        card=scorecard,
        day=f"{datetime.fromtimestamp(scorecard.now, UTC):%d %B %Y, %H:%M UTC}",
        heat_map=_encoded(heat_map(scorecard)),
        trend=_encoded(trend([*history, (scorecard.now, scorecard.score)])) if history else None,
    )


def heat_map(scorecard: Scorecard) -> bytes:
    """Scenario by jurisdiction: rehearsed and met, rehearsed and missed, or never; the age in days is written in. PNG."""
    coverage = next(component for component in scorecard.components if component.name == "coverage")
    cells = [tuple(subject.split(" in ", 1)) for subject in coverage.subjects]
    scenarios = sorted({scenario for scenario, _ in cells})
    places = sorted({place for _, place in cells})
    figure = new_figure(2.6 + 1.1 * len(places), 0.6 + 0.26 * len(scenarios))
    axes = add_axes(figure, 1, 1, 1)
    for row, scenario in enumerate(scenarios):
        for column, place in enumerate(places):
            found = coverage.evidence.get(f"{scenario} in {place}")
            colour = NEVER if found is None else MET if found.value >= 1 else MISSED
            strength = 1.0 if found is None or found.value < 1 else max(0.25, found.worth(scorecard.now))
            axes.add_patch(_square(column, row, colour, strength))
            told = "never" if found is None else f"{(scorecard.now - found.at) / DAY:.0f} d"
            axes.text(column, row, told, ha="center", va="center", fontsize=6, color="#1d2733" if found is None else "#ffffff")
    axes.set_xlim(-0.5, len(places) - 0.5)
    axes.set_ylim(len(scenarios) - 0.5, -0.5)
    axes.set_xticks(range(len(places)), places)
    axes.set_yticks(range(len(scenarios)), scenarios)
    axes.xaxis.tick_top()
    axes.spines[:].set_visible(False)
    return as_png(figure)


def trend(scores: Sequence[tuple[float, float]]) -> bytes:
    """The score over time, in days before the newest one. PNG."""
    figure = new_figure(6.0, 2.0)
    axes = add_axes(figure, 1, 1, 1)
    last = scores[-1][0]
    axes.plot([(at - last) / DAY for at, _ in scores], [score for _, score in scores], color=CANDIDATE, marker=".")
    axes.set_ylim(0, 100)
    axes.set_xlabel("days", color=INK)
    axes.set_ylabel("score", color=INK)
    return as_png(figure)


def _square(column: int, row: int, colour: str, strength: float):
    from matplotlib.patches import Rectangle  # noqa: PLC0415 - only when something is drawn

    return Rectangle((column - 0.47, row - 0.45), 0.94, 0.9, color=colour, alpha=strength, linewidth=0)


def _encoded(png: bytes) -> str:
    return b64encode(png).decode()
