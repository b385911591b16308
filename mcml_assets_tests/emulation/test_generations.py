"""Preconditions on generations, against what they mean in one sentence each."""

import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcml_assets.emulation.strict_gcs.generations import Bucket, Content, Preconditions, Refused

NAMES = st.sampled_from(["a", "a/b", "b"])
STEPS = st.lists(st.tuples(st.sampled_from(["put", "delete", "purge"]), NAMES, st.integers(0, 3)), max_size=25)


def stored(folder: Path, number: int) -> Content:
    path = folder / str(number)
    path.write_bytes(b"x")
    return Content(path, 1, None, "")


def accepted(act: Callable[[], object]) -> bool:
    try:
        act()
    except Refused:
        return False
    return True


@given(steps=STEPS, versioned=st.booleans())
def test_any_history_keeps_the_promises(steps: list[tuple[str, str, int]], versioned: bool):
    """After any history: generations only grow, a write succeeds exactly if its condition holds, and no file is left over."""
    folder = Path(mkdtemp())
    try:
        bucket = Bucket("b", {"versioning": {"enabled": versioned}})
        highest = 0
        for number, (kind, name, choice) in enumerate(steps):
            before = bucket.find(name)
            live = before.number if before else 0
            # What the caller believes: the truth, nothing, something old, or that it does not matter.
            believed = (live, 0, live - 1, None)[choice]
            conditions = Preconditions(generation=believed)
            holds = believed is None or believed == live
            if kind == "put":
                content = stored(folder, number)
                done = accepted(lambda: bucket.put(name, content, {}, conditions))  # noqa: B023 - called at once
                assert done is holds
                after = bucket.find(name)
                if done and after:
                    assert after.number > highest
                    highest = after.number
                else:
                    content.path.unlink()
            else:
                version = live if kind == "purge" and live else None
                done = accepted(lambda: bucket.delete(name, version, conditions))  # noqa: B023 - called at once
                assert done is (holds and before is not None)
            if not done:
                assert bucket.find(name) == before
        every = list(bucket.walk("", versions=True))
        assert {one.content.path for one in every} == set(folder.iterdir())
        assert [one.name for one in bucket.walk("", versions=False)] == sorted({n for n in ("a", "a/b", "b") if bucket.find(n)})
        assert versioned or all(one.deleted is None for one in every)
        assert bucket.empty is (every == [])
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("query", "missing", "reading", "writing"),
    [
        ({}, None, None, None),
        ({"ifGenerationMatch": "7"}, 412, None, None),
        ({"ifGenerationMatch": "8"}, 412, 412, 412),
        ({"ifGenerationMatch": "0"}, None, 412, 412),
        ({"ifGenerationNotMatch": "7"}, None, 304, 412),
        ({"ifGenerationNotMatch": "8"}, None, None, None),
        ({"ifGenerationNotMatch": "0"}, 412, None, None),
        ({"ifMetagenerationMatch": "1"}, 412, None, None),
        ({"ifMetagenerationMatch": "2"}, 412, 412, 412),
        ({"ifMetagenerationNotMatch": "1"}, None, 304, 412),
        ({"ifMetagenerationNotMatch": "2"}, None, None, None),
        ({"ifGenerationMatch": "7", "ifMetagenerationMatch": "2"}, 412, 412, 412),
    ],
)
def test_each_condition_means_what_google_says(
    tmp_path: Path, query: dict[str, str], missing: int | None, reading: int | None, writing: int | None
):
    """Each condition, on an object of generation 7 and metageneration 1 and on none: passed, 304 or 412."""
    bucket = Bucket("b", {})
    bucket._last = 10**17
    found = bucket.put("a", stored(tmp_path, 0), {}, Preconditions())
    query = {name: str(found.number) if value == "7" else value for name, value in query.items()}

    def status(generation, read: bool) -> int | None:
        try:
            Preconditions.of(query).check(generation, reading=read)
        except Refused as refused:
            return refused.status
        return None

    assert status(None, False) == missing
    assert status(found, True) == reading
    assert status(found, False) == writing


def test_a_condition_that_is_no_number_is_refused():
    """A generation that is not a whole number is a 400, not ignored."""
    with pytest.raises(Refused) as caught:
        Preconditions.of({"ifGenerationMatch": "latest"})
    assert caught.value.status == 400
