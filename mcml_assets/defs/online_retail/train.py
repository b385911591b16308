"""Whether a customer buys again within 60 days: the label, and the model that predicts it."""

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from threadpoolctl import threadpool_limits

HORIZON = pd.Timedelta(days=60)


def target(tables: dict[str, pd.DataFrame], as_of: pd.DatetimeIndex) -> pd.DataFrame:
    """One row per as-of date and customer who had bought before it: 1 when they buy again within 60 days.

    The last date is the watermark; dates less than 60 days before it are left out, their answer is not known yet.
    Cancellations (invoice numbers starting with C) are not purchases.
    """
    lines = tables["transactions"].dropna(subset=["CustomerID"])
    lines = lines.loc[~lines["InvoiceNo"].str.startswith("C")]
    customer, time = lines["CustomerID"].astype("int64"), lines["InvoiceDate"]
    frames = []
    for date in as_of[as_of + HORIZON <= as_of[-1]]:
        known = np.sort(customer.loc[time < date].unique())
        buyers = customer.loc[(time >= date) & (time < date + HORIZON)].unique()
        label = np.isin(known, buyers).astype("int64")
        frames.append(pd.DataFrame({"customer_id": known, "event_timestamp": date, "target": label}))
    if not frames:
        return pd.DataFrame({"customer_id": [], "event_timestamp": [], "target": []})
    return pd.concat(frames, ignore_index=True)


def train(x: pd.DataFrame, y: pd.Series) -> Pipeline:
    """A logistic regression on the logarithms of the features, strongly regularised: the EU has few customers.

    Counts and amounts span four orders of magnitude, so it is their logarithm that is near linear in the odds.
    One thread, so that every location gets the same coefficients to the last bit.
    """
    model = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True),
        FunctionTransformer(np.log1p),
        StandardScaler(),
        LogisticRegression(C=0.01, max_iter=1000),
    )
    with threadpool_limits(limits=1):
        return model.fit(x, y)
