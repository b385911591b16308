"""Promises of the audit of an answer: every step of its way is found again, the score is given again, and a lie is seen.

The answers are a model server's own, over snapshots that the assets themselves made; only the HTTP around it is left out.
"""

import asyncio
import json
import shutil
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kserve import InferInput, InferRequest
from prometheus_client import CollectorRegistry
from pyarrow import parquet
from typer.testing import CliRunner

from mcml_assets.audit.explain import Archive
from mcml_assets.audit.stale import stale_predictions
from mcml_assets.build import DEFS
from mcml_assets.cli import app
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import CorruptSnapshot, LocationUnavailable, ObjectNotFound
from mcml_assets.domain.prediction import PredictionRow, prediction_id
from mcml_assets.features.online import OnlineReader
from mcml_assets.features.repositories import repositories_folder
from mcml_assets.serving.folder import DataPlaneFolder
from mcml_assets.serving.guard import ASKED, Asked
from mcml_assets.serving.model_server import EntityModel
from mcml_assets.serving.package import load_model, read_package
from mcml_assets.serving.prediction_log.shipper import Shipper
from mcml_assets.serving.prediction_log.spool import Answered, Spool
from mcml_assets.serving.served import Served
from mcml_assets.serving.server_metrics import ServerMetrics
from mcml_assets.serving.tracing import Untraced
from mcml_assets_tests.assets.conftest import Bench, failure_of

LOCATION, STANDBY = "aws/us-east-1", "gcp/us-east4"
APPLICANTS = 3


@dataclass
class Audited:
    """A platform whose prediction log has one answer about three applicants."""

    bench: Bench
    archive: Archive
    answer: dict[str, Any]
    identifier: str

    @property
    def row(self) -> PredictionRow:
        return self.archive.find(self.identifier)[0][0]

    def ship(self) -> None:
        Shipper(self.bench.settings, self.bench.stores.topology).finish()


def ask(bench: Bench, location: str, about: list[str]) -> tuple[dict[str, Any], str]:
    """What a model server of this location answers, and the id it gave."""
    workload = bench.workload
    manifest = bench.stores.snapshots(workload, LOCATION, "model").current()
    assert manifest is not None
    folder = bench.settings.location_folder(LOCATION) / "models" / workload.name / manifest.snapshot_id[:16]
    package = read_package(folder, digest=manifest.snapshot_id)
    features = repositories_folder(bench.settings, LOCATION, workload.name)
    answered = Answered(workload.name, "US", location, package.description.version, manifest.snapshot_id, "hashed")
    spool = Spool(DataPlaneFolder.of(bench.settings).predictions, answered)
    reader = OnlineReader.from_schema(asdict(package.schema), features)
    served = Served(package, manifest.snapshot_id, location, load_model(package), reader, spool)
    model = EntityModel(served, reader, ServerMetrics(served.labels, CollectorRegistry()), Untraced())
    asked = Asked("underwriter-3", 7)
    ASKED.set(asked)
    tensor = InferInput("dob_ssn", [len(about)], "BYTES", data=about)
    said = asyncio.run(model.predict(InferRequest(model_name=workload.name, infer_inputs=[tensor]))).to_dict()
    assert asked.prediction_id is not None
    return said, asked.prediction_id


def applicants(bench: Bench, count: int) -> list[str]:
    """Applicants of the first batch."""
    (loans,) = (source for source in bench.workload.sources if source.name == "loans")
    table = parquet.read_table(loans.path, columns=["dob_ssn", "event_timestamp"]).sort_by("event_timestamp")
    return table["dob_ssn"].to_pylist()[:count]


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    scratch = tmp_path_factory.mktemp("audited")
    folder = scratch / "defs" / "credit_scoring"
    shutil.copytree(DEFS / "credit_scoring", folder, ignore=shutil.ignore_patterns("__pycache__"))
    bench = Bench(folder / "defs.yaml", Settings(home=scratch / "home"))
    steps = (("US", ("landing",)), (LOCATION, ("raw_data", "feature_snapshot")), ("US", ("training_run",)))
    for partition, nouns in (*steps, (LOCATION, ("model",)), (STANDBY, ("raw_data", "feature_snapshot", "model"))):
        result = bench.run(partition, *nouns)
        assert result.success, failure_of(result)
    answer, identifier = ask(bench, LOCATION, applicants(bench, APPLICANTS))
    archive = Archive([bench.workload], bench.stores.topology, bench.settings)
    return Audited(bench, archive, answer, identifier)


def test_an_answer_is_explained_before_and_after_it_was_shipped(audited: Audited) -> None:
    """A prediction is found in the spool at once and in the location's bucket later, one row for each applicant."""
    rows, where = audited.archive.find(audited.identifier)
    assert (len(rows), where) == (APPLICANTS, f"the spool of this machine, on its way to {LOCATION}")
    audited.ship()
    shipped, where = audited.archive.find(audited.identifier)
    assert (shipped, where) == (rows, LOCATION)
    assert [row.score for row in rows] == audited.answer["outputs"][0]["data"]
    assert audited.answer["parameters"]["prediction_id"] == audited.identifier


def test_the_walk_reaches_the_contract(audited: Audited) -> None:
    """From the answer to model, training features, raw data, landing batch and contract version, nothing missing."""
    audited.ship()
    rows, where = audited.archive.find(audited.identifier)
    walk = audited.archive.explain(rows[0], where)
    assert walk.problems == ()
    assert [step.asset for step in walk.steps] == ["model", "feature_snapshot", "raw_data", "landing"]
    model, features, raw, landing = walk.steps
    assert model.snapshot_id == audited.bench.current(LOCATION, "model")
    assert features.snapshot_id == audited.bench.current(LOCATION, "feature_snapshot") == walk.row.feature_snapshot
    assert raw.snapshot_id == landing.snapshot_id == audited.bench.current(LOCATION, "landing")
    assert landing.facts["number"] == 0
    assert walk.contract_version == landing.facts["contract"] == "1.0"
    assert (walk.row.caller, walk.row.route_epoch) == ("underwriter-3", 7)


def test_the_score_is_given_again(audited: Audited) -> None:
    """From archived package and features, found by their digests alone, every applicant gets the same score."""
    audited.ship()
    for row in audited.archive.find(audited.identifier)[0]:
        replay = audited.archive.replay(row)
        assert (replay.same, replay.logged) == (True, row.score)


def test_a_forged_score_is_not_replayed(audited: Audited) -> None:
    """Who puts another score or other features into a row is contradicted by the replay."""
    audited.ship()
    row = audited.row
    assert not audited.archive.replay(replace(row, score=row.score + 1e-6)).same
    with pytest.raises(CorruptSnapshot, match="other features than were scored"):
        audited.archive.replay(replace(row, features="0" * 64))
    with pytest.raises(CorruptSnapshot, match="no entity that was scored"):
        audited.archive.replay(replace(row, entity="0" * 64))


def test_a_dark_location_is_explained_from_its_standby(audited: Audited) -> None:
    """With the bucket of the location gone its standby's copies explain an answer that a standby logged; an unread log is
    no empty one.
    """
    _, identifier = ask(audited.bench, STANDBY, applicants(audited.bench, 1))
    audited.ship()
    bucket = audited.bench.settings.clouds_folder / "aws"
    bucket.rename(bucket.with_name("aws.dark"))
    try:
        rows, where = audited.archive.find(identifier)
        walk = audited.archive.explain(rows[0], where)
        assert (where, {step.found_in for step in walk.steps if step.asset != "landing"}) == (STANDBY, {STANDBY})
        assert walk.problems != ()  # only the acting location had the landing itself
        assert audited.archive.replay(rows[0]).same
        with pytest.raises(LocationUnavailable):
            audited.archive.find(prediction_id(time.time_ns() // 1_000_000, bytes(10)))
    finally:
        bucket.with_name("aws.dark").rename(bucket)


def test_an_unknown_id_is_said(audited: Audited) -> None:
    """An id that no log has is an error of its own, once every log was read."""
    with pytest.raises(ObjectNotFound, match="no prediction log"):
        audited.archive.find(prediction_id(1_700_000_000_000, bytes(10)))


def test_an_older_model_than_the_acting_location_had_is_billed(audited: Audited) -> None:
    """A prediction of a former model counts from the moment the acting location had the newer one, and no other does."""
    audited.ship()
    workload, placement = audited.bench.workload, audited.bench.workload.placement("US")
    now = datetime.now(UTC)
    span = (now - timedelta(hours=1), now + timedelta(hours=1))
    assert list(stale_predictions(audited.archive, workload, placement, LOCATION, *span)) == []
    store = audited.archive.snapshots(workload, LOCATION, "model")
    former = store.current()
    assert former is not None
    newer = replace(former, files=former.files[:-1])
    store.write_manifest(newer)
    _, identifier = ask(audited.bench, LOCATION, applicants(audited.bench, 1))
    audited.ship()
    (billed,) = stale_predictions(audited.archive, workload, placement, LOCATION, *span)
    assert (billed.row.prediction_id, billed.asset) == (identifier, "model")
    assert (billed.served, billed.newest) == (former.snapshot_id, newer.snapshot_id)
    assert billed.behind_seconds is not None
    assert 0 <= billed.behind_seconds < 600
    assert list(stale_predictions(audited.archive, workload, placement, LOCATION, span[0], span[0])) == []


def test_the_command_walks_and_replays(audited: Audited, monkeypatch: pytest.MonkeyPatch) -> None:
    """`mcml explain --replay --json` prints the walk and the replay, and no applicant's key."""
    audited.ship()
    monkeypatch.setenv("MCML_HOME", str(audited.bench.settings.home))
    said = CliRunner().invoke(app, ["explain", audited.identifier, "--replay", "--json"])
    assert said.exit_code == 0, said.output
    entries = json.loads(said.output)
    assert [entry["replay"]["same"] for entry in entries] == [True] * APPLICANTS
    assert applicants(audited.bench, 1)[0] not in said.output
    assert CliRunner().invoke(app, ["explain", "17850"]).exit_code == 2
    whole = CliRunner().invoke(app, ["predictions", "--verify", "--json"])
    logs = {entry["location"]: entry for entry in json.loads(whole.output) if entry["rows"]}
    assert LOCATION in logs
    assert [(entry["findings"], entry["waiting"], entry["lost"]) for entry in logs.values()] == [([], 0, 0)] * len(logs)
