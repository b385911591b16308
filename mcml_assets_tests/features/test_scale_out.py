"""What features computed on Ray promise: the same bytes as those of one process, and the user's mistakes by their type."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from mcml_assets.configuration.settings import DEFS
from mcml_assets.configuration.topology import load_topology
from mcml_assets.configuration.workload import load_workload
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.workload import FunctionReference, Workload
from mcml_assets.features.compute import compute_features

pytestmark = pytest.mark.live
WATERMARK = datetime(2011, 6, 1, tzinfo=UTC)


@pytest.fixture
def shop() -> Workload:
    from mcml_assets.configuration.settings import Settings

    return load_workload(DEFS / "online_retail" / "defs.yaml", load_topology(Settings().topology_file))


@pytest.fixture
def tables(shop: Workload) -> dict[str, pd.DataFrame]:
    """A twentieth of the customers' real invoices."""
    rows = pd.read_parquet(shop.sources[0].path)
    return {"transactions": rows.loc[rows["CustomerID"].fillna(0).astype("int64") % 20 == 0].reset_index(drop=True)}


def test_ray_gives_the_bytes_of_the_embedded_engine(shop: Workload, tables: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    """So a snapshot has one id, whichever engine computed it; and a function that fails says so as it would here."""
    here = compute_features(shop, tables, WATERMARK, tmp_path / "here")
    there = compute_features(shop, tables, WATERMARK, tmp_path / "there", ray="local")
    assert list(there) == list(here)
    assert len(here) > 2
    assert {path: file.read_bytes() for path, file in there.items()} == {path: file.read_bytes() for path, file in here.items()}

    file = tmp_path / "features.py"
    file.write_text("def features(tables, as_of):\n    raise ValueError('spoilt')\n")
    spoilt = replace(shop, features=replace(shop.features, function=FunctionReference(file, "features")))
    with pytest.raises(ConfigurationError, match="failed with ValueError in line 2"):
        compute_features(spoilt, tables, WATERMARK, tmp_path / "spoilt", ray="local")
