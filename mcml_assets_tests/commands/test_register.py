"""`mcml register` as a person meets it: who is acting and why, and which store of the register is behind or away."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mcml_assets import cli
from mcml_assets.configuration.settings import DEFS, Settings
from mcml_assets.configuration.workload import load_workload
from mcml_assets.domain.acting import Acting
from mcml_assets.resources.stores import CloudStores


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CloudStores:
    """Local clouds of a machine of its own, on which the UK of online_retail was moved by a person."""
    monkeypatch.setenv("MCML_HOME", str(tmp_path / "home"))
    stores = CloudStores.from_settings(Settings())
    workload = load_workload(DEFS / "online_retail" / "defs.yaml", stores.topology)
    stores.register.change(
        workload, "UK", Acting("aws/eu-west-2", 1), Acting("gcp/europe-west2", 2), who="ann", why="a drill", request_id="1"
    )
    return stores


def test_it_shows_who_acts_since_when_by_whom_and_why(stores: CloudStores) -> None:
    assert stores.acting(load_workload(DEFS / "online_retail" / "defs.yaml", stores.topology), "EU").epoch == 1
    result = CliRunner().invoke(cli.app, ["register", "show", "--json"])
    assert result.exit_code == 0, result.output
    rows = {(row["workload"], row["jurisdiction"]): row for row in json.loads(result.stdout)}
    moved = rows["online_retail", "UK"]
    assert (moved["acting"], moved["epoch"], moved["who"], moved["why"]) == ("gcp/europe-west2", 2, "ann", "a drill")
    assert [(store["location"], store["state"], store["epoch"]) for store in moved["stores"]] == [
        ("aws/eu-west-2", "in step", 2), ("azure/uksouth", "in step", 2), ("gcp/europe-west2", "in step", 2)
    ]  # fmt: skip
    assert rows["online_retail", "EU"]["why"] == "first use: the placement's primary"
    # Asking changed nothing: what nobody used is unused still.
    assert rows["credit_scoring", "US"]["acting"] is None
    assert {store["state"] for store in rows["credit_scoring", "US"]["stores"]} == {"unused"}


def test_a_store_that_is_away_is_told_of_and_nobody_is_named_without_a_majority(stores: CloudStores) -> None:
    for cloud, region, told in (("gcp", "europe-west2", "gcp/europe-west2"), ("azure", "uksouth", "undecided")):
        (Settings().clouds_folder / cloud / f"mcml-{cloud}-{region}").rename(Settings().home / cloud)
        result = CliRunner().invoke(cli.app, ["register", "show"])
        assert result.exit_code == 1
        uk = next(line for line in result.output.splitlines() if line.strip().startswith("online_retail   UK"))
        assert told in uk
        assert f"✗ {cloud}/{region} is unavailable" in result.output


def test_status_marks_the_location_that_acts_by_the_register(stores: CloudStores) -> None:
    rows = json.loads(CliRunner().invoke(cli.app, ["status", "--json"]).stdout)
    uk = {row["location"]: (row["acting"], row["epoch"]) for row in rows if row["jurisdiction"] == "UK"}
    assert uk == {"aws/eu-west-2": (False, 2), "gcp/europe-west2": (True, 2), "azure/uksouth": (False, 2)}


def test_status_names_nobody_when_nobody_can_tell_who_is_acting(stores: CloudStores) -> None:
    (Settings().clouds_folder / "aws").rename(Settings().home / "aws")
    (Settings().clouds_folder / "azure").rename(Settings().home / "azure")
    rows = json.loads(CliRunner().invoke(cli.app, ["status", "--json"]).stdout)
    uk = [row for row in rows if row["location"] == "gcp/europe-west2"]
    assert [(row["acting"], row["epoch"], row["healthy"]) for row in uk] == [(None, None, False)]
    assert "1 of its 3 stores answered, and 2 must" in uk[0]["problem"]
