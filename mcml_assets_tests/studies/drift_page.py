"""The page of the drift study: `make study-drift` runs the study and writes `deploy/docs/drift.md` with its plots.

The page names the code it is of; a test fails when the code has moved on. What is computed is `drift.py`'s business.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

from mcml_assets.build import DEFS
from mcml_assets.configuration.settings import PROJECT_ROOT
from mcml_assets.domain.drift import DEFAULT_DRIFT
from mcml_assets.drift.compare import Comparison
from mcml_assets.training.figures import BASELINE, CANDIDATE, INK, add_axes, add_legend, as_png, new_figure
from mcml_assets_tests.studies.drift import PLANTS, Month, Rate, category_power, false_alarms, months, power, year

PAGE = PROJECT_ROOT / "deploy" / "docs" / "drift.md"
PICTURES = PROJECT_ROOT / "deploy" / "docs" / "drift"
STUDY = Path(__file__).parent / "drift.py"
REPETITIONS = 300
POWER_REPETITIONS = 100
POWER_ROWS = (100, 300, 1000)
CATEGORY_SIZES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
FOLLOWED = ("tenure_days", "recency_days", "monetary_value", "purchases_30d", "basket_size")
Found = dict[str, tuple[str, dict[float, list[tuple[Rate, Rate, Rate]]]]]
INKS = (CANDIDATE, BASELINE, INK, "#31a67c", "#b35fd3")


def studied_code() -> str:
    """A digest of the code whose verdicts the page tells: the drift package, its rules, the features and the study."""
    package = PROJECT_ROOT / "mcml_assets"
    files = [*sorted((package / "drift").glob("*.py")), package / "domain" / "drift.py"]
    files = [file for file in files if file.name not in ("picture.py", "__init__.py")]
    digest = sha256()
    for file in [*files, DEFS / "online_retail" / "features.py", DEFS / "online_retail" / "train.py", STUDY]:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def main() -> None:
    """Run the study and write page and plots."""
    PICTURES.mkdir(exist_ok=True)
    shop = year()
    by_month = months(shop)
    (PICTURES / "months.png").write_bytes(_months_plot(by_month))
    alarms = {f"{rows or 'half a month of'} rows": false_alarms(shop, REPETITIONS, rows) for rows in (None, 200, 50)}
    found: Found = {}
    for plant in PLANTS:
        rates = {size: [power(shop, plant, size, rows, POWER_REPETITIONS) for rows in POWER_ROWS] for size in plant.sizes}
        found[f"{plant.name} (`{plant.column}`)"] = (plant.unit, rates)
    swaps = {size: [category_power(size, rows, POWER_REPETITIONS) for rows in POWER_ROWS] for size in CATEGORY_SIZES}
    found["swapped categories (`person_home_ownership`)"] = ("share of rows", swaps)
    (PICTURES / "power.png").write_bytes(_power_plot(found))
    PAGE.write_text(_page(by_month, alarms, found))


def _months_plot(by_month: Sequence[Month]) -> bytes:
    figure = new_figure(9.5, 3.2)
    panels: list[tuple[str, Callable[[Month], Comparison]]] = [
        ("the model of the last landing", lambda month: month.retrained), ("the month before", lambda month: month.previous)
    ]  # fmt: skip
    labels = [f"{month.date:%b}" for month in by_month]
    for position, (title, side) in enumerate(panels, start=1):
        axes = add_axes(figure, 1, 2, position)
        for name, ink in zip(FOLLOWED, INKS, strict=True):
            axes.plot(labels, [_effect(side(month), name) for month in by_month], color=ink, linewidth=1.4, label=name)
        axes.plot(labels, [_effect(month.predictions, "predictions") for month in by_month], color="#d94a6a", linewidth=1.4,
                  linestyle=(0, (2, 2)), label="predictions")  # fmt: skip
        for threshold in (DEFAULT_DRIFT.warn, DEFAULT_DRIFT.error):
            axes.axhline(threshold, color=INK, linewidth=0.7, linestyle=(0, (4, 3)))
        axes.set_yscale("log")
        axes.set_title(f"effect beside {title}", color=INK, fontsize=9)
        if position == 1:
            figure.legend(loc="outside lower center", ncol=len(FOLLOWED) + 1, frameon=False, labelcolor=INK, fontsize=7)
    return as_png(figure)


def _power_plot(found: Found) -> bytes:
    figure = new_figure(9.5, 5.2)
    for position, (name, (unit, rates)) in enumerate(found.items(), start=1):
        axes = add_axes(figure, 2, -(-len(found) // 2), position)
        for index, (rows, ink) in enumerate(zip(POWER_ROWS, INKS, strict=False)):
            shares = [rate[index][0].accused / rate[index][0].checks for rate in rates.values()]
            axes.plot(range(len(rates)), shares, color=ink, linewidth=1.3, marker="o", markersize=3, label=f"{rows} rows")
        axes.set_xticks(range(len(rates)), [f"{size:g}" for size in rates])
        axes.set(ylim=(-0.03, 1.03), xlabel=unit)
        axes.set_title(name.replace("`", ""), color=INK, fontsize=7.5)
        if position == 1:
            add_legend(axes)
    return as_png(figure)


def _effect(comparison: Comparison, name: str) -> float:
    (effect,) = [one.measured.effect for one in comparison.judged if one.measured.name == name]
    return max(effect, 1e-4)


def _page(by_month: Sequence[Month], alarms: dict[str, tuple[Rate, Rate, Rate]], found: Found) -> str:
    origin = (
        f"Generated by `make study-drift` from the code `{studied_code()}`, on the year of the example shop in the UK "
        "(customers' features recomputed month by month with the workload's own code). Do not edit by hand."
    )
    halves = (
        "The customers of a month are split at random: one half is the reference, the other the present. Whatever is "
        f"accused is accused wrongly. The target is at most {DEFAULT_DRIFT.false_alarms:.0%} of checks."
    )
    planted = (
        "A change of known size is planted in one column of one half. The tables say in how many of "
        f"{POWER_REPETITIONS} checks that column was past the first threshold (past the second), by rows of the present. "
        "`recency_days` ends at zero, so even a small shift empties its lowest tenth, and is found for that."
    )
    parts = ["# Drift: what is found, and how often it cries wolf", origin, METHOD]
    parts += ["## A year, month by month", "![effects by month](drift/months.png)", _months_table(by_month), MONTHS]
    parts += ["## False alarms", halves, _alarm_table(alarms), "## Power", "![power](drift/power.png)", planted]
    parts += [*(_power_table(name, unit, rates) for name, (unit, rates) in found.items()), LIMITS]
    return "\n\n".join(parts) + "\n"


def _months_table(by_month: Sequence[Month]) -> str:
    headings = ["month to", "model of", "drifted beside the first model", "beside the last model", "beside the month before"]
    headings += ["worst beside the month before", "effect of the predictions"]
    lines = [f"| {' | '.join(headings)} |", "|---" * len(headings) + "|"]
    for month in by_month:
        worst = month.previous.judged[0]
        scores = month.predictions.judged[0]
        lines.append(
            f"| {month.date:%Y-%m-%d} | {month.model_of:%Y-%m-%d} | {len(month.kept.drifted)} | {len(month.retrained.drifted)} "
            f"| {len(month.previous.drifted)} | `{worst.measured.name}` {worst.measured.effect:.2f} "
            f"| {scores.measured.effect:.3f} ({scores.level.value}) |"
        )
    return "\n".join(lines)


def _alarm_table(alarms: dict[str, tuple[Rate, Rate, Rate]]) -> str:
    headings = ["the present is", "checks", "accused", "share", "95 % interval", "any KS p < 0.05", "any PSI ≥ 0.1"]
    lines = [f"| {' | '.join(headings)} |", "|---" * len(headings) + "|"]
    for name, (ours, tested, indexed) in alarms.items():
        low, high = ours.interval
        lines.append(
            f"| {name} | {ours.checks} | {ours.accused} | {ours.accused / ours.checks:.2%} | {low:.2%} to {high:.2%} "
            f"| {tested.accused / tested.checks:.0%} | {indexed.accused / indexed.checks:.0%} |"
        )
    return "\n".join([*lines, "", "The last two columns are what common rules would have accused on the same halves."])


def _power_table(name: str, unit: str, rates: dict[float, list[tuple[Rate, Rate, Rate]]]) -> str:
    lines = [f"| {name}: {unit} | " + " | ".join(f"{size:g}" for size in rates) + " |", "|---" * (len(rates) + 1) + "|"]
    for index, rows in enumerate(POWER_ROWS):
        cells = [f"{rate[index][0].accused} ({rate[index][1].accused})" for rate in rates.values()]
        lines.append(f"| {rows} rows | " + " | ".join(cells) + " |")
    others = [rate[2] for each in rates.values() for rate in each]
    lines += [
        "",
        f"Another column was accused in {sum(rate.accused for rate in others)} of {sum(r.checks for r in others)} checks.",
    ]
    return "\n".join(lines)


METHOD = """\
## What is compared, and how

A model package carries a reference, `reference.json`: one sketch per model input, of the rows the model learnt from, and
one of its scores for the held-out rows. The check `drift` on `feature_snapshot` sketches the newest features of a location
over the same grid; on `endpoint` it does so with the scores that the held model gives for them. Nothing else is read, and
nothing leaves the location.

- **Sketch of numbers**: up to 8,192 bins of about equal reference rows, finer towards both ends, a heavy value in a bin of
  its own; a count and a sum for each bin; nulls, NaN and infinite values apart. Sketches over one grid merge by addition,
  across files and locations.
- **Sketch of categories**: a count for each listed category, one for all others, one for nulls.
- **What it tells of people**: every bin that is not empty, every listed category and every value with a bin of its own is
  shared by at least ten rows of the reference. Rarer categories are pooled, rows of smaller bins are counted in the next
  bin below; other cut points lie between values, and no minimum or maximum is kept. Keys and personal columns are never
  model inputs, so they have no sketch. This holds for every workload, restricted or not.
- **Figures**: population stability index over tenths of the reference (categories of under 2 % are put together),
  Kolmogorov-Smirnov or chi-square, Wasserstein distance, Jensen-Shannon distance, change of the share of missing values, and
  the share of rows in categories that the reference does not list, beyond those it pooled. Sources of all formulas are in
  `mcml_assets/drift/measures.py`.

A feature has drifted when all three hold:

1. **It is significant.** The p-value of the KS test and of the share of missing values (Bonferroni), or of the chi-square
   test, is corrected for all features of the check by Benjamini and Hochberg, and then at most `false_alarms`.
2. **It is large.** The effect is the index, or the squared Wasserstein distance in standard deviations if that is larger;
   between normal distributions both are the same. From `warn` it warns, from `error` it is an error.
3. **It is larger than chance makes it in so few rows.** The index divided by 1/n + 1/m follows chi-square, which gives its
   limit; the distance's limit is its mean by chance plus a normal quantile of the bound of Efron and Stein. No resampling.

So large samples do not alarm on trifles, and small ones widen the thresholds. Rows too few to show even a complete change
are not judged, which is said, and does not pass.

```yaml
  thresholds:
    drift:
      warn: 0.1             # effect, by convention "some change"
      error: 0.25           # "large change"
      false_alarms: 0.01    # of checks, when nothing changed
      reference: training   # or previous, or same_month_last_year: an earlier as-of date of the same snapshot
      window_days: 30       # the present, in views whose rows bring their own times
```

A reference that the snapshot does not reach back to is replaced by `training`, and the check says so. Drift never holds
anything back."""

MONTHS = """\
The data begins in December 2010, so the shop's customers grow older with every month: `tenure_days` cannot but drift from
any model that was trained earlier, and counts over the whole history follow it. That is true drift and is told as such; that
the predictions hardly move says that the model does not hang on it. Beside the month before, only `tenure_days` is told."""

LIMITS = """\
## What it does not do

- Rows are taken as independent. A training set holds a customer once per as-of date, so its rows count for more than they
  are; the present, which is one date, decides the power.
- It looks at one column at a time: a changed dependence between columns is seen in the predictions, if at all.
- A Wasserstein distance is as good as its tail: of a distribution without variance the ten largest values decide it, and
  the sketch keeps only their mean.
- A share of new categories is known only beyond the share of rare ones that the reference pooled."""


if __name__ == "__main__":
    main()
