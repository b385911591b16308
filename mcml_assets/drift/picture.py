"""The picture of a comparison: the histograms of the worst features, reference filled, present outlined. PNG.

It is drawn from sketches, so it shows no group smaller than they keep, and no value beyond the 1st and 99th percentile.
Imports numpy: import it inside functions.
"""

from typing import TYPE_CHECKING

import numpy as np

from mcml_assets.drift.compare import Comparison
from mcml_assets.drift.measures import points
from mcml_assets.drift.sketch import CategorySketch, NumericSketch, Sketch
from mcml_assets.training.figures import BASELINE, CANDIDATE, INK, add_axes, as_png, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = 6
BARS = 24
MAX_BARS_OF_CATEGORIES = 8


def worst_features(comparison: Comparison) -> bytes | None:
    """The histograms of the `SHOWN` worst features, with their effect in the title; None when nothing was judged."""
    shown = comparison.judged[:SHOWN]
    if not shown:
        return None
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    figure = new_figure(2.5 * columns, 1.7 * rows + 0.3)
    for position, judged in enumerate(shown, start=1):
        axes = add_axes(figure, rows, columns, position)
        name = judged.measured.name
        _draw(axes, comparison.reference[name], comparison.present[name])
        missing = f", missing {judged.measured.missing_change:+.0%}" if abs(judged.measured.missing_change) >= 0.005 else ""
        verdict = "" if judged.level == "none" else f"{judged.level.value}: "
        axes.set_title(f"{name}\n{verdict}effect {judged.measured.effect:.2f}{missing}", color=INK, fontsize=7, pad=3)
        axes.set_yticks([])
        axes.tick_params(labelsize=6)
    figure.suptitle("share of rows: reference filled, present outlined", color=INK, fontsize=8)
    return as_png(figure)


def _draw(axes: "Axes", reference: Sketch, present: Sketch) -> None:
    if isinstance(reference, NumericSketch) and isinstance(present, NumericSketch):
        _draw_numbers(axes, reference, present)
    elif isinstance(reference, CategorySketch) and isinstance(present, CategorySketch):
        _draw_categories(axes, reference, present)


def _draw_numbers(axes: "Axes", reference: NumericSketch, present: NumericSketch) -> None:
    sides = [points(sketch) for sketch in (reference, present)]
    ends = [sketch.quantile(share) for sketch in (reference, present) if sketch.finite for share in (0.01, 0.99)]
    if not ends:
        axes.text(0.5, 0.5, "no value", color=INK, ha="center", va="center", transform=axes.transAxes, fontsize=7)
        return
    low, high = min(ends), max(ends)
    edges = np.linspace(low, high if high > low else low + 1, BARS + 1)
    heights = [
        np.histogram(np.clip(means, low, edges[-1]), edges, weights=counts / max(counts.sum(), 1))[0] for means, counts in sides
    ]
    axes.stairs(heights[0], edges, color=CANDIDATE, fill=True, alpha=0.45)
    axes.stairs(heights[1], edges, color=BASELINE, linewidth=1.1)


def _draw_categories(axes: "Axes", reference: CategorySketch, present: CategorySketch) -> None:
    names = [*reference.categories[:MAX_BARS_OF_CATEGORIES], "other"]
    places = np.arange(len(names))
    for sketch, style in ((reference, {"color": CANDIDATE, "alpha": 0.45}), (present, {"edgecolor": BASELINE, "fill": False})):
        first = list(sketch.counts[:MAX_BARS_OF_CATEGORIES])
        shares = np.array([*first, sketch.present - sum(first)]) / max(sketch.present, 1)
        axes.bar(places, shares, width=0.8, linewidth=1.1, **style)
    axes.set_xticks(places, [name[:8] for name in names], rotation=40, ha="right")
