"""The example workloads as declared, and their real data as a jurisdiction's landing would hold it."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

import mcml_assets.defs
from mcml_assets.configuration.settings import TOPOLOGIES
from mcml_assets.configuration.topology import load_topology
from mcml_assets.configuration.workload import load_workload
from mcml_assets.domain.workload import Workload

DEFS = Path(next(iter(mcml_assets.defs.__path__)))


@cache
def _source(file: Path) -> pd.DataFrame:
    return pd.read_parquet(file)


@pytest.fixture(scope="session")
def load() -> Callable[[str], Workload]:
    """A workload of `mcml_assets/defs` by name."""
    topology = load_topology(TOPOLOGIES / "local.yaml")
    return cache(lambda name: load_workload(DEFS / name / "defs.yaml", topology))


@pytest.fixture(scope="session")
def raw() -> Callable[..., dict[str, pd.DataFrame]]:
    """A workload's tables: the rows of a jurisdiction, before the end of so many days after its first event."""

    def tables(workload: Workload, jurisdiction: str, days: int | None = None) -> dict[str, pd.DataFrame]:
        return {source.name: rows(source, jurisdiction, days) for source in workload.sources}

    def rows(source, jurisdiction: str, days: int | None) -> pd.DataFrame:
        table = _source(source.path)
        if source.placed_by is not None:
            table = table.loc[table[source.placed_by.column].isin(source.placed_by.values[jurisdiction])]
        if source.event_time is not None and days is not None:
            table = table.loc[table[source.event_time] < table[source.event_time].min() + pd.Timedelta(days=days)]
        return table.copy()

    return tables
