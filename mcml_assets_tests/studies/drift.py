"""The study of drift on a real year: the example shop's features, recomputed month by month with the workload's own code.

Three questions: how far does each month move from what a model learnt, how often is a month accused of drifting from
itself, and which planted change is found with which power. The page that tells the answers is `drift_page.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import stats

from mcml_assets.build import DEFS
from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.configuration.user_code import load_function
from mcml_assets.configuration.workload import load_workload
from mcml_assets.domain.drift import DEFAULT_DRIFT, DriftLevel
from mcml_assets.domain.workload import Workload
from mcml_assets.drift.compare import Comparison, compare, sketch_tables
from mcml_assets.drift.grid import reference_sketch
from mcml_assets.drift.measures import kolmogorov_p_value
from mcml_assets.drift.reference import Reference, build_reference
from mcml_assets.drift.sketch import Sketch
from mcml_assets.features.compute import as_of_index, compute_features
from mcml_assets.features.tables import before, utc_tables
from mcml_assets.training.candidate import train_candidate

JURISDICTION = "UK"
FIRST_BATCH, BATCH = timedelta(days=180), timedelta(days=30)
SEED = 20111209
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Year:
    """The shop's year in one jurisdiction: raw rows, and the features as of each date, the oldest first."""

    workload: Workload
    raw: pd.DataFrame
    features: Mapping[pd.Timestamp, pa.Table]

    @property
    def inputs(self) -> list[str]:
        return list(self.workload.features.views[0].features)


@dataclass(frozen=True, slots=True)
class Month:
    """One as-of date beside its references: the largest effects by reference, features past a threshold, and the scores'."""

    date: pd.Timestamp
    model_of: pd.Timestamp
    kept: Comparison
    retrained: Comparison
    previous: Comparison
    predictions: Comparison


@dataclass(frozen=True, slots=True)
class Rate:
    """How many of how many checks accused; the interval is exact (C. Clopper, E. Pearson, Biometrika 26 (1934) 404-413)."""

    accused: int
    checks: int

    @property
    def interval(self) -> tuple[float, float]:
        tail = (1 - CONFIDENCE) / 2
        low = stats.beta.ppf(tail, self.accused, self.checks - self.accused + 1) if self.accused else 0.0
        high = stats.beta.ppf(1 - tail, self.accused + 1, self.checks - self.accused) if self.accused < self.checks else 1.0
        return float(low), float(high)


@cache
def year() -> Year:
    """The whole year's features, as the platform computes them at the last landing."""
    workload = load_workload(DEFS / "online_retail" / "defs.yaml", load_topology(Settings().topology_file))
    source = workload.sources[0]
    rows = pq.read_table(source.path).to_pandas()
    if source.placed_by is not None:
        rows = rows.loc[rows[source.placed_by.column].isin(source.placed_by.values[JURISDICTION])]
    raw = utc_tables(workload, {source.name: rows})[source.name]
    watermark = raw[source.event_time].max().ceil("D")
    with TemporaryDirectory() as folder:
        files = compute_features(workload, {source.name: raw}, watermark.to_pydatetime(), Path(folder))
        dates = pd.to_datetime([Path(path).stem for path in files], utc=True)
        features = dict(zip(dates, (pq.read_table(file) for file in files.values()), strict=True))
    return Year(workload, raw, features)


def months(of: Year) -> list[Month]:
    """Every as-of date after the first landing, beside the models that the platform has by then.

    A model is trained at each landing, with the workload's own labels, split and training. `kept` compares with the
    reference of the first model for ever, `retrained` with that of the landing before, `previous` with the month before.
    """
    first = of.raw[of.workload.sources[0].event_time].min().floor("D")
    dates = list(of.features)
    landings = [date for date in dates if date >= first + FIRST_BATCH]
    references = {landing: _trained(of, landing) for landing in landings[:-1]}
    result = []
    for before_, date in pairwise(landings):
        reference, predict = references[before_]
        table = of.features[date]
        past = {name: reference_sketch(name, of.features[before_][name]) for name in of.inputs}
        scores = pa.table({"predictions": predict(table.select(of.inputs).to_pandas())})
        result.append(
            Month(
                date, before_,
                kept=_against(references[landings[0]][0].features, table),
                retrained=_against(reference.features, table),
                previous=_against(past, table),
                predictions=_against({"predictions": reference.predictions}, scores),
            )
        )  # fmt: skip
    return result


def false_alarms(of: Year, repetitions: int, rows: int | None = None) -> tuple[Rate, Rate, Rate]:
    """How often a random half of a month is accused of drifting from the other half, over all months.

    `rows` bounds the half that is judged. The second and third rate are of two common rules on the same halves: any
    feature with a KS p-value below 0.05, and any with an index of at least 0.1.
    """
    random = np.random.default_rng(SEED)
    accused = tested = indexed = checks = 0
    for table in of.features.values():
        for _ in range(repetitions):
            comparison = _halves(table, of.inputs, random, rows)
            checks += 1
            accused += comparison.level is not DriftLevel.NONE
            figures = [one.measured for one in comparison.judged]
            indexed += any(one.psi >= DEFAULT_DRIFT.warn for one in figures)
            tested += any(_ks_p_value(comparison, one.name, one.kolmogorov_smirnov or 0.0) < 0.05 for one in figures)
    return Rate(accused, checks), Rate(tested, checks), Rate(indexed, checks)


@dataclass(frozen=True, slots=True)
class Plant:
    """A change of known size in one column: its name, the sizes tried, and how a column becomes a changed one."""

    name: str
    column: str
    sizes: tuple[float, ...]
    unit: str
    change: Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


def _share(values: np.ndarray, size: float, random: np.random.Generator, changed: np.ndarray | float) -> np.ndarray:
    return np.where(random.random(len(values)) < size, changed, values)


PLANTS = (
    Plant("shift", "recency_days", (0.0, 0.02, 0.05, 0.1, 0.2, 0.4), "standard deviations",
          lambda values, size, _: values + size * np.nanstd(values)),
    Plant("shift", "distinct_products", (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5), "standard deviations",
          lambda values, size, _: values + np.round(size * np.nanstd(values))),
    Plant("scale", "monetary_value", (1.0, 1.1, 1.25, 1.5, 2.0, 3.0), "factor", lambda values, size, _: values * size),
    Plant("pounds to pence", "monetary_value", (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0), "share of rows",
          lambda values, size, random: _share(values, size, random, values * 100)),
    Plant("pounds to pence where most are zero", "spend_30d", (0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0), "share of rows",
          lambda values, size, random: _share(values, size, random, values * 100)),
    Plant("nulls", "frequency", (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3), "share of rows",
          lambda values, size, random: _share(values, size, random, np.nan)),
)  # fmt: skip


def power(of: Year, plant: Plant, size: float, rows: int, repetitions: int) -> tuple[Rate, Rate, Rate]:
    """How often a change of this size is found in `rows` rows of the last month, beside the month's other half.

    The rates are of the changed column past the first threshold, past the second, and of any other column accused.
    """
    table = list(of.features.values())[-1]
    return _power(table.select(of.inputs), plant, size, rows, repetitions)


def category_power(size: float, rows: int, repetitions: int) -> tuple[Rate, Rate, Rate]:
    """The same for a share `size` of rows of the loans' data, where the answers RENT and OWN are swapped."""
    loans = pq.read_table(DEFS / "credit_scoring" / "data" / "loans.parquet")
    table = loans.select(["person_home_ownership", "loan_intent", "person_income", "loan_amnt", "loan_int_rate"])
    swapped = {"RENT": "OWN", "OWN": "RENT"}

    def swap(values: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
        return _share(values, share, random, np.array([swapped.get(value, value) for value in values], dtype=object))

    return _power(table, Plant("swapped categories", "person_home_ownership", (), "", swap), size, rows, repetitions)


def _power(table: pa.Table, plant: Plant, size: float, rows: int, repetitions: int) -> tuple[Rate, Rate, Rate]:
    random = np.random.default_rng(SEED)
    warned = failed = others = 0
    for _ in range(repetitions):
        one, other = _split(table, random, rows)
        changed = plant.change(other[plant.column].to_numpy(), size, random)
        place = other.column_names.index(plant.column)
        planted = other.set_column(place, plant.column, [pa.array(changed, from_pandas=True)])
        levels = {judged.measured.name: judged.level for judged in _against(_sketches(one), planted).drifted}
        warned += plant.column in levels
        failed += levels.get(plant.column) is DriftLevel.ERROR
        others += bool(levels.keys() - {plant.column})
    return Rate(warned, repetitions), Rate(failed, repetitions), Rate(others, repetitions)


def _trained(of: Year, watermark: pd.Timestamp) -> tuple[Reference, Callable[[pd.DataFrame], np.ndarray]]:
    """The reference and the model that a training at this landing gives."""
    workload, name = of.workload, of.workload.sources[0].name
    known = before(workload, {name: of.raw}, watermark)
    labels = load_function(workload.training.target)(known, as_of_index(workload, known, watermark.to_pydatetime()))
    features = pa.concat_tables([table for date, table in of.features.items() if date < watermark]).to_pandas()
    features["event_timestamp"] = features["event_timestamp"].astype("datetime64[us, UTC]")
    labels["event_timestamp"] = labels["event_timestamp"].astype("datetime64[us, UTC]")
    rows = labels.merge(features, on=[workload.features.entity.key, "event_timestamp"])
    candidate = train_candidate(
        workload, rows[of.inputs], rows["target"], entities=rows[workload.features.entity.key], times=rows["event_timestamp"]
    )
    reference = build_reference(candidate.x_train, candidate.scores)
    return reference, lambda x: candidate.model.predict_proba(x.astype("float64"))[:, 1]


def _against(reference: Mapping[str, Sketch], table: pa.Table) -> Comparison:
    sketches, problems = sketch_tables([table], reference)
    return compare(reference, sketches, DEFAULT_DRIFT, problems)


def _sketches(table: pa.Table) -> dict[str, Sketch]:
    return {name: reference_sketch(name, table[name]) for name in table.column_names}


def _halves(table: pa.Table, inputs: list[str], random: np.random.Generator, rows: int | None) -> Comparison:
    one, other = _split(table.select(inputs), random, rows)
    return _against(_sketches(one), other)


def _split(table: pa.Table, random: np.random.Generator, rows: int | None) -> tuple[pa.Table, pa.Table]:
    """Two halves drawn at random, the second cut to `rows`."""
    order = random.permutation(table.num_rows)
    half = table.num_rows // 2
    return table.take(order[:half]), table.take(order[half:][:rows])


def _ks_p_value(comparison: Comparison, name: str, statistic: float) -> float:
    return kolmogorov_p_value(statistic, comparison.reference[name].present, comparison.present[name].present)
