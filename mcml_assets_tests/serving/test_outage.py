"""A location that is planned to be dark is dark for its endpoints, only while it is, and never for a damaged file."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from mcml_assets.clouds.fault_plan import clear_all_faults, set_fault
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.faults import FROM_ANYWHERE, PREDICT, Fault, FaultKind
from mcml_assets.domain.topology import Location, Topology
from mcml_assets.serving.folder import DataPlaneFolder
from mcml_assets.serving.outage import planned, planned_outage

HERE = "aws/eu-west-2"
TOPOLOGY = Topology("local", {HERE: Location("aws", "eu-west-2", "UK", "bucket", Decimal(0), "USD", {})})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def plan(settings: Settings, kind: FaultKind, **parameters: str) -> None:
    now = datetime.now(UTC)
    set_fault(Fault("aws", kind, now, now + timedelta(minutes=1), parameters), TOPOLOGY, settings)


def test_an_outage_darkens_its_locations_until_it_is_cleared(settings: Settings):
    """Only locations of the cloud are dark, from the moment the outage is set until it is cleared."""
    here, elsewhere = (planned_outage(settings.faults_file, location) for location in (HERE, "gcp/europe-west2"))
    assert not here()
    plan(settings, FaultKind.OUTAGE)
    assert here()
    assert not elsewhere()
    clear_all_faults(settings)
    assert not here()


def test_other_faults_do_not_darken_endpoints(settings: Settings):
    """Faults of the bucket leave endpoints alone, and so does an outage that is narrowed to requests of the bucket."""
    for kind in (kind for kind in FROM_ANYWHERE if kind is not FaultKind.OUTAGE):
        plan(settings, kind)
    plan(settings, FaultKind.OUTAGE, operation="put")
    assert not planned_outage(settings.faults_file, HERE)()
    plan(settings, FaultKind.OUTAGE, operation="predict")
    assert planned_outage(settings.faults_file, HERE)()


def test_a_fault_of_a_server_strikes_that_kind_alone(settings: Settings):
    """A server that is to answer wrongly is not dark, and one elsewhere answers as ever."""
    wrong, elsewhere = (
        planned(settings.faults_file, location, FaultKind.WRONG_ANSWERS, PREDICT) for location in (HERE, "gcp/europe-west2")
    )
    plan(settings, FaultKind.WRONG_ANSWERS)
    assert wrong()
    assert not elsewhere()
    assert not planned_outage(settings.faults_file, HERE)()


def test_a_damaged_plan_darkens_nothing(settings: Settings, caplog: pytest.LogCaptureFixture):
    """When the plan cannot be read endpoints go on answering, and the log says why, once."""
    dark = planned_outage(settings.faults_file, HERE)
    settings.faults_file.write_bytes(b"{")
    assert [dark() for _ in range(3)] == [False] * 3
    assert len(caplog.records) == 1
    assert "mcml fault clear --all" in caplog.text


def test_endpoints_are_told_of_a_plan_only_where_faults_are_allowed(tmp_path: Path):
    """On a topology of production a data plane has no plan at all, unless its process was given leave."""
    production = Settings(home=tmp_path, topology=tmp_path / "production.yaml")
    assert DataPlaneFolder.of(production).faults is None
    assert not planned_outage(None, HERE)()
    assert DataPlaneFolder.of(production.model_copy(update={"faults_allowed": True})).faults == tmp_path / "faults.json"
