"""Promises of the spool: a row is there before its answer, whatever dies; it is bounded, and never in the way of an answer."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.clouds.registry import open_store, provision
from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.domain.prediction import keyed_digest
from mcml_assets.serving.folder import DataPlaneFolder
from mcml_assets.serving.prediction_log.log import PredictionLog
from mcml_assets.serving.prediction_log.shipper import Shipper, read_shipped, read_spool_file
from mcml_assets.serving.prediction_log.spool import Answered, Scored, Spool, SpoolFile, spool_files
from mcml_assets_tests.serving.prediction_log.rows import LOCATION

DYING = """
import os, signal, sys
from pathlib import Path
from mcml_assets_tests.serving.prediction_log.test_spool import answered, keep
from mcml_assets.serving.prediction_log.spool import Spool
spool = Spool(Path(sys.argv[1]), answered())
print("\\n".join(keep(spool) for _ in range(100)), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def answered(inputs: str = "hashed") -> Answered:
    return Answered("shop", "UK", LOCATION, 1, "a" * 64, "kept" if inputs == "kept" else "hashed")


def keep(spool: Spool, count: int = 1) -> str:
    scored = [Scored(17850 + item, {"visits": 7, "city": "York"}, 0.5) for item in range(count)]
    return spool.append(scored, caller="till-7", route_epoch=3, feature_snapshot="b" * 64)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, prediction_log_seconds=0.2)


@pytest.fixture
def folder(settings: Settings) -> Path:
    return DataPlaneFolder.of(settings).predictions


@pytest.fixture
def bucket(settings: Settings) -> ObjectStore:
    topology = load_topology(settings.topology_file)
    provision(topology, settings)
    return open_store(topology.location(LOCATION), settings)


def ship(settings: Settings) -> None:
    shipper = Shipper(settings, load_topology(settings.topology_file))
    shipper.finish()


def test_every_answer_of_a_killed_server_is_kept(settings: Settings, folder: Path, bucket: ObjectStore) -> None:
    """kill -9 right after the last answer: each answer's row reaches the bucket, and nothing of the writer is left behind."""
    said = subprocess.run([sys.executable, "-c", DYING, str(folder)], capture_output=True, text=True, check=False)
    answers = said.stdout.split()
    assert len(answers) == 100, said.stderr
    ship(settings)
    log = PredictionLog(bucket, "shop")
    assert [entry.row.prediction_id for entry in log.rows()] == answers
    assert (log.verify().findings, log.head().lost) == ((), 0)
    assert list(folder.rglob("*.*")) == []


def test_rows_leave_a_server_that_lives_on(settings: Settings, folder: Path, bucket: ObjectStore) -> None:
    """Rows are shipped while their writer appends, each once, and files that it is done with are removed."""
    spool = Spool(folder, answered(), file_bytes=2000)
    answers = []
    for _ in range(3):
        answers += [keep(spool, count=3) for _ in range(2)]
        ship(settings)
    log = PredictionLog(bucket, "shop")
    assert list(dict.fromkeys(entry.row.prediction_id for entry in log.rows())) == answers
    assert (log.head().rows, log.head().lost, log.verify().findings) == (18, 0, ())
    assert len(list(spool_files(folder))) == 1


def test_an_unreachable_bucket_keeps_nobody_waiting(settings: Settings, folder: Path) -> None:
    """Without its bucket the log waits in the spool, the reason is told, and everything arrives when it is back."""
    spool = Spool(folder, answered())
    answers = [keep(spool) for _ in range(5)]
    ship(settings)
    shipped = read_shipped(DataPlaneFolder.of(settings), f"shop@{LOCATION}")
    assert shipped is not None
    assert shipped.problem is not None
    assert shipped.problem.startswith("LocationUnavailable")
    topology = load_topology(settings.topology_file)
    provision(topology, settings)
    ship(settings)
    log = PredictionLog(open_store(topology.location(LOCATION), settings), "shop")
    assert [entry.row.prediction_id for entry in log.rows()] == answers


def test_a_full_spool_counts_what_it_loses(settings: Settings, folder: Path, bucket: ObjectStore) -> None:
    """A spool at its bound drops rows, answers all the same, and every dropped row is counted, the last one too."""
    spool = Spool(folder, answered(), spool_bytes=5000)
    answers = [keep(spool) for _ in range(50)]
    assert len(set(answers)) == 50
    assert 0 < spool.lost < 50
    assert sum(file.stat().st_size for file in folder.rglob("*.jsonl")) <= 5000
    os.close(spool._file or -1)
    ship(settings)
    head = PredictionLog(bucket, "shop").head()
    assert (head.rows + head.lost, head.lost) == (50, spool.lost)


def test_a_disk_that_refuses_does_not_stop_an_answer(tmp_path: Path) -> None:
    """When the spool cannot even be made, an answer has its id, and the loss is counted."""
    (tmp_path / "spool").write_text("a file where the folder should be")
    spool = Spool(tmp_path / "spool", answered())
    assert keep(spool, count=2)
    assert spool.lost == 2


def test_a_torn_line_is_one_lost_row(settings: Settings, folder: Path, bucket: ObjectStore) -> None:
    """What a power cut left of a line is no row, its number is a gap, and the rows around it are kept."""
    spool = Spool(folder, answered())
    for _ in range(3):
        keep(spool)
    os.close(spool._file or -1)
    (file,) = spool_files(folder)
    lines = file.path.read_bytes().splitlines()
    file.path.write_bytes(b"\n".join([lines[0], lines[1][:100], lines[2]]) + b"\n")
    ship(settings)
    log = PredictionLog(bucket, "shop")
    assert [entry.row.sequence for entry in log.rows()] == [1, 3]
    assert log.head().lost == 1


def test_confidential_inputs_leave_no_trace_but_a_digest(settings: Settings, folder: Path, bucket: ObjectStore) -> None:
    """Neither spool nor log hold an id or a feature value; with the writer's key, which is kept apart, they can be compared."""
    spool = Spool(folder, answered())
    keep(spool)
    (file,) = spool_files(folder)
    assert b"17850" not in file.path.read_bytes()
    assert b"York" not in file.path.read_bytes()
    ship(settings)
    log = PredictionLog(bucket, "shop")
    (entry,) = log.rows()
    assert entry.row.entity == keyed_digest(log.key(entry.row.writer), 17850)


def test_public_inputs_are_kept_as_they_were(folder: Path) -> None:
    """Of data that is neither confidential nor personal the log has the values, and no key."""
    keep(Spool(folder, answered("kept")))
    (file,) = spool_files(folder)
    (row,) = read_spool_file(file)
    assert (row.entity, row.features) == ("17850", '{"city":"York","visits":7}')
    assert not file.key_file.exists()


def test_a_line_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    """What has no line end yet is not taken: the next round has it whole."""
    path = tmp_path / "w.000001.jsonl"
    path.write_bytes(b'{"half')
    assert read_spool_file(SpoolFile(path, "shop", LOCATION)) == []
