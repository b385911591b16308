"""The scorecard for people: a self-contained page with the score, what it lacks, a heat map of rehearsals, and the trend.

Says what the scorecard says. Pictures are within; the page asks no other host for anything.
"""

from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from mcml_assets.domain.scorecard import DAY, Component, Scorecard
from mcml_assets.scorecard.gather import PROVED_BY
from mcml_assets.training.figures import CANDIDATE, INK, add_axes, as_png, new_figure

TEMPLATE = Path(__file__).with_name("page.html.jinja")
MET, MISSED, NEVER = "#1e7d4f", "#c0392b", "#e8ecf0"
TEXT = "#1d2733"


def page(scorecard: Scorecard, history: Sequence[tuple[float, float]]) -> str:
    """The page; `history` are former scores as (seconds since the epoch, score), oldest first."""
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - only who writes a page

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["age"] = lambda at: _age(scorecard.now - at)
    coverage = _coverage(scorecard)
    missed = sorted(subject for subject, found in coverage.evidence.items() if found.value < 1)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        card=scorecard,
        lost=_lost(scorecard),
        proved_by=PROVED_BY,
        missed=missed,
        rehearsed=len(coverage.subjects) - len(coverage.missing()),
        cells=len(coverage.subjects),
        day=f"{datetime.fromtimestamp(scorecard.now, UTC):%d %B %Y, %H:%M UTC}",
        heat_map=_encoded(heat_map(scorecard)),
        trend=_encoded(trend([*history, (scorecard.now, scorecard.score)])) if history else None,
    )


def heat_map(scorecard: Scorecard) -> bytes:
    """Scenario by location: rehearsed and met, rehearsed and missed, or never; the age in days is written in, and what does
    not fit a location is left empty. PNG.
    """
    coverage = _coverage(scorecard)
    cells = [tuple(subject.split(" in ", 1)) for subject in coverage.subjects]
    scenarios = list(dict.fromkeys(scenario for scenario, _ in cells))
    rows = ([place for of, place in cells if of == scenario] for scenario in scenarios)
    places = list(dict.fromkeys(place for row in sorted(rows, key=len, reverse=True) for place in row))
    figure = new_figure(2.2 + 0.95 * len(places), 0.9 + 0.27 * len(scenarios))
    axes = add_axes(figure, 1, 1, 1)
    for row, scenario in enumerate(scenarios):
        for column, place in enumerate(places):
            if (scenario, place) not in cells:
                continue
            found = coverage.evidence.get(f"{scenario} in {place}")
            colour = NEVER if found is None else MET if found.value >= 1 else MISSED
            strength = 1.0 if found is None or found.value < 1 else max(0.25, found.worth(scorecard.now))
            axes.add_patch(_square(column, row, colour, strength))
            if found is not None:
                age = _age(scorecard.now - found.at)
                axes.text(column, row, age, ha="center", va="center", fontsize=7, color="#ffffff")
    axes.set_xlim(-0.5, len(places) - 0.5)
    axes.set_ylim(len(scenarios) - 0.5, -0.5)
    axes.set_xticks(range(len(places)), [place.replace("/", "\n") for place in places], color=TEXT)
    axes.set_yticks(range(len(scenarios)), [scenario.replace("_", " ") for scenario in scenarios], color=TEXT)
    axes.tick_params(length=0)
    axes.xaxis.tick_top()
    axes.spines[:].set_visible(False)
    return as_png(figure)


def _coverage(scorecard: Scorecard) -> Component:
    return next(component for component in scorecard.components if component.name == "coverage")


def _lost(scorecard: Scorecard) -> list[tuple[Component, float]]:
    """The components by the points they lack, most first; those that lack nothing are left out."""
    lacking = [(part, part.weight - scorecard.points(part)) for part in scorecard.components]
    return sorted(((part, points) for part, points in lacking if points >= 0.05), key=lambda one: -one[1])


def _age(seconds: float) -> str:
    days = max(0.0, seconds) / DAY
    if days >= 1:
        return f"{days:.0f} d"
    return f"{24 * days:.0f} h" if 24 * days >= 1 else "< 1 h"


def trend(scores: Sequence[tuple[float, float]]) -> bytes:
    """The score over time, in days before the newest one, with each score written at its end. PNG."""
    figure = new_figure(7.6, 2.0)
    axes = add_axes(figure, 1, 1, 1)
    last = scores[-1][0]
    days = [(at - last) / DAY for at, _ in scores]
    axes.plot(days, [score for _, score in scores], color=CANDIDATE, marker=".", linewidth=1.8)
    axes.fill_between(days, [score for _, score in scores], color=CANDIDATE, alpha=0.12)
    axes.annotate(
        f"{scores[-1][1]:.0f}", (0, scores[-1][1]), xytext=(5, 0), textcoords="offset points", va="center", color=TEXT
    )
    axes.set_ylim(0, 100)
    axes.set_yticks([0, 25, 50, 75, 100])
    axes.grid(axis="y", alpha=0.25)
    axes.set_xlabel("days before today", color=INK)
    return as_png(figure)


def _square(column: int, row: int, colour: str, strength: float):
    from matplotlib.patches import Rectangle  # noqa: PLC0415 - only when something is drawn

    return Rectangle((column - 0.47, row - 0.45), 0.94, 0.9, color=colour, alpha=strength, linewidth=0)


def _encoded(png: bytes) -> str:
    return b64encode(png).decode()
