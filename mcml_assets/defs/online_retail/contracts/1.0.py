"""What an invoice line must look like before it may land. One line that breaks a rule stops the whole batch.

Times are the shop's clock as delivered: no zone, whole minutes.
"""

from collections.abc import Callable

import pandas as pd
import pandera.pandas as pa


def contract() -> dict[str, pa.DataFrameSchema]:
    """The schema of each source."""
    return {"transactions": transactions()}


def transactions() -> pa.DataFrameSchema:
    """One row per invoice line. Lines may repeat: somebody scanned the same article twice."""
    return pa.DataFrameSchema(
        {
            "InvoiceNo": pa.Column(str, matches(r"[AC]?\d{6}", "six digits, after C (cancellation) or A (adjustment)")),
            "StockCode": pa.Column(str, matches(r"[0-9A-Za-z_ ]{1,12}", "1 to 12 letters, digits, spaces or _")),
            "Description": pa.Column(str, pa.Check.str_length(1, 35), nullable=True),
            "Quantity": pa.Column(
                "int64", [pa.Check.ne(0), pa.Check.in_range(-100_000, 100_000)], description="negative: taken back"
            ),
            "InvoiceDate": pa.Column(
                pa.DateTime,
                [
                    pa.Check.ge(pd.Timestamp("2010-12-01")),
                    rule(whole_minutes),
                    rule(opening_hours),
                ],
                # Over Christmas the shop writes no invoice for twelve days.
                metadata={"fresh_within_days": 14},
            ),
            "UnitPrice": pa.Column(float, pa.Check.in_range(-20_000, 50_000), description="GBP"),
            # Null for a quarter of the lines, which is why pandas reads the whole numbers as floats.
            "CustomerID": pa.Column("Int64", pa.Check.in_range(10_000, 99_999), nullable=True, coerce=True),
            "Country": pa.Column(str, matches(r"[A-Za-z ]{2,30}", "a name in letters and spaces")),
        },
        checks=[rule(cancellations_take_back), rule(corrections_are_free), rule(only_adjustments_owe), rule(one_customer)],
        strict=True,
    )


def matches(pattern: str, meaning: str) -> pa.Check:
    """A rule that the whole text follows a pattern."""
    return pa.Check.str_matches(f"^(?:{pattern})$", error=meaning)


def rule(holds: Callable[..., pd.Series]) -> pa.Check:
    """A rule that `holds` answers for each value or row; its docstring is what a report says."""
    return pa.Check(holds, name=holds.__name__, error=holds.__doc__)


def whole_minutes(time: pd.Series) -> pd.Series:
    """a time in whole minutes"""
    return time == time.dt.floor("min")


def opening_hours(time: pd.Series) -> pd.Series:
    """between 06:00 and 21:00, when invoices are written"""
    return time.dt.hour.between(6, 20)


def cancellations_take_back(lines: pd.DataFrame) -> pd.Series:
    """a cancellation has a negative quantity"""
    return ~lines["InvoiceNo"].str.startswith("C") | (lines["Quantity"] < 0)


def corrections_are_free(lines: pd.DataFrame) -> pd.Series:
    """a negative quantity outside a cancellation has no price and no customer"""
    correction = (lines["Quantity"] < 0) & ~lines["InvoiceNo"].str.startswith("C")
    return ~correction | ((lines["UnitPrice"] == 0) & lines["CustomerID"].isna())


def only_adjustments_owe(lines: pd.DataFrame) -> pd.Series:
    """only an adjustment (A) has a negative price"""
    return (lines["UnitPrice"] >= 0) | lines["InvoiceNo"].str.startswith("A")


def one_customer(lines: pd.DataFrame) -> pd.Series:
    """all lines of an invoice name the same customer, or none, and the same country"""
    whom = lines[["CustomerID", "Country"]].fillna({"CustomerID": 0})
    return (whom == whom.groupby(lines["InvoiceNo"]).transform("first")).all(axis="columns")
