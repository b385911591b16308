"""`drift`: features, and the predictions made of them, are still distributed as what the served model learnt from.

It warns and never blocks: drifted data is true data, and a model that answers on it beats one that does not. What is
measured and how it is judged is `drift/`'s and `domain/drift.py`'s business.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import dagster as dg

from mcml_assets.asset_checks.partitioned import partitioned_check
from mcml_assets.declaration import asset_key
from mcml_assets.domain.drift import DriftLevel, DriftReference
from mcml_assets.domain.errors import McmlError, ObjectNotFound
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.domain.workload import Workload
from mcml_assets.partitions import by_location
from mcml_assets.resources.packages import held_package, scores_of
from mcml_assets.resources.stores import CloudStores
from mcml_assets.serving.package import REFERENCE
from mcml_assets.snapshots.store import SnapshotStore

if TYPE_CHECKING:
    import pyarrow as pa

    from mcml_assets.drift.compare import Comparison
    from mcml_assets.drift.reference import Reference

# A workload of hundreds of features would bury the figures that matter; the table has the same ones.
SHOWN_FEATURES = 20
PREDICTIONS = "predictions"


def build_feature_drift(workload: Workload) -> dg.AssetChecksDefinition:
    """The newest features here, beside the reference of the model that is served here."""
    promise = "The newest features are distributed as those the model served here learnt from."
    return _build_drift(workload, "feature_snapshot", promise, of_predictions=False)


def build_prediction_drift(workload: Workload) -> dg.AssetChecksDefinition:
    """The scores that the held model gives for the newest features here, beside those it gave for held-out rows."""
    promise = "The model's predictions for the newest features here are distributed as those for its held-out rows."
    return _build_drift(workload, "endpoint", promise, of_predictions=True)


def _build_drift(workload: Workload, noun: str, promise: str, *, of_predictions: bool) -> dg.AssetChecksDefinition:
    @partitioned_check(asset_key(workload, noun), "drift", promise, by_location(workload), blocking=False)
    def drift(context: dg.AssetCheckExecutionContext, stores: CloudStores) -> dg.AssetCheckResult:
        return _result(workload, stores, context.partition_key, of_predictions=of_predictions)

    return drift


def _result(workload: Workload, stores: CloudStores, location: str, *, of_predictions: bool) -> dg.AssetCheckResult:
    try:
        model = stores.snapshots(workload, location, "model").current()
        features = stores.snapshots(workload, location, "feature_snapshot").current()
        if model is None:
            # The one case in which nothing was compared and nothing is wrong: nobody is served anything yet.
            return dg.AssetCheckResult(
                passed=True, description=f"{location} serves no model yet, so nothing can have drifted from it."
            )
        if features is None:
            raise ObjectNotFound(f"{location} holds no features of {workload.name} yet")
        with TemporaryDirectory() as scratch:
            subject = _Subject(workload, stores, location, model, features, Path(scratch))
            comparison, against = subject.predictions() if of_predictions else subject.features()
    except McmlError as error:
        return _failed(str(error), {"error": type(error).__name__})
    metadata = {
        "snapshot": features.snapshot_id[:12],
        "model": model.snapshot_id[:12],
        "model_version": model.annotations.get("version", "unknown"),
        "reference": against,
    }
    return _shown(comparison, metadata)


class _Subject:
    """One location's newest features and the model it serves, fetched as far as a comparison needs them."""

    def __init__(
        self, workload: Workload, stores: CloudStores, location: str, model: Manifest, features: Manifest, scratch: Path
    ) -> None:
        self.workload, self.stores, self.location = workload, stores, location
        self.model, self.manifest, self.scratch = model, features, scratch

    def features(self) -> tuple["Comparison", str]:
        """The comparison of the features, and what they were compared with."""
        from mcml_assets.drift.compare import compare, sketch_tables  # noqa: PLC0415 - numpy, only when drift is judged

        reference = self._reference()
        then, against = self._earlier()
        present, problems = sketch_tables([self._table(None)], reference.features)
        if then is None:
            return compare(reference.features, present, self._thresholds, problems), against
        earlier, missing = sketch_tables([then], reference.features)
        return compare(earlier, present, self._thresholds, tuple(dict.fromkeys((*problems, *missing)))), against

    def predictions(self) -> tuple["Comparison", str]:
        """The comparison of the predictions, and what they were compared with."""
        import pyarrow as pa  # noqa: PLC0415 - only when drift is judged

        from mcml_assets.drift.compare import compare, sketch_like  # noqa: PLC0415 - the same

        reference = self._reference()
        package = held_package(self.workload, self.stores, self.location, self.model)

        def sketch(table: "pa.Table") -> Any:
            scores = scores_of(package, table.to_pandas()) if table.num_rows else []
            return sketch_like(PREDICTIONS, pa.chunked_array([scores], type=pa.float64()), reference.predictions)

        then, against = self._earlier()
        base = reference.predictions if then is None else sketch(then)
        return compare({PREDICTIONS: base}, {PREDICTIONS: sketch(self._table(None))}, self._thresholds), against

    @property
    def _thresholds(self) -> Any:
        return self.workload.thresholds.drift

    def _reference(self) -> "Reference":
        """What is stored with the model. Raises `ObjectNotFound` for a model that was packaged without."""
        from mcml_assets.drift.reference import read_reference  # noqa: PLC0415 - numpy, only when drift is judged

        if REFERENCE not in {file.path for file in self.model.files}:
            raise ObjectNotFound(f"the model served in {self.location} has no {REFERENCE}: the next one trained will have it")
        return read_reference(self._fetch(self.stores.snapshots(self.workload, self.location, "model"), self.model, REFERENCE))

    def _earlier(self) -> tuple["pa.Table | None", str]:
        """The rows of the chosen earlier time, None for the training reference; and a word for it."""
        wanted = self._thresholds.reference
        if wanted is DriftReference.TRAINING:
            return None, wanted.value
        then = self._table(wanted)
        return then, wanted.value if then is not None else f"training, for the snapshot holds no {wanted.value}"

    def _table(self, when: DriftReference | None) -> "pa.Table | Any":
        from mcml_assets.drift.present import features_at  # noqa: PLC0415 - pyarrow, only when drift is judged

        snapshots = self.stores.snapshots(self.workload, self.location, "feature_snapshot")
        return features_at(
            self.workload.features.views,
            [file.path for file in self.manifest.files],
            lambda path: self._fetch(snapshots, self.manifest, path),
            when,
            self._thresholds.window_days,
        )

    def _fetch(self, snapshots: SnapshotStore, manifest: Manifest, path: str) -> Path:
        """One file of a snapshot, verified; the others stay where they are."""
        return snapshots.fetch(replace(manifest, files=(manifest.file(path),)), self.scratch)[path]


def _shown(comparison: "Comparison", metadata: dict[str, Any]) -> dg.AssetCheckResult:
    from mcml_assets.drift.picture import worst_features  # noqa: PLC0415 - numpy, only when drift is judged
    from mcml_assets.training.figures import as_markdown  # noqa: PLC0415 - the same

    rows = max((sketch.rows for sketch in comparison.present.values()), default=0)
    figures = {**metadata, "rows": rows, "features": len(comparison.judged), "drifted_features": len(comparison.drifted)}
    if comparison.judged:
        figures["worst_effect"] = _finite(comparison.judged[0].measured.effect)
        figures |= {f"effect_{one.measured.name}": _finite(one.measured.effect) for one in comparison.judged[:SHOWN_FEATURES]}
        figures["figures"] = dg.MetadataValue.md(_table(comparison))
    picture = worst_features(comparison)
    if picture is not None:
        figures["worst_features"] = dg.MetadataValue.md(as_markdown("worst_features", picture))
    if comparison.problems or comparison.too_few:
        return _failed(" ".join(_sentence(text) for text in (*comparison.problems, comparison.too_few) if text), figures,
                       dg.AssetCheckSeverity.ERROR if comparison.problems else dg.AssetCheckSeverity.WARN)  # fmt: skip
    return dg.AssetCheckResult(
        passed=comparison.level is DriftLevel.NONE,
        severity=dg.AssetCheckSeverity.ERROR if comparison.level is DriftLevel.ERROR else dg.AssetCheckSeverity.WARN,
        description=_verdict(comparison),
        metadata=figures,
    )


def _failed(
    problem: str, metadata: dict[str, Any], severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.WARN
) -> dg.AssetCheckResult:
    """What could not be judged has not passed."""
    description = f"Not judged: {problem}"
    return dg.AssetCheckResult(
        passed=False, severity=severity, description=description, metadata={"problem": problem, **metadata}
    )


def _verdict(comparison: "Comparison") -> str:
    if not comparison.drifted:
        return f"None of {len(comparison.judged)} distributions moved further than its threshold and chance allow."
    names = _listed(f"{one.measured.name} ({one.level.value})" for one in comparison.drifted)
    return f"{names} drifted. Nothing is held back: the model goes on answering, and the next training learns from these rows."


def _listed(names: Iterable[str]) -> str:
    first = list(names)
    return ", ".join(first[:5]) + (f" and {len(first) - 5} more" if len(first) > 5 else "")


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _finite(value: float) -> float:
    """A feature that was constant and is not any more is infinitely far: a plot over time needs a number."""
    return min(value, 1e6)


def _table(comparison: "Comparison") -> str:
    def cell(value: float | None) -> str:
        return "" if value is None else f"{value:.3g}"

    headings = ["feature", "level", "PSI (by chance)", "shift in SD (by chance)", "KS", "Wasserstein", "Jensen-Shannon"]
    headings += ["missing", "new categories", "adjusted p"]
    lines = [f"| {' | '.join(headings)} |", "|---" * len(headings) + "|"]
    for one in comparison.judged:
        found = one.measured
        shift = "" if found.shift is None else f"{found.shift:.3g} ({found.shift_by_chance:.3g})"
        lines.append(
            f"| {found.name} | {one.level.value} | {found.psi:.3g} ({found.psi_by_chance:.3g}) | {shift} "
            f"| {cell(found.kolmogorov_smirnov)} | {cell(found.wasserstein)} | {cell(found.jensen_shannon)} "
            f"| {found.missing_change:+.1%} | {cell(found.new_share)} | {one.adjusted_p:.2g} |"
        )
    return "\n".join(lines)
