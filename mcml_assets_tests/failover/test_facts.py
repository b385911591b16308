"""What the facts of a decision promise: what was found is told, and what cannot be found is unknown."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mcml_assets.domain.acting import Acting
from mcml_assets.domain.failover import Health, LocationFacts, Serving, Situation
from mcml_assets.failover.facts import Landed, survey
from mcml_assets.failover.probing import shared_prober
from mcml_assets.serving.interfaces import EndpointState
from mcml_assets_tests.failover.stage import Stage, example_workloads

PRIMARY, WARM, COLD = "azure/westeurope", "gcp/europe-west1", "aws/eu-central-1"
ACTING = Acting(PRIMARY, 1)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    stage = Stage(tmp_path, example_workloads(["online_retail"]))
    stage.fill()
    return stage


def look(stage: Stage, acting: Acting = ACTING, landed: Landed | None = None, as_of: datetime | None = None) -> Situation:
    stage.beat()
    return survey(
        stage.workloads["online_retail"], "EU", acting,
        probes=shared_prober(stage.settings).probe([PRIMARY, WARM, COLD]),
        open_snapshots=stage.snapshots, platform=stage.platform, as_of=as_of or datetime.now(UTC),
        landed=landed, served=1,
    )  # fmt: skip


def facts(situation: Situation, location: str) -> LocationFacts:
    found = situation.facts(location)
    assert found is not None
    return found


def test_when_all_is_well_everybody_is_fresh_and_ready(stage: Stage):
    """All three hold the newest snapshot and the model; two serve, and the cold one could."""
    situation = look(stage)
    assert [one.location for one in situation.locations] == [PRIMARY, WARM, COLD]
    assert {one.lag_seconds for one in situation.locations} == {0}
    assert {one.model for one in situation.locations} == {1}
    assert {one.missing_bytes for one in situation.locations} == {0}
    assert [one.serving for one in situation.locations] == [Serving.READY, Serving.READY, Serving.COLD]
    assert not any(one.untrained for one in situation.locations)


def test_a_dark_location_is_known_by_its_route_only(stage: Stage):
    """Nothing is claimed of what cannot be asked, but that a model was served."""
    stage.darken("azure")
    dark = facts(look(stage), PRIMARY)
    assert (dark.health, dark.snapshot, dark.lag_seconds, dark.model) == (Health.DOWN, None, None, 1)


def test_a_standby_that_missed_a_batch_lags(stage: Stage):
    """It lags by the age of what it lacks, and lacks just those bytes."""
    stage.land(stage.workloads["online_retail"], ACTING, b"batch 0", b"batch 1")
    lagging = facts(look(stage, as_of=datetime.now(UTC) + timedelta(seconds=60)), WARM)
    assert lagging.lag_seconds is not None
    assert 60 <= lagging.lag_seconds < 90
    assert lagging.missing_bytes == len(b"batch 1")


def test_what_was_seen_to_land_counts_when_its_location_is_dark(stage: Stage):
    """A standby is not called fresh for holding the newest copy there is, if a newer snapshot was seen."""
    newer = stage.land(stage.workloads["online_retail"], ACTING, b"batch 0", b"batch 1")
    stage.darken("azure")
    began = datetime.now(UTC)
    seen = Landed(newer.snapshot_id, began - timedelta(seconds=30))
    assert facts(look(stage, landed=seen, as_of=began), WARM).lag_seconds == 30
    assert look(stage, landed=seen).newest == newer.snapshot_id


def test_without_anybody_who_saw_it_the_newest_copy_is_the_newest_known(stage: Stage):
    """A control plane that lost its memory in the middle of an outage still finds a standby that is fresh."""
    stage.darken("azure")
    assert facts(look(stage), WARM).lag_seconds == 0


def test_a_new_acting_location_is_judged_by_its_copy(stage: Stage):
    """Before it took over, its raw data is what the jurisdiction has."""
    stage.darken("azure")
    situation = look(stage, acting=Acting(WARM, 2))
    assert facts(situation, WARM).lag_seconds == facts(situation, COLD).lag_seconds == 0


def test_interrupted_training_is_seen(stage: Stage):
    """Features of newer data than the model's tell that nobody trained on them."""
    workload = stage.workloads["online_retail"]
    stage.land(workload, ACTING, b"batch 0", b"batch 1")
    stage.copy(workload, ACTING, "landing", "raw_data", [WARM])
    assert not facts(look(stage), WARM).untrained
    stage.compute(workload, WARM, 1)
    assert facts(look(stage), WARM).untrained


@pytest.mark.parametrize("state", [EndpointState.FAILED, EndpointState.STOPPED, EndpointState.PENDING])
def test_an_endpoint_that_does_not_answer_is_not_ready(stage: Stage, state: EndpointState):
    """Whatever was wanted there: nothing answers."""
    workload = stage.workloads["online_retail"]
    stage.serve(workload, workload.placed(WARM), state)
    assert facts(look(stage), WARM).serving is Serving.NOTHING


def test_an_unwatched_endpoint_is_not_ready(stage: Stage):
    """Old files are no news: without a data plane nobody is called ready."""
    stage.platform.folder.heartbeat.unlink()
    workload = stage.workloads["online_retail"]
    situation = survey(
        workload, "EU", ACTING, probes=shared_prober(stage.settings).probe([PRIMARY, WARM, COLD]),
        open_snapshots=stage.snapshots, platform=stage.platform, as_of=datetime.now(UTC),
    )  # fmt: skip
    assert {one.serving for one in situation.locations} == {Serving.NOTHING}


def test_a_location_whose_records_are_damaged_is_unknown(stage: Stage):
    """It answers, but nobody can tell what it holds."""
    where = stage.stores.topology.location(WARM)
    pointer = stage.settings.clouds_folder / where.cloud / where.bucket / "online_retail" / "model" / "current.json"
    pointer.write_text("{")
    damaged = facts(look(stage), WARM)
    assert damaged.health is Health.UNKNOWN
    assert "cannot be read" in (damaged.problem or "")
