"""Computing features: nothing from the future, the same bytes everywhere, and mistakes named."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcml_assets.domain.errors import ConfigurationError, ContractViolation
from mcml_assets.domain.workload import Classification
from mcml_assets.features.compute import as_of_index, compute_features
from mcml_assets_tests.features.small_shop import CITY, CUSTOMER, days, make_tables, make_workload

VISITS = [(1, 0.0, 5.0, "York"), (2, 3.5, 7.0, "Bath"), (1, 12.0, 1.5, "Bath"), (3, 24.0, None, "York")]
WATERMARK = days(25)
SECRET = 4_711_815


def test_features_are_those_known_as_of_each_date(tmp_path):
    """One file per view and date, sorted by key, in declared types, stamped with the date; reference views once."""
    files = compute_features(make_workload(tmp_path), make_tables(VISITS), WATERMARK, tmp_path / "out")
    assert list(files) == ["customer/2024-01-11.parquet", "customer/2024-01-21.parquet", "customer/2024-01-26.parquet",
                           "city/2024-01-26.parquet"]  # fmt: skip
    second = pd.read_parquet(files["customer/2024-01-21.parquet"])
    assert second.to_dict("list") == {
        "customer": [1, 2],
        "event_timestamp": [pd.Timestamp(days(20))] * 2,
        "visits": [2, 1],
        "spent": [6.5, 7.0],
        "city": ["Bath", "Bath"],
    }
    schema = pq.read_schema(files["customer/2024-01-26.parquet"])
    assert {field.name: str(field.type) for field in schema} == {
        "customer": "int64", "event_timestamp": "timestamp[us, tz=UTC]", "visits": "int64", "spent": "double", "city": "string",
    }  # fmt: skip
    assert pd.read_parquet(files["customer/2024-01-26.parquet"])["spent"].isna().tolist() == [False, False, True]


FUTURE = st.lists(
    st.tuples(st.integers(1, 5), st.floats(20, 24.99), st.floats(0, 100), st.sampled_from(["York", "Bath"])), max_size=6
)


@given(before=FUTURE, after=FUTURE)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_happens_later_changes_nothing_as_of_earlier(tmp_path, before, after):
    """Rows at or after an as-of date may be added, changed or removed: the features as of that date keep their bytes."""
    workload = make_workload(tmp_path)
    one = compute_features(workload, make_tables([*VISITS[:3], *before]), WATERMARK, tmp_path / "one")
    two = compute_features(workload, make_tables([*VISITS[:3], *after]), WATERMARK, tmp_path / "two")
    for name in ("customer/2024-01-11.parquet", "customer/2024-01-21.parquet"):
        assert one[name].read_bytes() == two[name].read_bytes()


def test_an_event_at_the_very_date_is_not_known_yet(tmp_path):
    """As of a time means strictly before it; the microsecond before counts, the time itself does not."""
    visits = [(1, 0.0, 1.0, "York"), (2, 10.0, 1.0, "York"), (3, 10.0 - 1 / 86_400_000_000, 1.0, "York")]
    files = compute_features(make_workload(tmp_path), make_tables(visits), WATERMARK, tmp_path / "out")
    assert pd.read_parquet(files["customer/2024-01-11.parquet"])["customer"].tolist() == [1, 3]


def test_two_locations_write_the_same_bytes(tmp_path):
    """The same tables give byte-identical files in any folder, so parity is a comparison of digests."""
    workload = make_workload(tmp_path)
    one = compute_features(workload, make_tables(VISITS), WATERMARK, tmp_path / "one")
    two = compute_features(workload, make_tables(VISITS), WATERMARK, tmp_path / "elsewhere" / "two")
    assert {name: file.read_bytes() for name, file in one.items()} == {name: file.read_bytes() for name, file in two.items()}


def test_a_function_that_changes_its_input_harms_only_itself(tmp_path):
    """Every date gets fresh frames, and the caller's tables stay as they were."""
    code = """
def features(tables, as_of):
    visits = tables["visits"]
    visits["amount"] *= 0
    visits.drop(visits.index, inplace=True)
    tables["cities"]["inhabitants"] += 1
    cities = tables["cities"].drop(columns="known_since")
    return {"customer": visits.groupby("customer").size().rename("visits").reset_index(), "city": cities}
"""
    views = (type(CUSTOMER)("customer", "customer", "int64", None, 45, {"visits": "int64"}), CITY)
    tables = make_tables(VISITS)
    files = compute_features(make_workload(tmp_path, code, views=views), tables, WATERMARK, tmp_path / "out")
    assert pd.read_parquet(files["city/2024-01-26.parquet"])["inhabitants"].tolist() == [94_001, 141_001]
    pd.testing.assert_frame_equal(tables["visits"], make_tables(VISITS)["visits"])


def test_target_gets_the_same_dates(tmp_path):
    """`as_of_index` is what the files are named by, and its last date is the watermark."""
    index = as_of_index(make_workload(tmp_path), make_tables(VISITS), WATERMARK)
    assert index.tolist() == [pd.Timestamp(days(number)) for number in (10, 20, 25)]


def test_a_missing_table_is_named(tmp_path):
    """A raw snapshot without one of the sources is told, not computed around."""
    with pytest.raises(ContractViolation, match="no table of source 'cities'"):
        compute_features(make_workload(tmp_path), {"visits": make_tables(VISITS)["visits"]}, WATERMARK, tmp_path)


CODE = """
import pandas as pd

def features(tables, as_of):
    visits = tables["visits"].groupby("customer", as_index=False)
    frame = visits.agg(visits=("amount", "size"), spent=("amount", "sum"), city=("city", "last"))
    cities = tables["cities"].drop(columns="known_since")
    {mistake}
    return {{"customer": frame, "city": cities}}
"""
MISTAKES = {
    "return frame": "should return a dict of frames by view name, found DataFrame",
    'return {"customer": frame}': "no frame for view 'city'",
    "cities = 3": "DataFrame for view 'city', found int",
    'return {"customer": frame, "city": cities, "citty": cities}': "undeclared view 'citty'; did you mean 'city'",
    'frame = frame.drop(columns="spent")': "view 'customer' has no column 'spent'",
    'frame["spend"] = 1': "column 'spend', which .* did you mean 'spent'",
    'frame = pd.concat([frame, frame[["city"]]], axis=1)': "column 'city' more than once",
    'frame["spent"] = "a lot"': "column 'spent': declared as float64",
    'frame["visits"] = 1.5': "column 'visits': declared as int64",
    'frame["city"] = frame["customer"]': "column 'city': declared as string",
    'frame["city"] = [SECRET] + ["York"] * (len(frame) - 1)': "column 'city': declared as string",
    'frame["spent"] = 1 / frame["visits"].mul(0)': "column 'spent' has infinite values",
    'frame["customer"] = frame["customer"].astype("Int64").where(frame.index != 0)': "join key 'customer' is null in 1 rows",
    "frame = pd.concat([frame, frame])": "rows repeat a 'customer' and event_timestamp",
    'cities["event_timestamp"] = as_of + pd.Timedelta("1us")': "view 'city', column 'event_timestamp' has times after",
    'cities["event_timestamp"] = pd.Timestamp("2020-01-01")': "timestamps with a time zone",
    'cities["event_timestamp"] = pd.Series(pd.NaT, cities.index, "datetime64[ns, UTC]")': "'event_timestamp' has null values",
    "raise KeyError(SECRET)": "failed with KeyError in line 8",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_function_and_column(tmp_path: Path, mistake: str):
    """Whatever the function gets wrong: workload, function, view and column are said, restricted values are not."""
    code = CODE.format(mistake=mistake.replace("SECRET", str(SECRET)))
    workload = make_workload(tmp_path, code, classification=Classification.RESTRICTED)
    with pytest.raises(ConfigurationError, match=MISTAKES[mistake]) as caught:
        compute_features(workload, make_tables([(SECRET, 0.0, 1.0, "York"), *VISITS]), WATERMARK, tmp_path / "out")
    assert str(caught.value).startswith("shop: features.py:features")
    assert str(SECRET) not in str(caught.value)
    assert caught.value.__cause__ is None
