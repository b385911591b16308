"""A made-up workload of two views, where a customer's city leads to the city's features, for the tests of features."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

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
    Source,
    Thresholds,
    Training,
    Workload,
)

LOCATION = "aws/eu-west-2"
START = datetime(2024, 1, 1, tzinfo=UTC)
SPENDING = """
import pandas as pd

def features(tables, as_of):
    visits = tables["visits"]
    by_customer = visits.groupby("customer")
    frame = pd.DataFrame({
        "visits": by_customer.size(),
        "spent": by_customer["amount"].sum(min_count=1),
        "city": by_customer["city"].last(),
    })
    cities = tables["cities"].rename(columns={"known_since": "event_timestamp"})
    return {"customer": frame.reset_index(), "city": cities}
"""
CUSTOMER = FeatureView("customer", "customer", "int64", None, 45, {"visits": "int64", "spent": "float64", "city": "string"})
CITY = FeatureView("city", "city", "string", "customer", None, {"inhabitants": "int64"})


def make_workload(
    folder: Path,
    code: str = SPENDING,
    *,
    views: tuple[FeatureView, ...] = (CUSTOMER, CITY),
    classification: Classification = Classification.CONFIDENTIAL,
    every_days: int | None = 10,
) -> Workload:
    """The workload `shop`, whose `features.py` holds `code`: as-of dates every ten days, from ten days on."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "features.py").write_text(code)
    location = Location("aws", "eu-west-2", "UK", "bucket", Decimal(0), "USD", {})
    return Workload(
        name="shop",
        owner="shop@example.com",
        description="Made up.",
        classification=classification,
        personal_columns=("customer",),
        regulations=(),
        placements=(Placement("UK", (PlacedLocation(location, Role.PRIMARY),)),),
        rto_seconds=60,
        rpo_seconds=3600,
        managed_services=(),
        lock_in=None,
        cron="0 * * * *",
        sources=(
            Source("visits", folder / "visits.parquet", {}, "time", 180, 30, None),
            Source("cities", folder / "cities.parquet", {}, None, None, None, None),
        ),
        contract=FunctionReference(folder / "contract.py", "contract"),
        features=Features(
            FunctionReference(folder / "features.py", "features"),
            Entity("customer", "customer", "int64"),
            views,
            every_days,
            every_days,
        ),
        training=Training(
            FunctionReference(folder / "train.py", "train"), FunctionReference(folder / "train.py", "target"), "roc_auc", 0, 0.3
        ),
        serving=Serving("small", 4, 1e-9, 2.0),
        thresholds=Thresholds(),
        directory=folder,
    )


def make_tables(visits: Sequence[tuple[int, float, float | None, str]]) -> dict[str, pd.DataFrame]:
    """Raw tables: visits as (customer, days after the start, amount, city), in the shop's clock without a zone."""
    frame = pd.DataFrame(list(visits), columns=pd.Index(["customer", "days", "amount", "city"]))
    times = pd.Timestamp(START).tz_localize(None) + pd.to_timedelta(frame.pop("days"), unit="D")
    cities = pd.DataFrame(
        {"city": ["Bath", "York"], "inhabitants": [94_000, 141_000], "known_since": pd.Timestamp("2021-03-21", tz="UTC")}
    )
    return {"visits": frame.assign(time=times.astype("datetime64[us]")), "cities": cities}


def days(number: float) -> datetime:
    """That many days after the start."""
    return START + timedelta(days=number)
