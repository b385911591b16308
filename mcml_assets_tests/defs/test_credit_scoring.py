"""The workload `credit_scoring` on its real data."""

import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.user_code import load_function
from mcml_assets.features.compute import as_of_index, compute_features
from mcml_assets.features.feast_store import historical, publish
from mcml_assets.features.online import OnlineReader
from mcml_assets.features.repositories import repositories_folder


@pytest.fixture(scope="module")
def credit(load):
    """The workload."""
    return load("credit_scoring")


@pytest.fixture(scope="module")
def published(credit, raw, tmp_path_factory):
    """Features of the first 60 days published, with the labels of those days: (folder of repositories, joined rows)."""
    folder = tmp_path_factory.mktemp("credit")
    tables = raw(credit, "US", 60)
    until = tables["loans"]["event_timestamp"].max() + pd.Timedelta("1us")
    files = compute_features(credit, tables, until, folder / "features")
    repository = publish(credit, "aws/us-east-1", "a" * 64, files, until, Settings(home=folder))
    labels = load_function(credit.training.target)(tables, as_of_index(credit, tables, until))
    assert len(labels) == len(tables["loans"])
    return repositories_folder(Settings(home=folder), "aws/us-east-1", credit.name), historical(repository, labels)


def test_every_application_finds_its_own_answers_and_its_neighbourhood(credit, published):
    """The two views join through the zip code, completely: statistics of 2017 are the newest there are."""
    _, rows = published
    answers = pd.read_parquet(credit.sources[0].path)[["dob_ssn", "event_timestamp", "loan_amnt", "zipcode", "loan_status"]]
    wanted = rows[["dob_ssn", "event_timestamp"]].merge(answers, how="left")
    assert rows["loan_amnt"].tolist() == wanted["loan_amnt"].tolist()
    assert rows["zipcode"].tolist() == wanted["zipcode"].tolist()
    assert rows["target"].tolist() == wanted["loan_status"].tolist()
    places = pd.read_parquet(credit.sources[1].path).set_index("zipcode")
    assert rows["population"].tolist() == places.loc[rows["zipcode"], "population"].tolist()


def test_the_endpoint_gets_what_training_got(credit, published):
    """Online and offline features of the same application are equal, through both views."""
    folder, rows = published
    reader = OnlineReader(credit.features.entity, credit.features.views, folder)
    newest = rows.sort_values("event_timestamp").drop_duplicates("dob_ssn", keep="last")
    for row in newest.sample(30, random_state=3).to_dict("records"):
        online = reader.read(row["dob_ssn"])
        assert online == {name: None if pd.isna(row[name]) else row[name] for name in online}
        assert len(online) == sum(len(view.features) for view in credit.features.views)


def test_the_label_and_bookkeeping_are_no_features(credit):
    """Nothing that is only known afterwards, or only to the clerk, is offered to the model."""
    features = {name for view in credit.features.views for name in view.features}
    assert not features & {"loan_status", "loan_id", "created_timestamp", *credit.personal_columns}


def test_the_model_beats_chance_on_later_applications_and_is_the_same_every_time(credit, published):
    """Trained on the earlier applications, it ranks the later ones far better than a coin, to the same bit each time."""
    _, rows = published
    rows = rows.sort_values("event_timestamp", ignore_index=True)
    names = [name for view in credit.features.views for name in view.features if name != "zipcode"]
    cut = int(len(rows) * 0.66)
    fit = load_function(credit.training.train)
    train, test = rows.iloc[:cut], rows.iloc[cut:]
    scores = fit(train[names], train["target"]).predict_proba(test[names])[:, 1]
    assert roc_auc_score(test["target"], scores) > 0.75
    assert fit(train[names], train["target"]).predict_proba(test[names])[:, 1].tobytes() == scores.tobytes()


def test_implausible_answers_count_as_missing(credit):
    """144 years of age and 123 years in a job are typing errors: the model is told nothing rather than that."""
    loans = pd.DataFrame({"dob_ssn": ["19530219_0000"] * 2, "event_timestamp": pd.Timestamp("2021-01-01", tz="UTC"),
                          "zipcode": 76104, "person_age": [144, 40], "person_income": 50_000, "person_home_ownership": "RENT",
                          "person_emp_length": [123.0, 12.0], "loan_intent": "MEDICAL", "loan_amnt": 5_000,
                          "loan_int_rate": 9.9})  # fmt: skip
    places = pd.read_parquet(credit.sources[1].path)
    as_of = pd.Timestamp("2021-02-01", tz="UTC")
    frame = load_function(credit.features.function)({"loans": loans, "zipcodes": places}, as_of)["applicant"]
    assert frame["person_age"].isna().tolist() == [True, False]
    assert frame["person_emp_length"].isna().tolist() == [True, False]
