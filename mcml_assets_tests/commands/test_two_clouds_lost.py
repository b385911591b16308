"""With two of three clouds really lost, whoever is asked says the same: nobody can tell who acts, and nothing moves or commits.

The words are those of `deploy/docs/register.md`; what daemons do meanwhile is in `mcml_assets_tests/sensors/test_live.py`.
"""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from mcml_assets.cli import app
from mcml_assets.domain.acting import Acting
from mcml_assets.domain.errors import RegisterUnavailable
from mcml_assets.resources.stores import CloudStores
from mcml_assets.sensors.cursor import Cursor
from mcml_assets.sensors.failover import build_failover
from mcml_assets_tests.failover.stage import Stage
from mcml_assets_tests.sensors.tower import Tower

A, B, C = "aws/eu-west-2", "gcp/europe-west2", "azure/uksouth"
SHOP, SCORING = "online_retail", "credit_scoring"
STANDING = {f"{SHOP}/UK", f"{SHOP}/EU", f"{SCORING}/US"}


@pytest.fixture
def lost(stage_in_shell: Stage) -> Tower:
    """The shop's UK acts in its second location, by the register and the route, when two clouds go dark."""
    stage = stage_in_shell
    shop = stage.workloads[SHOP]
    register = CloudStores.from_settings(stage.settings).register
    register.change(shop, "UK", Acting(A, 1), Acting(B, 2), who="ann", why="a drill", request_id="1")
    stage.land(shop, Acting(B, 2), b"batch 0")
    stage.route(shop, shop.placement("UK"), Acting(B, 2))
    tower = Tower(stage, build_failover(lambda: list(stage.workloads.values()), look_again_seconds=0.0))
    assert tower.tick() == []
    stage.darken("aws", "gcp")
    return tower


def asked(stage: Stage, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    stage.beat()
    result = CliRunner().invoke(app, [*arguments, "--json"])
    return result.exit_code, json.loads(result.stdout)


def test_no_command_names_who_acts_where_nobody_can_tell(lost: Tower):
    """`register show` is undecided, `status` healthy nowhere, and `whatif` goes by the last route, says so, and tells the way
    out of every jurisdiction, also of the one whose last acting location answers."""
    code, shown = asked(lost.stage, "register", "show")
    assert code == 1
    assert {f"{row['workload']}/{row['jurisdiction']}" for row in shown} == STANDING
    for row in shown:
        assert (row["acting"], row["epoch"]) == (None, None)
        silent = {store["location"] for store in row["stores"] if store["state"] == "unreachable"}
        assert {location.partition("/")[0] for location in silent} == {"aws", "gcp"}

    code, rows = asked(lost.stage, "status")
    assert code == 1
    assert [row["location"] for row in rows if row["healthy"] or row["acting"] is not None] == []
    (answering,) = [row for row in rows if row["location"] == C]
    assert "1 of its 3 stores answered, and 2 must" in answering["problem"]

    code, plans = asked(lost.stage, "whatif", "--down", "aws")
    assert code == 0
    assert {f"{plan['workload']}/{plan['jurisdiction']}" for plan in plans} == STANDING
    for plan, row in ((plan, row) for plan in plans for row in shown if row["jurisdiction"] == plan["jurisdiction"]):
        assert (plan["decision"], plan["requested"]) == ("stays", [])
        assert plan["uncertain"] == "1 of the 3 stores of its register answer, and 2 must"
        assert all(store["location"] in plan["way_out"] for store in row["stores"] if store["state"] == "unreachable")
    (uk,) = [plan for plan in plans if plan["jurisdiction"] == "UK"]
    assert (uk["from"], uk["epoch"], uk["answered_by"]) == (B, 2, [C])
    said = " ".join(CliRunner().invoke(app, ["whatif", "--down", "aws"]).output.split())
    assert (
        f"who acts is not known: 1 of the 3 stores of its register answer, and 2 must; {B}, epoch 2, is the route's word"
        in said
    )


def test_the_sensor_says_so_of_every_jurisdiction_and_work_goes_on_when_one_cloud_is_back(lost: Tower):
    """Nothing is requested, each jurisdiction is remembered as standing still, no commit is allowed, and none is lost."""
    for _ in range(2):
        assert lost.tick() == []
    standing = Cursor.from_json(lost.cursors["failover"]).stranded
    assert set(standing) == STANDING
    assert all("1 of the 3 stores of its register answer" in one.why for one in standing.values())
    assert all(
        where.replace("/", " in ") in lost.last_skip["failover"] or where in lost.last_skip["failover"] for where in standing
    )
    stage = lost.stage
    with pytest.raises(RegisterUnavailable):
        CloudStores.from_settings(stage.settings).acting(stage.workloads[SHOP], "EU")

    stage.mend()
    stage.darken("aws")
    lost.tick()
    assert Cursor.from_json(lost.cursors["failover"]).stranded == {}
    assert (lost.acting(SHOP, "UK"), lost.acting(SHOP, "EU")) == ((B, 2), ("azure/westeurope", 1))
    assert lost.acting(SCORING, "US") == ("gcp/us-east4", 2)
