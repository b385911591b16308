"""The workload `online_retail` on its real data."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from mcml_assets.configuration.user_code import load_function
from mcml_assets.features.compute import as_of_index, compute_features
from mcml_assets.features.tables import earliest_event, utc_tables

FIRST_LANDING = 180


@pytest.fixture(scope="module")
def retail(load):
    """The workload."""
    return load("online_retail")


def watermark(retail, tables, days: int = FIRST_LANDING) -> datetime:
    """So many days after the day of the first event, as the watermark of a landing is."""
    earliest = earliest_event(retail, utc_tables(retail, tables))
    assert earliest is not None
    return earliest.to_pydatetime().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=days)


def test_members_of_the_eu_and_nobody_else_are_placed_there(retail, raw):
    """Rows of the UK and of EU members enter, each country in one jurisdiction; unclear and third countries do not."""
    values = retail.sources[0].placed_by.values
    everywhere = set(pd.read_parquet(retail.sources[0].path, columns=["Country"])["Country"])
    assert set(values["UK"]) | set(values["EU"]) <= everywhere
    assert not set(values["UK"]) & set(values["EU"])
    assert everywhere - set(values["UK"]) - set(values["EU"]) == {
        "Australia", "Bahrain", "Brazil", "Canada", "Channel Islands", "European Community", "Hong Kong", "Iceland",
        "Israel", "Japan", "Lebanon", "Norway", "RSA", "Saudi Arabia", "Singapore", "Switzerland", "USA",
        "United Arab Emirates", "Unspecified",
    }  # fmt: skip
    assert len(raw(retail, "UK")["transactions"]) == 495_478


def test_features_of_a_customer_are_what_the_invoices_say(retail, raw):
    """Recency, frequency, value and the rest of one customer equal a plain count over their invoices."""
    tables = utc_tables(retail, raw(retail, "UK", FIRST_LANDING))
    as_of = pd.Timestamp(watermark(retail, tables))
    frame = load_function(retail.features.function)(tables, as_of)["customer"].set_index("customer_id")
    lines = tables["transactions"].query("CustomerID == 17850")
    bought = lines.loc[~lines["InvoiceNo"].str.startswith("C")]
    row = frame.loc[17850]
    assert row["frequency"] == bought["InvoiceNo"].nunique()
    assert row["monetary_value"] == pytest.approx((bought["Quantity"] * bought["UnitPrice"]).sum())
    assert row["recency_days"] == pytest.approx((as_of - bought["InvoiceDate"].max()).total_seconds() / 86_400)
    assert row["distinct_products"] == bought["StockCode"].nunique()
    assert row["cancellations"] == lines.loc[lines["InvoiceNo"].str.startswith("C"), "InvoiceNo"].nunique()
    assert row["return_ratio"] == pytest.approx(-lines.loc[lines["Quantity"] < 0, "Quantity"].sum() / bought["Quantity"].sum())


def test_features_do_not_need_what_comes_later(retail, raw, tmp_path):
    """The features as of each date of the first landing stay the same bytes when another 60 days have landed."""
    early, late = raw(retail, "EU", FIRST_LANDING), raw(retail, "EU", FIRST_LANDING + 60)
    first = compute_features(retail, early, watermark(retail, early), tmp_path / "first")
    later = compute_features(retail, late, watermark(retail, late, FIRST_LANDING + 60), tmp_path / "later")
    assert len(first) == 6
    assert len(later) == 8
    assert [name for name, file in first.items() if later[name].read_bytes() != file.read_bytes()] == []


def test_only_labels_that_are_known_are_given(retail, raw):
    """A label needs the 60 days after its date to be over, and says whether an invoice, not a cancellation, came in them."""
    tables = utc_tables(retail, raw(retail, "EU", FIRST_LANDING))
    dates = as_of_index(retail, tables, watermark(retail, tables))
    labels = load_function(retail.training.target)(tables, dates)
    assert labels["event_timestamp"].max() + pd.Timedelta(days=60) <= dates[-1]
    assert labels["event_timestamp"].nunique() == 4
    assert not labels.duplicated(["customer_id", "event_timestamp"]).any()
    lines = tables["transactions"].dropna(subset=["CustomerID"])
    for row in labels.sample(40, random_state=1).itertuples():
        theirs = lines[(lines["CustomerID"] == row.customer_id) & ~lines["InvoiceNo"].str.startswith("C")]
        ahead = theirs["InvoiceDate"] - row.event_timestamp
        assert row.target == int(((ahead >= pd.Timedelta(0)) & (ahead < pd.Timedelta(days=60))).any())
        assert (ahead < pd.Timedelta(0)).any()


@pytest.mark.parametrize("jurisdiction", ["UK", "EU"])
def test_the_model_beats_chance_on_a_later_period_and_is_the_same_every_time(retail, raw, tmp_path, jurisdiction):
    """Trained on the dates whose labels were known at day 120, it ranks customers at day 120 better than a coin does."""
    tables = utc_tables(retail, raw(retail, jurisdiction, FIRST_LANDING))
    until = watermark(retail, tables)
    labels = load_function(retail.training.target)(tables, as_of_index(retail, tables, until))
    files = compute_features(retail, tables, until, tmp_path)
    rows = labels.merge(pd.concat(map(pd.read_parquet, files.values())), on=["customer_id", "event_timestamp"])
    assert len(rows) == len(labels)
    names = list(retail.features.views[0].features)
    newest = rows["event_timestamp"].max()
    train = rows[rows["event_timestamp"] + pd.Timedelta(days=60) <= newest]
    test = rows[rows["event_timestamp"] == newest]
    fit = load_function(retail.training.train)
    scores = fit(train[names].astype(float), train["target"]).predict_proba(test[names].astype(float))[:, 1]
    again = fit(train[names].astype(float), train["target"]).predict_proba(test[names].astype(float))[:, 1]
    assert scores.tobytes() == again.tobytes()
    rng = np.random.default_rng(0)
    target = test["target"].to_numpy()
    resampled = [rng.integers(0, len(test), len(test)) for _ in range(200)]
    assert np.quantile([roc_auc_score(target[rows], scores[rows]) for rows in resampled], 0.025) > 0.55
