"""What a quorum promises: the odd one out is named, two cannot convict each other, and silence is no evidence."""

from hypothesis import given
from hypothesis import strategies as st

from mcml_assets.domain.parity import Holding, Quorum, Standing, convene

LOCATIONS = [f"cloud/{letter}" for letter in "abcdefg"]


def exactly(one: str, other: str) -> bool:
    return one == other


def held(*contents: str, generation: int = 1) -> list[Holding]:
    return [Holding(location, generation, content) for location, content in zip(LOCATIONS, contents, strict=False)]


def judge(*contents: str) -> Quorum:
    return convene(held(*contents), 1, exactly)


@given(st.integers(3, 7), st.data())
def test_the_odd_one_out_is_named_and_nobody_else(count: int, data: st.DataObject) -> None:
    """Of three or more, one that differs is accused, wherever it stands; the others agree."""
    odd = data.draw(st.integers(0, count - 1))
    quorum = judge(*("wrong" if index == odd else "right" for index in range(count)))
    assert quorum.accused == (LOCATIONS[odd],)
    assert len(quorum.agreed) == count - 1
    assert f"{LOCATIONS[odd]} is the odd one out" in quorum.sentence()


@given(st.integers(1, 7))
def test_clean_copies_accuse_nobody(count: int) -> None:
    """Any number of equal copies: nobody is accused or undecided."""
    quorum = judge(*["same"] * count)
    assert (quorum.accused, quorum.undecided) == ((), ())


@given(st.lists(st.sampled_from("xyz"), min_size=2, max_size=7))
def test_only_a_real_majority_accuses(contents: list[str]) -> None:
    """Whoever is accused faces more than half of all voices that agree among themselves; else nobody is trusted."""
    quorum = judge(*contents)
    most = max(contents.count(content) for content in contents)
    if 2 * most > len(contents):
        assert len(quorum.agreed) == most
        assert len(quorum.accused) == len(contents) - most
    else:
        assert len(quorum.undecided) == len(contents)


def test_two_that_disagree_are_both_not_trusted() -> None:
    """Two cannot tell which of them is wrong, and the sentence says so."""
    quorum = judge("x", "y")
    assert quorum.standings == dict.fromkeys(LOCATIONS[:2], Standing.UNDECIDED)
    assert "neither is trusted" in quorum.sentence()


def test_copies_repeat_their_maker_and_count_once() -> None:
    """A wrong location whose snapshot was copied to a cold standby is no majority against the only other computation."""
    copied = [Holding("p", 1, "wrong", "p"), Holding("w", 1, "right", "w"), Holding("c", 1, "wrong", "p")]
    quorum = convene(copied, 1, exactly)
    assert (quorum.accused, len(quorum.undecided), quorum.voices) == ((), 3, 2)
    third = convene([*copied, Holding("v", 1, "right", "v")], 1, exactly)
    assert third.accused == ("p", "c")


def test_who_cannot_be_asked_abstains_and_is_named() -> None:
    """An unreachable location neither convicts nor is convicted, and is said to be silent."""
    quorum = convene(held("x", "y"), 1, exactly, {"cloud/z": "is unavailable"})
    assert len(quorum.undecided) == 2
    assert "cloud/z abstains (is unavailable)" in quorum.sentence()


def test_another_generation_is_no_witness() -> None:
    """Who lags behind, or is ahead, has other content by right, and is not accused for it."""
    others = [Holding(location, 2, "newer") for location in LOCATIONS[3:6]]
    quorum = convene([*held("x", "x", "y"), *others], 1, exactly)
    assert quorum.accused == ("cloud/c",)
    assert quorum.other_generation == dict.fromkeys(LOCATIONS[3:6], 2)
    assert convene([*held("x"), *others], 1, exactly).standings == {"cloud/a": Standing.ALONE}


def test_tolerance_is_not_transitive_and_accuses_no_bridge() -> None:
    """Where a agrees with b and b with c, but a not with c, all three belong to a majority."""

    def near(one: str, other: str) -> bool:
        return abs(int(one) - int(other)) <= 1

    assert convene(held("1", "2", "3"), 1, near).agreed == tuple(LOCATIONS[:3])
    assert convene(held("1", "2", "9"), 1, near).accused == ("cloud/c",)
