"""Promises of the stored reference: it is read as it was written, damage is refused, and it names no single person."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mcml_assets.domain.errors import CorruptSnapshot
from mcml_assets.drift.measures import measure
from mcml_assets.drift.reference import Reference, build_reference, read_reference, write_reference
from mcml_assets.drift.sketch import CategorySketch
from mcml_assets_tests.drift.columns import generator

RARE = "Little Snoring"


@pytest.fixture
def rows() -> pd.DataFrame:
    random = generator()
    cities = np.array(["York", "Bath"], dtype=object)[random.integers(0, 2, 3_000)]
    cities[:3] = RARE
    spent = np.where(random.random(3_000) < 0.1, np.nan, random.lognormal(3, 1, 3_000))
    return pd.DataFrame({"spent": spent, "visits": random.poisson(3, 3_000).astype("float64"), "city": cities})


@pytest.fixture
def reference(rows: pd.DataFrame) -> Reference:
    return build_reference(rows, generator(1).random(1_000))


def test_it_is_read_as_it_was_written(reference: Reference, tmp_path: Path) -> None:
    """After a round trip every feature is at distance 0 of itself, grids are equal, and no row is lost."""
    file = tmp_path / "reference.json"
    write_reference(reference, file)
    read = read_reference(file)
    assert list(read.features) == ["spent", "visits", "city"]
    for name, sketch in {**reference.features, "predictions": reference.predictions}.items():
        other = {**read.features, "predictions": read.predictions}[name]
        assert other.rows == sketch.rows
        found = measure(name, sketch, other, 0.01)
        assert (found.psi, found.kolmogorov_smirnov or 0.0, found.missing_change) == (0.0, 0.0, 0.0)
        assert (found.wasserstein or 0.0) < 1e-9


def test_a_missing_value_of_a_frame_is_a_missing_value(reference: Reference, rows: pd.DataFrame) -> None:
    """What a frame holds as NaN is counted as missing, for numbers and for text."""
    assert reference.features["spent"].missing == rows["spent"].isna().sum()


def test_it_names_nobody(reference: Reference, rows: pd.DataFrame, tmp_path: Path) -> None:
    """Neither an amount that one customer spent nor a town where three live is anywhere in the file."""
    file = tmp_path / "reference.json"
    write_reference(reference, file)
    numbers = set(json.loads(file.read_text())["features"]["spent"]["edges"])
    assert numbers
    assert not numbers & set(rows["spent"])
    assert RARE not in file.read_text()
    city = reference.features["city"]
    assert isinstance(city, CategorySketch)
    assert city.other == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda document: document.update(format=9), "format 9, this version reads 1"),
        (lambda document: document.pop("predictions"), "KeyError"),
        (lambda document: document["features"]["spent"]["counts"].append(1), "ValueError"),
        (lambda document: document["features"]["spent"]["edges"].reverse(), "ValueError"),
        (lambda document: document["features"]["city"].update(kind="numeric"), "KeyError"),
        (lambda document: document["features"].update(city=3), "TypeError"),
        (lambda document: document["features"]["visits"].update(surprise=1), "TypeError"),
    ],
)
def test_damage_is_refused(reference: Reference, tmp_path: Path, change: object, message: str) -> None:
    """Another format, a lost field, counts that do not fit: one typed error that names the file, and quotes no value."""
    file = tmp_path / "reference.json"
    write_reference(reference, file)
    document = json.loads(file.read_text())
    change(document)  # pyright: ignore[reportCallIssue] - a lambda
    file.write_text(json.dumps(document))
    with pytest.raises(CorruptSnapshot, match=message):
        read_reference(file)
    file.write_bytes(b"{")
    with pytest.raises(CorruptSnapshot, match=r"reference\.json"):
        read_reference(file)
