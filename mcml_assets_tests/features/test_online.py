"""Reading one entity's features for a prediction."""

import subprocess
import sys

import pandas as pd
import pytest

from mcml_assets.domain.errors import ConfigurationError, CorruptSnapshot, ObjectNotFound, UnknownEntity
from mcml_assets.features.feast_store import historical
from mcml_assets.features.key_order import after_their_keys
from mcml_assets.features.online import OnlineReader


@pytest.fixture
def reader(publish_days, shop) -> OnlineReader:
    """A reader of features as of day 25."""
    return OnlineReader(shop.features.entity, shop.features.views, publish_days(25, "a").folder.parent)


def test_online_equals_offline(publish_days, shop, reader):
    """What the endpoint is given is what training would be given as of the watermark, for every customer."""
    repository = publish_days(25, "a")
    newest = pd.read_parquet(repository.folder / "data" / "customer.parquet").groupby("customer", as_index=False).last()
    offline = historical(repository, newest.loc[:, ["customer", "event_timestamp"]])
    for row in offline.to_dict("records"):
        online = reader.read(row["customer"])
        assert list(online) == ["visits", "spent", "city", "inhabitants"]
        assert online == {name: None if pd.isna(row[name]) else row[name] for name in online}


def test_a_null_and_a_missing_neighbour_are_none(reader):
    """Customer 3 spent an unknown amount, in a city nobody counted: both are None, and the rest is there."""
    assert reader.read(3) == {"visits": 1, "spent": None, "city": "Rome", "inhabitants": None}


def test_a_whole_number_may_come_as_text(reader):
    """Ids in requests are often strings."""
    assert reader.read("1") == reader.read(1)


@pytest.mark.parametrize("unknown", [4_711_815, "4711815", "Mrs 4711815", "1_4711815", "1.4711815", "4711815" * 5])
def test_an_unknown_entity_is_an_error_that_does_not_name_it(reader, unknown):
    """A caller learns that nothing is known, and no log learns about whom."""
    with pytest.raises(UnknownEntity) as caught:
        reader.read(unknown)
    assert "4711815" not in str(caught.value)
    assert "customer" in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_reader_follows_the_pointer(publish_days, reader):
    """After a switch the next read answers from the new snapshot, without a restart."""
    assert (reader.read(2)["visits"], reader.snapshot_id) == (1, "a" * 64)
    publish_days(25, "b", [(2, 1.0, 1.0, "York")] * 5)
    assert (reader.read(2)["visits"], reader.snapshot_id) == (5, "b" * 64)


def test_a_reader_can_be_made_from_a_model_package(publish_days):
    """`feature_schema.json` says all a model server needs."""
    schema = {
        "entity": {"name": "customer", "key": "customer", "type": "int64"},
        "views": [
            {"name": "city", "join_key": "city", "join_key_type": "string", "join_key_from": "customer",
             "features": {"inhabitants": "int64"}},
            {"name": "customer", "join_key": "customer", "join_key_type": "int64", "join_key_from": None,
             "features": {"visits": "int64", "city": "string"}},
        ],
        "model_inputs": {"visits": "int64"},
    }  # fmt: skip
    reader = OnlineReader.from_schema(schema, publish_days(25, "a").folder.parent)
    assert reader.read(1) == {"visits": 2, "city": "Bath", "inhabitants": 94_000}


def test_nothing_published_yet(shop, tmp_path):
    """A server that starts before the first features says so, and answers as soon as they are there."""
    reader = OnlineReader(shop.features.entity, shop.features.views, tmp_path / "feast" / "shop")
    with pytest.raises(ObjectNotFound, match="no features of shop were published"):
        reader.read(1)


def test_a_damaged_repository_is_corrupt_and_not_unknown(publish_days, shop):
    """A broken database is never mistaken for a customer who does not exist."""
    repository = publish_days(25, "a")
    (repository.folder / "online.db").write_bytes(b"not a database" * 100)
    reader = OnlineReader(shop.features.entity, shop.features.views, repository.folder.parent)
    with pytest.raises(CorruptSnapshot, match="cannot be read"):
        reader.read(1)


def test_views_come_after_those_that_supply_their_key():
    """A chain of keys is followed in its order; one that leads nowhere is a mistake with a name."""
    assert after_their_keys({"c": "b", "b": "a", "a": None}) == ["a", "b", "c"]
    with pytest.raises(ConfigurationError, match=r"leads nowhere for views \{'a': 'b', 'b': 'a'\}"):
        after_their_keys({"a": "b", "b": "a", "c": None})


def test_importing_the_reader_does_not_import_feast():
    """feast costs a second and 100 MB: only a process that reads features pays for it."""
    code = "import sys, mcml_assets.features.online; sys.exit('feast' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
