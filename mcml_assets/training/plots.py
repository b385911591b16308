"""Plots of a candidate as small PNGs: ROC curve, calibration, feature histograms.

No plot shows a single person: histograms end at the 1st and 99th percentile, and categories of fewer than
`MIN_CATEGORY_ROWS` rows are merged. Computing what is drawn belongs to `metrics.py`, how figures look to `figures.py`.
"""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mcml_assets.training.candidate import Candidate
from mcml_assets.training.figures import BASELINE, CANDIDATE, INK, add_axes, add_legend, as_png, new_figure
from mcml_assets.training.metrics import Calibration

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_HISTOGRAMS = 12
MAX_CATEGORIES = 8
MIN_CATEGORY_ROWS = 5
HISTOGRAM_BINS = 24


def plots(candidate: Candidate, served: Calibration | None = None) -> dict[str, bytes]:
    """All plots of a candidate as PNG, by name: `roc_curve`, `calibration`, `feature_histograms`."""
    return {
        "roc_curve": roc_curve(candidate),
        "calibration": calibration_curve(candidate.evaluation.calibration, served),
        "feature_histograms": feature_histograms(candidate.x_train, candidate.x_test),
    }


def roc_curve(candidate: Candidate) -> bytes:
    """True positive rate over false positive rate on the test rows, with the AUC and its interval. PNG.

    T. Fawcett, An introduction to ROC analysis, Pattern Recognition Letters 27 (2006) 861-874.
    """
    from sklearn import metrics  # noqa: PLC0415 - 1.7 s, only when something is drawn

    false_rate, true_rate, _ = metrics.roc_curve(candidate.y_test, candidate.scores)
    figure = new_figure(3.6, 3.4)
    axes = add_axes(figure, 1, 1, 1)
    axes.plot([0, 1], [0, 1], color=BASELINE, linewidth=1, linestyle=(0, (4, 3)), label="baseline 0.5")
    axes.plot(false_rate, true_rate, color=CANDIDATE, linewidth=1.8, label="candidate")
    axes.fill_between(false_rate, true_rate, color=CANDIDATE, alpha=0.12, linewidth=0)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel="false positive rate", ylabel="true positive rate")
    axes.set_title(f"ROC AUC {candidate.evaluation.candidate['roc_auc']}", color=INK, fontsize=9)
    add_legend(axes)
    return as_png(figure)


def calibration_curve(bins: Calibration, served: Calibration | None = None) -> bytes:
    """Share of positives over mean score, per bin of equal rows, beside the served model's on the same rows. PNG."""
    figure = new_figure(3.6, 3.4)
    axes = add_axes(figure, 1, 1, 1)
    drawn = [bins] if served is None else [bins, served]
    top = min(1.0, 1.1 * float(max(max(one.mean_score.max(), one.positive_share.max()) for one in drawn)))
    axes.plot([0, top], [0, top], color=BASELINE, linewidth=1, linestyle=(0, (4, 3)), label="perfect")
    if served is not None:
        axes.plot(served.mean_score, served.positive_share, color=INK, linewidth=1.1, marker="s", markersize=3, label="served")
    axes.plot(
        bins.mean_score,
        bins.positive_share,
        color=CANDIDATE,
        linewidth=1.4,
        marker="o",
        markersize=4,
        label="candidate",
    )
    axes.set(xlim=(0, top), ylim=(0, top * 1.02), xlabel="mean score", ylabel="share of positives")
    axes.set_title(f"expected calibration error {bins.expected_error:.4f}", color=INK, fontsize=9)
    add_legend(axes)
    return as_png(figure)


def feature_histograms(x_train: pd.DataFrame, x_test: pd.DataFrame) -> bytes:
    """The distribution of each input, at most the first `MAX_HISTOGRAMS`, in training and in test rows. PNG."""
    names = list(x_train.columns)[:MAX_HISTOGRAMS]
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure = new_figure(2.0 * columns, 1.55 * rows + 0.25)
    for position, name in enumerate(names, start=1):
        axes = add_axes(figure, rows, columns, position)
        if x_train.dtypes[name].kind == "O":
            _categories(axes, x_train.loc[:, name], x_test.loc[:, name])
        else:
            _histogram(axes, x_train.loc[:, name], x_test.loc[:, name])
        axes.set_title(name, color=INK, fontsize=7.5, pad=3)
        axes.set_yticks([])
        axes.tick_params(labelsize=6)
    more = f", the first {len(names)} of {x_train.shape[1]} inputs" if x_train.shape[1] > len(names) else ""
    figure.suptitle(f"share of rows: training filled, test outlined{more}", color=INK, fontsize=8)
    return as_png(figure)


def _histogram(axes: "Axes", train: pd.Series, test: pd.Series) -> None:
    sides = [values for values in (train.dropna().to_numpy(), test.dropna().to_numpy()) if len(values)]
    if not sides:
        axes.text(0.5, 0.5, "no value", color=INK, ha="center", va="center", transform=axes.transAxes, fontsize=7)
        return
    low = min(np.quantile(values, 0.01) for values in sides)
    high = max(np.quantile(values, 0.99) for values in sides)
    edges = np.linspace(low, high if high > low else low + 1, HISTOGRAM_BINS + 1)
    axes.stairs(_shares(train.dropna().to_numpy(), edges), edges, color=CANDIDATE, fill=True, alpha=0.45)
    axes.stairs(_shares(test.dropna().to_numpy(), edges), edges, color=BASELINE, linewidth=1.1)


def _shares(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    return counts / max(1, len(values))


def _categories(axes: "Axes", train: pd.Series, test: pd.Series) -> None:
    counts = train.value_counts().items()
    shown = [category for category, rows in counts if rows >= MIN_CATEGORY_ROWS][:MAX_CATEGORIES]
    shares = []
    for values in (train, test):
        share = values.value_counts(normalize=True).reindex(shown, fill_value=0.0)
        shares.append([*share.tolist(), 1 - share.sum()])
    places = np.arange(len(shown) + 1)
    axes.bar(places, shares[0], color=CANDIDATE, alpha=0.45, width=0.8)
    axes.bar(places, shares[1], edgecolor=BASELINE, fill=False, linewidth=1.1, width=0.8)
    axes.set_xticks(places, [str(value)[:8] for value in shown] + ["other"], rotation=40, ha="right")
