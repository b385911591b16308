"""Drift beside other tools: a million rows of fifty features, all four figures of ours against one figure of each peer.

Both sides have the rows in memory as float64; ours lays the grid of the reference, sketches both sides and measures. The
peers get the same; Evidently, which takes minutes, a tenth of the columns, and its time, which is linear in them, is
multiplied by ten.
"""

import json
from collections.abc import Callable

import numpy as np
import pyarrow as pa
from scipy import stats

from mcml_assets.drift.compare import sketch_like
from mcml_assets.drift.grid import reference_sketch
from mcml_assets.drift.measures import measure as measure_column
from mcml_assets_tests.benchmarks.peers import ask_peer
from mcml_assets_tests.benchmarks.peers.drift_columns import columns_of
from mcml_assets_tests.benchmarks.report import Result, processor_seconds, seconds

ROWS, COLUMNS, FEW = 1_000_000, 50, 5
QUANTILE_BINS = 20
# What each measures, and of how many columns.
PEERS = {
    "evidently": ("PSI", FEW),
    "frouros": ("PSI", COLUMNS),
    "nannyml": ("Jensen-Shannon", COLUMNS),
    "alibi": ("KS", COLUMNS),
}
# Evidently's PSI took 127 s where ours took 4: the bound of each, as a share of the peer's time.
GOALS = {"evidently": "ratio <= 0.0333", "frouros": "ratio <= 1", "nannyml": "ratio <= 1", "alibi": "ratio <= 1"}


def _measure_all(reference: np.ndarray, present: np.ndarray) -> list[tuple[float, float]]:
    """All figures of every column, both of shape (columns, rows); returns KS and Wasserstein."""
    found = []
    for then, now in zip(reference, present, strict=True):
        grid = reference_sketch("x", pa.chunked_array([then]))
        figures = measure_column("x", grid, sketch_like("x", pa.chunked_array([now]), grid), 0.01 / len(reference))
        found.append((figures.kolmogorov_smirnov or 0.0, figures.wasserstein or 0.0))
    return found


def _measure_present(grids: list, present: np.ndarray) -> None:
    """What the check does in each location: the reference is stored, only the present is sketched."""
    for grid, now in zip(grids, present, strict=True):
        measure_column("x", grid, sketch_like("x", pa.chunked_array([now]), grid), 0.01 / len(grids))


def measure() -> list[Result]:
    """All results."""
    reference, present = columns_of(ROWS, COLUMNS, seed=0), columns_of(ROWS, COLUMNS, seed=1)
    results = []
    for peer, (figure, columns) in PEERS.items():
        ours = seconds(lambda: _measure_all(reference, present))
        theirs = ask_peer("drift", peer, json.dumps([ROWS, columns]))["seconds"] * COLUMNS / columns
        label = f"PSI, KS, JS, Wasserstein of 1 M x {COLUMNS} beside {peer}'s {figure} alone"
        label += f" ({columns} columns x {COLUMNS // columns})" if columns < COLUMNS else ""
        results.append(Result(label, GOALS[peer], ours, theirs, "s"))
    ours = seconds(lambda: _measure_all(reference[:FEW], present[:FEW]))
    theirs = seconds(
        lambda: [(stats.ks_2samp(*pair), stats.wasserstein_distance(*pair)) for pair in _pairs(reference, present)]
    )
    results.append(Result(f"the same of {FEW} columns beside scipy's KS and Wasserstein", "ratio <= 1", ours, theirs, "s"))
    grids = [reference_sketch("x", pa.chunked_array([column])) for column in reference]
    whole, sketched = seconds(lambda: _measure_all(reference, present)), seconds(lambda: _measure_present(grids, present))
    results.append(Result("only the present, the reference stored, beside both", "ratio <= 0.7", sketched, whole, "s"))
    return [*results, *_accuracy(reference, present)]


def _pairs(reference: np.ndarray, present: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(zip(reference[:FEW], present[:FEW], strict=True))


def _accuracy(reference: np.ndarray, present: np.ndarray) -> list[Result]:
    """Errors against scipy on the rows; the peer is a sketch of quantile bins that keeps their middles and no sums."""
    ours = _measure_all(reference[:FEW], present[:FEW])
    ks_errors, distance_errors, middle_ks, middle_distance = [], [], [], []
    for (then, now), (ks, distance) in zip(_pairs(reference, present), ours, strict=True):
        exact_ks = float(np.array(stats.ks_2samp(then, now))[0])
        exact = float(stats.wasserstein_distance(then, now))
        ks_errors.append(abs(ks - exact_ks))
        distance_errors.append(abs(distance / exact - 1))
        binned_ks, binned = _quantile_bins(then, now)
        middle_ks.append(abs(binned_ks - exact_ks))
        middle_distance.append(abs(binned / exact - 1))
    ks_label = f"KS: largest error against scipy (peer: {QUANTILE_BINS} quantile bins)"
    distance_label = "Wasserstein: largest relative error (peer: the same bins at their middles)"
    return [
        Result(ks_label, "ours <= 0.0002", max(ks_errors), max(middle_ks), ""),
        Result(distance_label, "ours <= 0.01", max(distance_errors), max(middle_distance), ""),
    ]


def _quantile_bins(then: np.ndarray, now: np.ndarray) -> tuple[float, float]:
    edges = np.quantile(then, np.linspace(0, 1, QUANTILE_BINS + 1))
    middles = (edges[1:] + edges[:-1]) / 2
    shares = [np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] / len(values) for values in (then, now)]
    return float(np.abs(np.cumsum(shares[0] - shares[1])).max()), float(stats.wasserstein_distance(middles, middles, *shares))


def growth() -> list[Result]:
    """More rows, and more columns."""
    reference, present = columns_of(ROWS, COLUMNS // 5, seed=0), columns_of(ROWS, COLUMNS // 5, seed=1)

    def best(work: Callable[[], object]) -> float:
        return min(processor_seconds(work) for _ in range(3))

    few, some = FEW, COLUMNS // 5
    tenth = ROWS // 10
    rows = best(lambda: _measure_all(reference[:few], present[:few]))
    tenth_rows = best(lambda: _measure_all(reference[:few, :tenth], present[:few, :tenth]))
    columns = best(lambda: _measure_all(reference[:some], present[:some]))
    fifth = best(lambda: _measure_all(reference[: some // 5], present[: some // 5]))
    return [
        Result("drift: ten times the rows (100 k to 1 M, 5 columns)", "ratio <= 15", rows, tenth_rows, "s"),
        Result("drift: five times the columns (2 to 10, 1 M rows)", "ratio <= 7", columns, fifth, "s"),
    ]
