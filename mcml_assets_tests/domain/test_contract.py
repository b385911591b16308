"""What a new version of a contract means for whoever reads the data: what breaks them, and in which form both are compared."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcml_assets.domain.contract import (
    WIDER,
    Contract,
    ContractColumn,
    ContractRule,
    ContractTable,
    changes,
    common_form,
    version_key,
    version_problem,
)

POSITIVE = ContractRule("greater_than", "greater_than(0)", {"min_value": 0})
KINDS = ContractRule("isin", "isin(['a', 'b'])", {"allowed_values": ["a", "b"]})
PLAIN = ContractColumn("int64", nullable=False, rules=(POSITIVE,))
OLD = Contract("1.0", {"loans": ContractTable({"id": replace(PLAIN, unique=True), "kind": ContractColumn("string", False)})})


def changed(version: str = "1.1", unique: tuple[str, ...] = (), **columns: ContractColumn | None) -> Contract:
    """The old contract with these columns changed, added or (None) removed."""
    merged = {**OLD.tables["loans"].columns, **columns}
    kept = {name: column for name, column in merged.items() if column is not None}
    return Contract(version, {"loans": ContractTable(kept, unique)})


COMPATIBLE = {
    "nullable column added": changed(note=ContractColumn("string", nullable=True)),
    "rule added": changed(kind=ContractColumn("string", False, rules=(KINDS,))),
    "rule tightened": changed(id=replace(PLAIN, unique=True, rules=(replace(POSITIVE, given={"min_value": 5}),))),
    "rows told apart": changed(unique=("id", "kind")),
}
BREAKING = {
    "column removed": changed(kind=None),
    "column added that is never missing": changed(note=ContractColumn("string", nullable=False)),
    "type narrowed": changed(id=replace(PLAIN, unique=True, type="int32")),
    "type changed": changed(id=replace(PLAIN, unique=True, type="string")),
    "whole numbers to fractions with loss": changed(id=replace(PLAIN, unique=True, type="double")),
    "may be missing": changed(kind=ContractColumn("string", nullable=True)),
    "no longer unique": changed(id=PLAIN),
    "rule removed": changed(id=replace(PLAIN, unique=True, rules=())),
    "rule loosened": changed(id=replace(PLAIN, unique=True, rules=(replace(POSITIVE, given={"min_value": -1}),))),
    "code of a callable changed": changed(
        id=replace(PLAIN, unique=True, rules=(replace(POSITIVE, given={"min_value": 0, "code": "abc"}),))
    ),
}


@pytest.mark.parametrize("what", BREAKING)
def test_a_change_that_readers_do_not_expect_needs_a_new_first_number(what: str) -> None:
    """It is called breaking, refused under 1.1 with the version it needs, and accepted under 2.0."""
    new = BREAKING[what]
    assert any(change.breaking for change in changes(OLD, new))
    assert "needs version 2.0, not 1.1" in (version_problem(OLD, new) or "")
    assert version_problem(OLD, replace(new, version="2.0")) is None


@pytest.mark.parametrize("what", COMPATIBLE)
def test_a_change_that_only_promises_more_needs_a_new_second_number(what: str) -> None:
    """It is called compatible, refused under the version that exists, and accepted under the next."""
    new = COMPATIBLE[what]
    assert [change.breaking for change in changes(OLD, new)] == [False]
    assert "needs version 1.1, not 1.0" in (version_problem(OLD, replace(new, version="1.0")) or "")
    assert version_problem(OLD, new) is None


def test_a_rule_in_other_words_is_no_change() -> None:
    """The text is for people: what a rule permits is what counts."""
    reworded = changed(id=replace(PLAIN, unique=True, rules=(replace(POSITIVE, text="more than nothing"),)))
    assert changes(OLD, reworded) == ()


def test_a_table_removed_breaks_and_one_added_does_not() -> None:
    """Whoever reads the old tables does not meet a new one."""
    added = Contract("1.1", {**OLD.tables, "zips": ContractTable({"zip": PLAIN})})
    assert [change.breaking for change in changes(OLD, added)] == [False]
    assert [change.breaking for change in changes(added, OLD)] == [True]


def test_the_tenth_minor_version_is_later_than_the_ninth() -> None:
    """Versions are pairs of numbers, not text."""
    assert sorted(["1.10", "2.0", "1.9"], key=version_key) == ["1.9", "1.10", "2.0"]


def test_two_versions_are_compared_in_what_both_have_in_the_older_types() -> None:
    """An added column is left out, a widened one keeps its older type, a changed or removed one has no common form."""
    older = {"a": "int32", "b": "string", "c": "float", "d": "bool"}
    newer = {"a": "int64", "b": "int64", "c": "double", "e": "string"}
    assert common_form({"t": older, "gone": older}, {"t": newer, "new": newer}) == {"t": {"a": "int32", "c": "float"}}


columns = st.builds(
    ContractColumn,
    type=st.sampled_from([*WIDER, "int64", "float64", "string"]),
    nullable=st.booleans(),
    unique=st.booleans(),
    rules=st.sampled_from([(), (POSITIVE,), (KINDS,), (POSITIVE, KINDS)]),
)
contracts = st.dictionaries(st.sampled_from("abc"), columns, min_size=1).map(
    lambda drawn: Contract("1.0", {"t": ContractTable(drawn)})
)


@given(contracts, contracts)
def test_what_changes_nothing_is_the_same_and_what_is_compatible_can_be_read(old: Contract, new: Contract) -> None:
    """No change exactly when both are equal; after a compatible one every old column has its form in the new data."""
    found = changes(old, new)
    assert (found == ()) == (old == new)
    if not any(change.breaking for change in found):
        before, after = ({"t": {name: column.type for name, column in one.tables["t"].columns.items()}} for one in (old, new))
        assert common_form(before, after) == before
