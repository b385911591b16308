"""What is known when somebody applies for a loan: their own answers, and the neighbourhood they live in.

`loan_id` and `created_timestamp` are bookkeeping, and `loan_status` is what we predict: none of them is a feature.
Age and neighbourhood are in the data set and help; a real lender needs a fair-lending review before using them.
"""

import pandas as pd


def features(tables: dict[str, pd.DataFrame], as_of: pd.Timestamp) -> dict[str, pd.DataFrame]:
    """Two views: applications stamped with their own time, and zip codes stamped with the time of their statistics."""
    return {"applicant": applicants(tables["loans"]), "neighbourhood": neighbourhoods(tables["zipcodes"])}


def applicants(loans: pd.DataFrame) -> pd.DataFrame:
    """One row per application.

    The interest rate is no leak: it is quoted before the loan is made, so it is known when we score. It does carry
    the lender's own judgement of the risk; drop it to judge an application before it is priced.
    """
    copied = ["dob_ssn", "event_timestamp", "zipcode", "person_income", "person_home_ownership"]
    copied += ["loan_intent", "loan_amnt", "loan_int_rate"]
    # A few forms say 144 years of age or 123 years in a job: such an answer is missing, not extreme.
    return loans.loc[:, copied].assign(
        person_age=loans["person_age"].where(loans["person_age"] <= 100).astype("float64"),
        person_emp_length=loans["person_emp_length"].where(loans["person_emp_length"] <= 60),
        loan_to_income=loans["loan_amnt"] / loans["person_income"],
    )


def neighbourhoods(zipcodes: pd.DataFrame) -> pd.DataFrame:
    """One row per zip code: how many live there, and what an average tax return there says in wages (USD).

    The state is left out: it adds nothing to these two, and stands for too much else.
    """
    return pd.DataFrame(
        {
            "zipcode": zipcodes["zipcode"],
            "event_timestamp": zipcodes["event_timestamp"],
            "population": zipcodes["population"],
            "wages_per_return": zipcodes["total_wages"] / zipcodes["tax_returns_filed"],
        }
    )
