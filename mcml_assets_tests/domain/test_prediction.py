"""Promises of a prediction on record: whatever is changed is seen, whatever is lost is counted, and no digest tells a value."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcml_assets.domain.errors import ConfigurationError, CorruptSnapshot
from mcml_assets.domain.prediction import (
    FIELDS,
    START,
    PredictionRow,
    broken_links,
    chained,
    keyed_digest,
    lost_rows,
    predicted_at,
    prediction_id,
)
from mcml_assets_tests.serving.prediction_log.rows import row, rows

CHANGES: dict[str, Any] = {"score": 0.75, "item": 1, "route_epoch": None, "model_version": 9, "sequence": 99}


@given(length=st.integers(1, 12), place=st.integers(0, 11), field=st.sampled_from(FIELDS))
def test_a_change_of_any_field_of_any_row_breaks_one_link(length: int, place: int, field: str) -> None:
    """Whichever field of whichever row is changed, exactly that row is told."""
    entries = list(chained(START, rows(1, length)))
    place %= length
    changed = CHANGES.get(field, f"not {getattr(entries[place].row, field)}")
    entries[place] = replace(entries[place], row=replace(entries[place].row, **{field: changed}))
    assert list(broken_links(START, entries)) == [place]


@given(length=st.integers(2, 12), data=st.data())
def test_a_removed_or_moved_row_breaks_the_chain(length: int, data: st.DataObject) -> None:
    """A row that was taken out, or put elsewhere, is seen at whatever followed it."""
    entries = list(chained(START, rows(1, length)))
    assert list(broken_links(START, entries)) == []
    place = data.draw(st.integers(0, length - 2))
    removed = entries[:place] + entries[place + 1 :]
    assert list(broken_links(START, removed)) == [place]
    swapped = list(entries)
    swapped[place], swapped[place + 1] = swapped[place + 1], swapped[place]
    assert place in set(broken_links(START, swapped))


@given(sequences=st.lists(st.integers(1, 50), unique=True, min_size=1).map(sorted), shipped=st.integers(0, 60))
def test_every_missing_number_is_a_lost_row(sequences: list[int], shipped: int) -> None:
    """What is missing between two numbers of a writer, or before its first one, is counted; other writers do not matter."""
    new = [number + shipped for number in sequences]
    mixed = [entry for number in new for entry in (row(number), row(number - new[0] + 1, "other"))]
    only_ours = [entry for entry in mixed if entry.writer == "w1"]
    assert lost_rows({"w1": shipped}, only_ours) == new[-1] - shipped - len(new)
    assert lost_rows({"w1": shipped}, mixed) == 2 * new[-1] - shipped - new[0] + 1 - 2 * len(new)


@given(milliseconds=st.integers(0, 2**43), randomness=st.binary(min_size=10, max_size=10))
def test_an_id_tells_its_time(milliseconds: int, randomness: bytes) -> None:
    """An id is a version 7 UUID: made later, it sorts later, and its time can be read from it."""
    identifier = prediction_id(milliseconds, randomness)
    assert abs(predicted_at(identifier).timestamp() - milliseconds / 1000) < 0.001
    assert prediction_id(milliseconds + 1, bytes(10)) > identifier


@pytest.mark.parametrize("wrong", ["", "x", "17850", "c0ffee00-0000-4000-8000-000000000000", "0" * 36])
def test_what_is_no_id_is_said(wrong: str) -> None:
    """Another UUID, or no UUID, is told as such, with what an id looks like."""
    with pytest.raises(ConfigurationError, match="x-mcml-prediction-id"):
        predicted_at(wrong)


def test_a_row_comes_back_as_it_was() -> None:
    """A row read from its line is the row that was written, to the last bit of its score."""
    written = row(score=0.1 + 0.2)
    assert PredictionRow.from_json(written.content) == written
    assert predicted_at(written.prediction_id) == datetime(2023, 11, 14, 22, 13, 20, 1000, UTC)


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"{}", b'{"writer": 1}', row().content[:-20], b"\xff"])
def test_a_part_of_a_row_is_no_row(line: bytes) -> None:
    """A torn line is a `CorruptSnapshot`, never half a prediction."""
    with pytest.raises(CorruptSnapshot):
        PredictionRow.from_json(line)


def test_a_digest_depends_on_its_key() -> None:
    """The same id has another digest under another key, so a table of all ids' digests tells nothing."""
    assert keyed_digest(b"k1", 17850) == keyed_digest(b"k1", 17850) != keyed_digest(b"k2", 17850)
