"""Feast repositories: point-in-time joins that never see the future, and an atomic switch between snapshots."""

import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pandas as pd
import pytest

from mcml_assets.domain.errors import ConfigurationError, CorruptSnapshot, ObjectNotFound
from mcml_assets.features.feast_store import historical, publish
from mcml_assets.features.online import OnlineReader
from mcml_assets.features.repositories import current_repository
from mcml_assets_tests.features.small_shop import LOCATION, days


def entities(rows: list[tuple[int, float]], **columns: object) -> pd.DataFrame:
    """Rows to join features to: (customer, days after the start)."""
    frame = pd.DataFrame(rows, columns=pd.Index(["customer", "days"]))
    times = pd.to_datetime([days(number) for number in frame.pop("days")], utc=True)
    return frame.assign(event_timestamp=times, **columns)


def test_history_joins_what_was_known_and_follows_the_key(publish_days):
    """A row gets the newest features at or before its time, and through the customer's city of then, the city's."""
    joined = historical(publish_days(25, "a"), entities([(1, 10), (1, 19.9), (1, 20), (2, 30)], target=[0, 1, 1, 0]))
    assert joined["visits"].tolist() == [1, 1, 2, 1]
    assert joined["city"].tolist() == ["York", "York", "Bath", "Bath"]
    assert joined["inhabitants"].tolist() == [141_000, 141_000, 94_000, 94_000]
    assert joined["target"].tolist() == [0, 1, 1, 0]


def test_nothing_from_after_the_time_is_ever_joined(publish_days):
    """Every joined row equals a plain search backwards in time, bounded by the view's 45 days, for times all around."""
    repository = publish_days(25, "a")
    rng = np.random.default_rng(7)
    asked = entities([(int(rng.integers(1, 5)), float(rng.uniform(0, 90))) for _ in range(300)])
    stored = pd.read_parquet(repository.folder / "data" / "customer.parquet")
    joined = historical(repository, asked)
    for row in joined.to_dict("records"):
        age = row["event_timestamp"] - stored["event_timestamp"]
        fresh = (age >= pd.Timedelta(0)) & (age <= pd.Timedelta(days=45))
        known = stored.loc[fresh & (stored["customer"] == row["customer"])].sort_values("event_timestamp")
        if known.empty:
            assert pd.isna(row["visits"])
        else:
            assert row["visits"] == known["visits"].iloc[-1]
    assert 0 < joined["visits"].isna().sum() < len(joined)


def test_repeated_rows_order_and_index_survive(publish_days):
    """Rows with the same entity and time are data: each comes back, where it was, under its own label."""
    asked = entities([(2, 25), (1, 25), (1, 25), (9, 25), (1, 12), (2, 25)]).set_axis([7, 7, 3, 1, 0, 9])
    joined = historical(publish_days(25, "a"), asked)
    assert joined.index.tolist() == [7, 7, 3, 1, 0, 9]
    assert joined["customer"].tolist() == [2, 1, 1, 9, 1, 2]
    assert joined["visits"].fillna(-1).tolist() == [1, 2, 2, -1, 1, 1]
    assert joined["inhabitants"].isna().tolist() == [False, False, False, True, False, False]


def test_nanoseconds_and_other_zones_mean_the_same_instant(publish_days):
    """A time is an instant, however precisely and in whatever zone it is written."""
    repository = publish_days(25, "a")
    asked = entities([(1, 19.999), (1, 20)])
    abroad = asked.assign(
        event_timestamp=asked["event_timestamp"].dt.tz_convert("Asia/Tokyo").astype("datetime64[ns, Asia/Tokyo]")
    )
    assert historical(repository, abroad)["visits"].tolist() == historical(repository, asked)["visits"].tolist() == [1, 2]


def test_no_rows_give_no_rows(publish_days):
    """An empty frame is joined to an empty frame with all columns."""
    joined = historical(publish_days(25, "a"), entities([]).astype({"customer": "int64"}))
    assert joined.empty
    assert {"visits", "spent", "city", "inhabitants"} <= set(joined.columns)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop(columns="customer"), "view 'customer' needs column 'customer'"),
        (lambda frame: frame.drop(columns="event_timestamp"), "needs column 'event_timestamp'"),
        (lambda frame: frame.assign(event_timestamp=pd.Timestamp("2024-01-20")), "timestamps with a time zone"),
    ],
)
def test_an_incomplete_entity_frame_is_refused(publish_days, change, message):
    """What is missing for the join is said by name."""
    with pytest.raises(ConfigurationError, match=message):
        historical(publish_days(25, "a"), change(entities([(1, 20)])))


def test_a_moved_repository_still_answers(publish_days, tmp_path):
    """The folder is self-contained: history can be asked where it was moved to, even with its old place gone."""
    repository = publish_days(25, "a")
    moved = shutil.move(repository.folder, tmp_path / "moved")
    joined = historical(type(repository)(moved, repository.snapshot_id, "shop"), entities([(1, 20)]))
    assert joined["visits"].tolist() == [2]


def test_the_last_two_repositories_are_kept(publish_days):
    """Publishing switches to the new repository and keeps the one before it; earlier ones are removed."""
    folders = [publish_days(number, snapshot).folder for number, snapshot in ((21, "a"), (22, "b"), (23, "c"))]
    assert [folder.exists() for folder in folders] == [False, True, True]
    assert current_repository(folders[0].parent).snapshot_id == "c" * 64


def test_publishing_an_earlier_snapshot_again_only_switches_back(publish_days):
    """A rollback needs no rebuild, and the repository that is current is never the one removed."""
    first, second = publish_days(21, "a"), publish_days(22, "b")
    built = (first.folder / "online.db").stat().st_mtime_ns
    publish_days(21, "a")
    assert current_repository(first.folder.parent) == first
    assert (first.folder / "online.db").stat().st_mtime_ns == built
    third = publish_days(23, "c")
    assert current_repository(first.folder.parent) == third
    assert (first.folder.exists(), second.folder.exists()) == (True, False)


def test_the_remains_of_a_killed_build_are_replaced(publish_days, settings):
    """A repository without its mark was never finished: it is built again from the start."""
    repository = publish_days(25, "a")
    (repository.folder / "repository.json").unlink()
    (repository.folder / "online.db").write_bytes(b"half a database")
    assert historical(publish_days(25, "a"), entities([(1, 20)]))["visits"].tolist() == [2]


def test_a_failed_build_leaves_the_former_repository_current(publish_days, shop, settings):
    """A snapshot without the files of a view is refused, and readers go on with what they have."""
    former = publish_days(25, "a")
    with pytest.raises(CorruptSnapshot, match="no file of view 'customer'"):
        publish(shop, LOCATION, "b" * 64, {}, days(25), settings)
    assert current_repository(former.folder.parent) == former
    after = publish_days(25, "c")
    assert {path for path in former.folder.parent.iterdir() if path.is_dir()} == {former.folder, after.folder}


def test_nothing_published_is_said(tmp_path):
    """Asking a location that has no features yet is an error of its own kind."""
    with pytest.raises(ObjectNotFound, match="no features of shop"):
        current_repository(tmp_path / "feast" / "shop")


def test_a_concurrent_reader_sees_one_snapshot_or_the_next(publish_days, shop):
    """While repositories are switched and removed under it, every read answers, from one whole snapshot at a time."""
    repository = publish_days(20, "a", [(1, 0.0, 0.0, "York")])
    reader = OnlineReader(shop.features.entity, shop.features.views, repository.folder.parent)
    stop = Event()

    def read_on() -> list[tuple[float, str]]:
        seen = []
        while not stop.is_set():
            row = reader.read(1)
            seen.append((row["spent"], row["city"]))
        return seen

    with ThreadPoolExecutor() as pool:
        readers = [pool.submit(read_on) for _ in range(2)]
        for number, snapshot in enumerate("bcdef", start=1):
            publish_days(20, snapshot, [(1, 0.0, float(number), ["York", "Bath"][number % 2])])
        stop.set()
        seen = [pair for one in readers for pair in one.result(timeout=30)]
    assert set(seen) <= {(float(number), ["York", "Bath"][number % 2]) for number in range(6)}
    assert len(seen) > 10
    assert reader.snapshot_id == "f" * 64


def test_no_network_is_used(publish_days, shop, monkeypatch):
    """Publishing, history and online reads work where every connection is refused: nothing is reported to anybody."""

    def refuse(*_: object) -> None:
        raise AssertionError("something wants to use the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    repository = publish_days(25, "a")
    reader = OnlineReader(shop.features.entity, shop.features.views, repository.folder.parent)
    assert historical(repository, entities([(1, 20)]))["visits"].tolist() == [reader.read(1)["visits"]] == [2]
