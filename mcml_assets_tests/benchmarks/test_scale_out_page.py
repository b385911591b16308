"""What the page of sizes promises: its figures are those of the benchmark's file, and it claims no more than was measured."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from mcml_assets_tests.benchmarks.report import Result
from mcml_assets_tests.benchmarks.scale_out_page import BEGIN, END, PAGE, write


def published(folder: Path, *rows: int) -> Path:
    """A result whose memory is 1 GiB and 0.5 for each million rows, and whose time is 4 s for each; Ray has 3 s and 10 more."""
    results = [Result("features: until Ray of this machine is there", "", 5.0, None, "s")]
    for one in rows:
        millions = one / 1e6
        results += [
            Result(f"features, {one:,} rows: time", "", 10 + 3 * millions, 4 * millions, "s"),
            Result(f"features, {one:,} rows: peak memory", "", 2 + millions, 1 + 0.5 * millions, "GiB"),
        ]
    file = folder / "scale_out.json"
    file.write_text(json.dumps([asdict(result) for result in results]))
    return file


def written(folder: Path, *rows: int) -> str:
    """A page with these figures."""
    page = folder / "page.md"
    page.write_text(f"before\n{BEGIN}\nformer\n{END}\nafter\n")
    write(page, published(folder, *rows))
    return page.read_text()


def test_growth_and_limits_follow_from_what_was_measured(tmp_path: Path) -> None:
    """Per million rows, with the size from which Ray is faster; what lies beyond the measured sizes is marked."""
    page = written(tmp_path, 4_000_000, 8_000_000, 16_000_000)
    assert page.startswith("before\n")
    assert page.endswith("after\n")
    assert "former" not in page
    assert "| 8,000,000 | 32 s | 34 s | 1.06 times | 5.00 GiB | 10.00 GiB |" in page
    assert "Each further million raw rows takes one process 4 s and 0.50 GiB, beside 1.00 GiB that it takes anyway." in page
    assert "Ray was the faster one from 16,000,000 rows on." in page
    assert "| 4 GiB | 6 million |" in page
    assert "| 64 GiB | *126 million* |" in page


def test_noise_is_not_told_as_growth(tmp_path: Path) -> None:
    """Where more rows took less time, as on a busy machine, no seconds for each million are claimed."""
    file = published(tmp_path, 1_000_000, 2_000_000)
    results = json.loads(file.read_text())
    results[3]["peer"] = 1.0
    file.write_text(json.dumps(results))
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}\n{END}\n")
    write(page, file)
    assert "takes one process no longer, as far as the machine's other work lets one see, and 0.50 GiB" in page.read_text()


def test_from_one_size_nothing_is_concluded(tmp_path: Path) -> None:
    """A line needs two points."""
    assert "How features grows is not known: one size was measured." in written(tmp_path, 1_000_000)
    assert "From no size on Ray was the faster one." in written(tmp_path, 1_000_000, 2_000_000)


def test_a_page_without_its_marks_is_not_overwritten(tmp_path: Path) -> None:
    """Else a person's text would be lost."""
    page = tmp_path / "page.md"
    page.write_text("mine")
    with pytest.raises(ValueError, match="are not there"):
        write(page, published(tmp_path, 1_000_000))
    assert page.read_text() == "mine"


def test_the_page_has_figures() -> None:
    """What is in the repository came from a measurement."""
    between = PAGE.read_text().split(BEGIN)[1].split(END)[0]
    assert "| features: raw rows |" in between
    assert "| training: labelled rows |" in between
