"""How a workload says for how long its snapshots are kept."""

import shutil
from pathlib import Path

import pytest

from mcml_assets.build import DEFS
from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.configuration.workload import load_workload
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.retention import Retention
from mcml_assets.domain.workload import DEFAULT_RETENTION, Workload


def spoilt(folder: Path, former: str, changed: str) -> Path:
    """A copy of an example workload with one thing changed."""
    copy = folder / "online_retail"
    shutil.copytree(DEFS / "online_retail", copy, ignore=shutil.ignore_patterns("__pycache__"))
    file = copy / "defs.yaml"
    assert former in file.read_text()
    file.write_text(file.read_text().replace(former, changed))
    return file


def load(file: Path) -> Workload:
    return load_workload(file, load_topology(Settings().topology_file))


def test_the_examples_say_theirs() -> None:
    """Each example keeps what its own file says."""
    for name, days in (("online_retail", 30), ("credit_scoring", 90)):
        assert load(DEFS / name / "defs.yaml").retention == Retention(5, days)


@pytest.mark.parametrize(
    ("written", "told"),
    [("{keep_last: 0}", "keep_last"), ("{keep_days: -1}", "keep_days"), ("{keep_lasts: 3}", "did you mean 'keep_last'")],
)
def test_a_retention_that_cannot_be_is_told(tmp_path: Path, written: str, told: str) -> None:
    """Nothing is kept for less than the current snapshot: the line and the key of the mistake are named."""
    file = spoilt(tmp_path, "retention: {keep_last: 5, keep_days: 30}", f"retention: {written}")
    with pytest.raises(ConfigurationError, match=rf"defs.yaml:\d+: .*{told}"):
        load(file)


def test_without_a_word_there_is_a_default(tmp_path: Path) -> None:
    """A workload that says nothing keeps its five newest, and every snapshot for a month."""
    file = spoilt(tmp_path, "  retention: {keep_last: 5, keep_days: 30}\n", "")
    assert load(file).retention == DEFAULT_RETENTION == Retention(5, 30)
