"""What loan applications and zip codes must look like before they may land."""

import pandas as pd
import pandera.pandas as pa

UTC_TIME = pd.DatetimeTZDtype("us", "UTC")
HOME_OWNERSHIP = ["RENT", "MORTGAGE", "OWN", "OTHER"]
INTENTS = ["DEBTCONSOLIDATION", "EDUCATION", "HOMEIMPROVEMENT", "MEDICAL", "PERSONAL", "VENTURE"]
# The fifty states and the District of Columbia.
STATES = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|DC|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|"
    "OH|OK|OR|PA|RI|SC|SD|TN|TX|UT|VT|VA|WA|WV|WI|WY"
)


def contract() -> dict[str, pa.DataFrameSchema]:
    """The schema of each source."""
    return {"loans": loans(), "zipcodes": zipcodes()}


def loans() -> pa.DataFrameSchema:
    """One row per application. The bounds are what a form accepts; implausible answers are the features' business."""
    return pa.DataFrameSchema(
        {
            "loan_id": pa.Column("int64", pa.Check.gt(0), unique=True),
            # The keys are synthetic, and some name a 30 February: month and day are bounded each by itself.
            "dob_ssn": pa.Column(
                str,
                pa.Check.str_matches(
                    r"^(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])_\d{4}$", error="a birth date, _ and four digits"
                ),
            ),
            # Without the neighbourhood there is nothing to score an applicant by.
            "zipcode": zipcode(metadata={"references": "zipcodes.zipcode"}),
            "person_age": pa.Column("int64", pa.Check.in_range(18, 150)),
            "person_income": pa.Column("int64", pa.Check.in_range(1, 10_000_000), description="USD per year"),
            "person_home_ownership": pa.Column(str, pa.Check.isin(HOME_OWNERSHIP)),
            "person_emp_length": pa.Column(float, pa.Check.in_range(0, 150), description="years"),
            "loan_intent": pa.Column(str, pa.Check.isin(INTENTS)),
            "loan_amnt": pa.Column("int64", pa.Check.in_range(500, 35_000), description="USD"),
            "loan_int_rate": pa.Column(float, pa.Check.in_range(1, 30), description="percent per year"),
            "loan_status": pa.Column("int64", pa.Check.isin([0, 1]), description="1: defaulted"),
            # Somebody applies every half hour, day and night: two days of silence mean that nothing was delivered.
            "event_timestamp": pa.Column(
                UTC_TIME, pa.Check.ge(pd.Timestamp("2020-01-01", tz="UTC")), metadata={"fresh_within_days": 2}
            ),
            "created_timestamp": pa.Column(UTC_TIME),
        },
        checks=pa.Check(
            lambda loans: loans["created_timestamp"] >= loans["event_timestamp"],
            name="recorded after it happened",
            error="created_timestamp is not before event_timestamp",
        ),
        unique=["dob_ssn", "event_timestamp"],
        strict=True,
    )


def zipcodes() -> pa.DataFrameSchema:
    """One row per zip code."""
    return pa.DataFrameSchema(
        {
            "zipcode": zipcode(unique=True),
            "city": pa.Column(str, pa.Check.str_matches(r"^[A-Z][A-Z /-]{1,29}$", error="a name in capital letters")),
            "state": pa.Column(str, pa.Check.str_matches(f"^({STATES})$", error="one of the fifty states or DC")),
            "location_type": pa.Column(str, pa.Check.eq("PRIMARY")),
            "tax_returns_filed": pa.Column("int64", pa.Check.in_range(1, 100_000)),
            "population": pa.Column("int64", pa.Check.in_range(1, 200_000)),
            "total_wages": pa.Column("int64", pa.Check.in_range(0, 10_000_000_000), description="USD"),
            "event_timestamp": pa.Column(UTC_TIME, pa.Check.ge(pd.Timestamp("2000-01-01", tz="UTC"))),
            "created_timestamp": pa.Column(UTC_TIME),
        },
        checks=pa.Check(
            lambda zipcodes: zipcodes["population"] >= zipcodes["tax_returns_filed"],
            name="people behind returns",
            error="no more tax returns than people",
        ),
        strict=True,
    )


def zipcode(unique: bool = False, metadata: dict[str, str] | None = None) -> pa.Column:
    """Zip codes as numbers: the lowest in use is 00501 in New York, the highest 99950 in Alaska."""
    return pa.Column("int64", pa.Check.in_range(501, 99_950), unique=unique, metadata=metadata)
