"""A small made-up workload and its labelled rows, for the tests of training, tracking and packaging."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd

from mcml_assets.domain.topology import Location
from mcml_assets.domain.workload import (
    Classification,
    Entity,
    Features,
    FeatureView,
    FunctionReference,
    PlacedLocation,
    Placement,
    Role,
    Serving,
    Thresholds,
    Training,
    Workload,
)

# Values of personal data that must never be found where people of another team may look.
PLANTED = 7_300_000_000
TRAIN = """
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

def train(x, y):
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["city"]), ("passthrough", ["visits", "spent"])
    )
    return make_pipeline(columns, LogisticRegression(max_iter=500)).fit(x.fillna({"spent": 0.0}), y)
"""


@dataclass(frozen=True)
class Rows:
    """Labelled rows, matched by position."""

    x: pd.DataFrame
    y: pd.Series
    entities: pd.Series
    times: pd.Series


def make_workload(
    folder: Path,
    train: str = TRAIN,
    *,
    classification: Classification = Classification.CONFIDENTIAL,
    metric: str = "roc_auc",
) -> Workload:
    """A workload `shop` in `folder`, whose `train.py` holds `train`, with inputs `visits`, `spent` and `city`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train.py").write_text(train)
    location = Location("aws", "eu-west-2", "UK", "bucket", Decimal("0.09"), "USD", {})
    return Workload(
        name="shop",
        owner="shop@example.com",
        description="Does a customer come back?",
        classification=classification,
        personal_columns=("CustomerID",),
        regulations=(),
        placements=(Placement("UK", (PlacedLocation(location, Role.PRIMARY),)),),
        rto_seconds=60,
        rpo_seconds=3600,
        managed_services=(),
        lock_in=None,
        cron="0 * * * *",
        sources=(),
        contract=FunctionReference(folder / "contract.py", "contract"),
        features=Features(
            function=FunctionReference(folder / "features.py", "features"),
            entity=Entity("customer", "customer_id", "int64"),
            views=(
                FeatureView(
                    "customer", "customer_id", "int64", None, None, {"visits": "int64", "spent": "float64", "city": "string"}
                ),
            ),
            first_after_days=30,
            every_days=30,
        ),
        training=Training(
            train=FunctionReference(folder / "train.py", "train"),
            target=FunctionReference(folder / "train.py", "target"),
            metric=metric,
            horizon_days=60,
            test_share=0.34,
        ),
        serving=Serving("small", golden_predictions=8, golden_tolerance=1e-9, timeout_seconds=2.0),
        thresholds=Thresholds(),
        directory=folder,
    )


def make_rows(customers: int = 150, dates: int = 6, seed: int = 0) -> Rows:
    """`customers` at each of `dates` times 30 days apart; who visits and spends much comes back more often."""
    generator = np.random.default_rng(seed)
    count = customers * dates
    visits = generator.poisson(5, count)
    spent = np.round(generator.lognormal(3, 1, count), 2)
    logit = 0.6 * (visits - 5) + 0.02 * (spent - 30)
    days = pd.to_datetime("2024-01-01", utc=True) + pd.to_timedelta(np.repeat(np.arange(dates) * 30, customers), unit="D")
    return Rows(
        x=pd.DataFrame(
            {"visits": visits, "spent": spent, "city": generator.choice(np.array(["Leeds", "York"], dtype=object), count)}
        ),
        y=pd.Series((generator.random(count) < 1 / (1 + np.exp(-logit))).astype("int64")),
        entities=pd.Series(PLANTED + np.tile(np.arange(customers), dates)),
        times=pd.Series(days),
    )
