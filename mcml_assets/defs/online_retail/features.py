"""What is known about a customer as of a date: how recently, how often and for how much they buy, and what they send back.

`features` gets only lines invoiced before `as_of`; the platform cuts the rest away, so it cannot see the future.
"""

import pandas as pd

DAY = pd.Timedelta(days=1)
MONTH = pd.Timedelta(days=30)


def features(tables: dict[str, pd.DataFrame], as_of: pd.Timestamp) -> dict[str, pd.DataFrame]:
    """One row per customer who has bought something before `as_of`."""
    lines = customer_lines(tables["transactions"])
    bought, cancelled = lines.loc[~lines["cancelled"]], lines.loc[lines["cancelled"]]

    invoices = bought.groupby(["customer_id", "InvoiceNo"], as_index=False).agg(
        time=("InvoiceDate", "max"), value=("value", "sum"), items=("Quantity", "sum")
    )
    invoices["day"] = invoices["time"].dt.floor("D")
    recent = invoices.loc[invoices["time"] >= as_of - MONTH].groupby("customer_id")
    customers = invoices.groupby("customer_id").agg(
        first=("time", "min"),
        last=("time", "max"),
        days=("day", "nunique"),
        frequency=("InvoiceNo", "size"),
        monetary_value=("value", "sum"),
        basket_size=("items", "mean"),
    )
    returned = cancelled.groupby("customer_id")
    items = bought.groupby("customer_id")["Quantity"].sum()

    frame = pd.DataFrame(index=customers.index)
    frame["recency_days"] = (as_of - customers["last"]) / DAY
    frame["frequency"] = customers["frequency"]
    frame["monetary_value"] = customers["monetary_value"]
    frame["tenure_days"] = (as_of - customers["first"]) / DAY
    frame["basket_size"] = customers["basket_size"]
    frame["distinct_products"] = bought.groupby("customer_id")["StockCode"].nunique()
    # Cancelled lines have negative quantities. Above 1: returns of goods that were bought before the data begins.
    frame["return_ratio"] = -returned["Quantity"].sum().reindex(frame.index, fill_value=0) / items
    frame["cancellations"] = returned["InvoiceNo"].nunique().reindex(frame.index, fill_value=0)
    # The mean time between two days of purchase, and how overdue the next one is. Unknown (NaN) after a single day.
    frame["gap_days"] = (customers["last"] - customers["first"]) / DAY / (customers["days"] - 1).where(customers["days"] > 1)
    frame["gap_ratio"] = frame["recency_days"] / frame["gap_days"]
    frame["purchases_30d"] = recent.size().reindex(frame.index, fill_value=0)
    frame["spend_30d"] = recent["value"].sum().reindex(frame.index, fill_value=0.0)
    return {"customer": frame.reset_index()}


def customer_lines(transactions: pd.DataFrame) -> pd.DataFrame:
    """Invoice lines of known customers, with `customer_id`, `value` (GBP) and whether the invoice is a cancellation.

    A quarter of the lines name no customer (walk-in sales, stock corrections): they say nothing about anybody.
    """
    lines = transactions.dropna(subset=["CustomerID"])
    return lines.assign(
        customer_id=lines["CustomerID"].astype("int64"),
        value=lines["Quantity"] * lines["UnitPrice"],
        cancelled=lines["InvoiceNo"].str.startswith("C"),
    )
