"""The contracts of the example workloads: every rule holds on the real data, and every rule finds its defect."""

from collections.abc import Callable

import pandas as pd
import pandera.errors
import pytest

from mcml_assets.configuration.user_code import load_function

LAST = pd.Timestamp("2010-12-05 12:30")


def broken_rules(contract, table: pd.DataFrame) -> set[tuple[str, str]]:
    """(column, rule) of every broken rule; the column of a rule about rows is empty."""
    try:
        contract.validate(table, lazy=True)
    except pandera.errors.SchemaErrors as error:
        cases = error.failure_cases
        columns = cases["column"].where(cases["schema_context"] == "Column", "").fillna("")
        return {(column, str(check)) for column, check in zip(columns, cases["check"], strict=True)}
    return set()


@pytest.mark.parametrize(
    ("workload", "source"), [("online_retail", "transactions"), ("credit_scoring", "loans"), ("credit_scoring", "zipcodes")]
)
def test_all_real_rows_fulfil_the_contract(load, workload, source):
    """Not one of the half a million rows breaks a rule, so a rule that breaks in operation means something."""
    declared = load(workload)
    file = next(found.path for found in declared.sources if found.name == source)
    assert broken_rules(load_function(declared.contract)()[source], pd.read_parquet(file)) == set()


Defect = Callable[[pd.DataFrame], pd.DataFrame]


def cell(column: str, value: object, where: Callable[[pd.DataFrame], pd.Series] | None = None) -> Defect:
    """A defect in one row: the first one, or the first one that `where` tells."""

    def plant(table: pd.DataFrame) -> pd.DataFrame:
        row = table.index[0] if where is None else table.index[where(table)][0]
        changed = table.copy()
        changed[column] = changed[column].astype(object).where(changed.index != row, value).infer_objects()
        return changed.astype({column: table[column].dtype}) if not isinstance(value, str) else changed

    return plant


def cancelled(lines: pd.DataFrame) -> pd.Series:
    return lines["InvoiceNo"].str.startswith("C")


ONE_CUSTOMER = "all lines of an invoice name the same customer, or none, and the same country"
RETAIL = {
    "invoice number": (cell("InvoiceNo", "53636"), "InvoiceNo", "six digits, after C (cancellation) or A (adjustment)"),
    "stock code": (cell("StockCode", "85123-A"), "StockCode", "1 to 12 letters, digits, spaces or _"),
    "long text": (cell("Description", "x" * 36), "Description", "str_length(1, 35)"),
    "nothing sold": (cell("Quantity", 0), "Quantity", "not_equal_to(0)"),
    "too many": (cell("Quantity", 100_001), "Quantity", "in_range(-100000, 100000)"),
    "before the shop": (
        cell("InvoiceDate", LAST.replace(year=1970)),
        "InvoiceDate",
        "greater_than_or_equal_to(2010-12-01 00:00:00)",
    ),
    "seconds": (cell("InvoiceDate", LAST.replace(second=1)), "InvoiceDate", "a time in whole minutes"),
    "night": (cell("InvoiceDate", LAST.replace(hour=3)), "InvoiceDate", "between 06:00 and 21:00, when invoices are written"),
    "price": (cell("UnitPrice", 50_001.0), "UnitPrice", "in_range(-20000, 50000)"),
    "customer": (cell("CustomerID", 999.0), "CustomerID", "in_range(10000, 99999)"),
    "country": (cell("Country", "UK2"), "Country", "a name in letters and spaces"),
    "cancelled sale": (cell("Quantity", 5, cancelled), "", "a cancellation has a negative quantity"),
    "free customer": (cell("Quantity", -5), "", "a negative quantity outside a cancellation has no price and no customer"),
    "owed": (cell("UnitPrice", -1.0), "", "only an adjustment (A) has a negative price"),
    "two customers": (cell("CustomerID", 12_345.0), "", ONE_CUSTOMER),
    "half a customer": (cell("CustomerID", None), "", ONE_CUSTOMER),
    "two countries": (cell("Country", "France"), "", ONE_CUSTOMER),
    "null number": (cell("InvoiceNo", None), "InvoiceNo", "not_nullable"),
    "null country": (cell("Country", None), "Country", "not_nullable"),
    "text for a number": (lambda lines: lines.astype({"Quantity": str}), "Quantity", "dtype('int64')"),
    "dates as text": (lambda lines: lines.astype({"InvoiceDate": str}), "InvoiceDate", "dtype('datetime64[ns]')"),
    "missing column": (lambda lines: lines.drop(columns="Quantity"), "", "column_in_dataframe"),
    "extra column": (lambda lines: lines.assign(Email="a@b.c"), "", "column_in_schema"),
}


@pytest.mark.parametrize("defect", RETAIL)
def test_a_planted_defect_in_an_invoice_is_found(load, defect):
    """One bad row among thousands is enough, and the rule that found it says what was expected."""
    retail = load("online_retail")
    lines = pd.read_parquet(retail.sources[0].path).iloc[:3000]
    plant, column, rule = RETAIL[defect]
    assert (column, rule) in broken_rules(load_function(retail.contract)()["transactions"], plant(lines))


CREDIT = {
    "key": ("loans", cell("dob_ssn", "19811301_1234"), "dob_ssn", "a birth date, _ and four digits"),
    "repeated loan": (
        "loans",
        lambda loans: pd.concat([loans, loans.iloc[:1]], ignore_index=True),
        "loan_id",
        "field_uniqueness",
    ),
    "repeated application": (
        "loans",
        lambda loans: pd.concat([loans, loans.iloc[:1].assign(loan_id=1)], ignore_index=True),
        "",
        "multiple_fields_uniqueness",
    ),
    "zip code": ("loans", cell("zipcode", 500), "zipcode", "in_range(501, 99950)"),
    "child": ("loans", cell("person_age", 17), "person_age", "in_range(18, 150)"),
    "income": ("loans", cell("person_income", 0), "person_income", "in_range(1, 10000000)"),
    "home": (
        "loans",
        cell("person_home_ownership", "TENT"),
        "person_home_ownership",
        "isin(['RENT', 'MORTGAGE', 'OWN', 'OTHER'])",
    ),
    "years in job": ("loans", cell("person_emp_length", -1.0), "person_emp_length", "in_range(0, 150)"),
    "amount": ("loans", cell("loan_amnt", 35_001), "loan_amnt", "in_range(500, 35000)"),
    "rate": ("loans", cell("loan_int_rate", 0.1105), "loan_int_rate", "in_range(1, 30)"),
    "status": ("loans", cell("loan_status", 2), "loan_status", "isin([0, 1])"),
    "null rate": ("loans", cell("loan_int_rate", None), "loan_int_rate", "not_nullable"),
    "long ago": (
        "loans",
        cell("event_timestamp", pd.Timestamp(0, tz="UTC")),
        "event_timestamp",
        "greater_than_or_equal_to(2020-01-01 00:00:00+00:00)",
    ),
    "recorded before": (
        "loans",
        cell("created_timestamp", pd.Timestamp("2020-01-02", tz="UTC")),
        "",
        "created_timestamp is not before event_timestamp",
    ),
    "no zone": (
        "loans",
        lambda loans: loans.assign(event_timestamp=loans["event_timestamp"].dt.tz_localize(None)),
        "event_timestamp",
        "dtype('datetime64[us, UTC]')",
    ),
    "repeated zip": (
        "zipcodes",
        lambda zips: pd.concat([zips, zips.iloc[:1]], ignore_index=True),
        "zipcode",
        "field_uniqueness",
    ),
    "city": ("zipcodes", cell("city", "houston"), "city", "a name in capital letters"),
    "state": ("zipcodes", cell("state", "PR"), "state", "one of the fifty states or DC"),
    "box": ("zipcodes", cell("location_type", "PO BOX"), "location_type", "equal_to(PRIMARY)"),
    "nobody": ("zipcodes", cell("population", 0), "population", "in_range(1, 200000)"),
    "more returns than people": ("zipcodes", cell("tax_returns_filed", 99_999), "", "no more tax returns than people"),
    "negative wages": ("zipcodes", cell("total_wages", -1), "total_wages", "in_range(0, 10000000000)"),
}


@pytest.mark.parametrize("defect", CREDIT)
def test_a_planted_defect_in_an_application_or_zip_code_is_found(load, defect):
    """The same for the restricted workload."""
    credit = load("credit_scoring")
    name, plant, column, rule = CREDIT[defect]
    source = next(source for source in credit.sources if source.name == name)
    found = broken_rules(load_function(credit.contract)()[name], plant(pd.read_parquet(source.path).iloc[:3000]))
    assert (column, rule) in found
