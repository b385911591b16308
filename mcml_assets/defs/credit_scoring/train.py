"""Whether a loan defaults: the label, and the model that predicts it."""

import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from threadpoolctl import threadpool_limits

NUMBERS = ["person_age", "person_income", "person_emp_length", "loan_amnt", "loan_int_rate", "loan_to_income"]
NUMBERS += ["population", "wages_per_return"]
CATEGORIES = ["person_home_ownership", "loan_intent"]


def target(tables: dict[str, pd.DataFrame], as_of: pd.DatetimeIndex) -> pd.DataFrame:
    """One row per application that the features may know of: 1 when the loan defaulted."""
    loans = tables["loans"]
    known = loans.loc[loans["event_timestamp"] < as_of[-1], ["dob_ssn", "event_timestamp", "loan_status"]]
    return known.rename(columns={"loan_status": "target"})


def train(x: pd.DataFrame, y: pd.Series) -> Pipeline:
    """Boosted trees, which take missing numbers and unknown categories as they come.

    `zipcode` only leads to the neighbourhood's features and is left out: 28,844 codes would be learned by heart.
    One thread and a fixed seed, so that every location gets the same trees to the last bit.
    """
    encode = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
    columns = make_column_transformer((encode, CATEGORIES), ("passthrough", NUMBERS))
    trees = HistGradientBoostingClassifier(
        learning_rate=0.05,
        max_iter=200,
        max_leaf_nodes=15,
        l2_regularization=10.0,
        categorical_features=list(range(len(CATEGORIES))),  # pyright: ignore[reportArgumentType] - sklearn has no types
        early_stopping=False,  # pyright: ignore[reportArgumentType] - sklearn has no types
        random_state=0,
    )
    with threadpool_limits(limits=1):
        return make_pipeline(columns, trees).fit(x, y)
