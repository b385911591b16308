"""A scorecard made now: gathered, written as a page, with the former scores that Dagster remembers as its trend."""

from pathlib import Path

import dagster as dg

from mcml_assets.configuration.settings import Settings
from mcml_assets.declaration import asset_key
from mcml_assets.domain.scorecard import Scorecard
from mcml_assets.domain.workload import Workload
from mcml_assets.scorecard.gather import gather
from mcml_assets.scorecard.page import page
from mcml_assets.serving.folder import write_atomically

HISTORY = 90


def publish(workload: Workload, instance: dg.DagsterInstance, settings: Settings, now: float) -> tuple[Scorecard, Path]:
    """Gather, and write the page; returns both."""
    scorecard = gather(workload, instance, now)
    file = settings.home / "scorecards" / f"{workload.name}.html"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, page(scorecard, _former(workload, instance)))
    return scorecard, file


def _former(workload: Workload, instance: dg.DagsterInstance) -> list[tuple[float, float]]:
    records = instance.fetch_materializations(asset_key(workload, "resilience_scorecard"), limit=HISTORY).records
    scores: list[tuple[float, float]] = []
    for record in records:
        materialization = record.asset_materialization
        score = materialization.metadata.get("score") if materialization is not None else None
        if score is not None and isinstance(score.value, int | float):
            scores.append((record.timestamp, float(score.value)))
    return sorted(scores)
