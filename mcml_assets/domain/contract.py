"""A contract as a promise to whoever reads the data, and what a new version of it means for them. Pure.

A change is *breaking* when code written for the old version may meet what it does not expect in data of the new one: a
column gone, of a narrower or another type, newly missing, no longer unique, or a rule gone or loosened. What only promises
more (a rule added or tightened), adds a column that may be missing, or widens a type without loss is *compatible*.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

# Table -> column -> Arrow type, as manifests and declarations have it.
Form: TypeAlias = Mapping[str, Mapping[str, str]]

PLAIN = {"float": "float32", "double": "float64"}
# Every value of the key has exactly one counterpart in each of these types.
WIDER: Mapping[str, frozenset[str]] = {
    "int8": frozenset({"int16", "int32", "int64", "float32", "float64"}),
    "int16": frozenset({"int32", "int64", "float32", "float64"}),
    "int32": frozenset({"int64", "float64"}),
    "uint8": frozenset({"uint16", "uint32", "uint64", "int16", "int32", "int64", "float32", "float64"}),
    "uint16": frozenset({"uint32", "uint64", "int32", "int64", "float32", "float64"}),
    "uint32": frozenset({"uint64", "int64", "float64"}),
    "float32": frozenset({"float64"}),
}


class OnBreakingContract(StrEnum):
    """What becomes of rows that landed under an older first number: brought into the new form, or taken again."""

    KEEP = "keep"
    RETAKE = "retake"


@dataclass(frozen=True, slots=True)
class ContractRule:
    """One rule: which check, its text for people, and what it compares with, as JSON values."""

    check: str
    text: str
    given: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class ContractColumn:
    """A column: its Arrow type, whether it may be missing and must be unique, and the rules of its values."""

    type: str
    nullable: bool
    unique: bool = False
    rules: tuple[ContractRule, ...] = ()


@dataclass(frozen=True, slots=True)
class ContractTable:
    """A table: its columns by name, the columns in which rows differ, and the rules about whole rows."""

    columns: Mapping[str, ContractColumn]
    unique: tuple[str, ...] = ()
    rules: tuple[ContractRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Contract:
    """One version, written `2.1`, of what a workload's tables look like."""

    version: str
    tables: Mapping[str, ContractTable]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference of a newer version; `column` is None for what is about the whole table."""

    table: str
    column: str | None
    text: str
    breaking: bool

    def __str__(self) -> str:
        where = f"{self.table}.{self.column}" if self.column is not None else self.table
        return f"{where}: {self.text} ({'breaking' if self.breaking else 'compatible'})"


def version_key(version: str) -> tuple[int, int]:
    """Versions in their order: 1.10 comes after 1.9."""
    major, _, minor = version.partition(".")
    return int(major), int(minor)


def changes(old: Contract, new: Contract) -> tuple[Change, ...]:
    """What `new` changes, table by table; empty when both promise the same."""
    found: list[Change] = []
    for name in dict.fromkeys([*old.tables, *new.tables]):
        if name not in new.tables:
            found.append(Change(name, None, "table removed", breaking=True))
        elif name not in old.tables:
            found.append(Change(name, None, "table added", breaking=False))
        else:
            found += _table_changes(name, old.tables[name], new.tables[name])
    return tuple(found)


def version_problem(old: Contract, new: Contract) -> str | None:
    """Why `new` may not bear its version; None when it may. A new version is a later one; a breaking one a new major."""
    found = changes(old, new)
    breaking = [str(change) for change in found if change.breaking]
    major, minor = version_key(old.version)
    if breaking and version_key(new.version)[0] <= major:
        told = "; ".join(breaking[:3]) + ("; …" if len(breaking) > 3 else "")
        return f"{told}: a breaking change of version {old.version} needs version {major + 1}.0, not {new.version}"
    if found and version_key(new.version) <= (major, minor):
        told = "; ".join(map(str, found[:3]))
        return f"{told}: a change of version {old.version} needs version {major}.{minor + 1}, not {new.version}"
    return None


def breaks(older: str, newer: str) -> bool:
    """Whether a version may break readers of an older one: its first number says so."""
    return version_key(newer)[0] > version_key(older)[0]


def common_form(older: Form, newer: Form) -> dict[str, dict[str, str]]:
    """The form in which data of both versions is compared: tables and columns that both have, in the older's types.

    A column of which the newer type is not the older one, or a wider one, has no common form and is left out.
    """
    return {
        name: {column: type_ for column, type_ in columns.items() if column in newer[name] and fits(type_, newer[name][column])}
        for name, columns in older.items()
        if name in newer
    }


def fits(old: str, new: str) -> bool:
    """Whether every value of the old Arrow type is one of the new: the same type, or a wider one."""
    old, new = PLAIN.get(old, old), PLAIN.get(new, new)
    return old == new or new in WIDER.get(old, frozenset())


def _table_changes(name: str, old: ContractTable, new: ContractTable) -> Iterator[Change]:
    for column in dict.fromkeys([*old.columns, *new.columns]):
        if column not in new.columns:
            yield Change(name, column, "column removed", breaking=True)
        elif column not in old.columns:
            added = new.columns[column]
            what = "column added that may be missing" if added.nullable else "column added that what has landed does not have"
            yield Change(name, column, what, breaking=not added.nullable)
        else:
            yield from _column_changes(name, column, old.columns[column], new.columns[column])
    if set(old.unique) != set(new.unique):
        # Rows that differ in fewer columns differ in more of them, too.
        kept = bool(new.unique) and (not old.unique or set(new.unique) <= set(old.unique))
        text = f"rows differ in {', '.join(new.unique) or 'nothing'}, before in {', '.join(old.unique) or 'nothing'}"
        yield Change(name, None, text, breaking=not kept)
    yield from _rule_changes(name, None, old.rules, new.rules)


def _column_changes(table: str, column: str, old: ContractColumn, new: ContractColumn) -> Iterator[Change]:
    if PLAIN.get(old.type, old.type) != PLAIN.get(new.type, new.type):
        wider = fits(old.type, new.type)
        text = f"type {'widened' if wider else 'changed'} from {old.type} to {new.type}"
        yield Change(table, column, text, breaking=not wider)
    if old.nullable != new.nullable:
        text = "may be missing now" if new.nullable else "is never missing now"
        yield Change(table, column, text, breaking=new.nullable)
    if old.unique != new.unique:
        yield Change(table, column, "is unique now" if new.unique else "is no longer unique", breaking=old.unique)
    yield from _rule_changes(table, column, old.rules, new.rules)


def _rule_changes(
    table: str, column: str | None, old: tuple[ContractRule, ...], new: tuple[ContractRule, ...]
) -> Iterator[Change]:
    """Rules are told apart by their check; of several with one check, by all they say."""
    gone = [rule for rule in old if rule not in new]
    come = [rule for rule in new if rule not in old]
    for rule in gone:
        after = next((other for other in come if other.check == rule.check), None)
        if after is None:
            yield Change(table, column, f"rule removed: {rule.text}", breaking=True)
            continue
        come.remove(after)
        if after.given == rule.given:
            continue  # said in other words
        tighter = _tighter(rule.given, after.given)
        said = f"{rule.text} became {after.text}" if rule.text != after.text else rule.text
        text = f"rule {'tightened' if tighter else 'changed'}: {said}"
        yield Change(table, column, text, breaking=not tighter)
    for rule in come:
        yield Change(table, column, f"rule added: {rule.text}", breaking=False)


def _tighter(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether all that the new rule permits the old one permitted; False where that cannot be told."""
    for name in {*old, *new}:
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        try:
            match name:
                case "min_value":
                    kept = before is None or (after is not None and after >= before)
                case "max_value":
                    kept = before is None or (after is not None and after <= before)
                case "allowed_values":
                    kept = set(after or ()) <= set(before or ())
                case "forbidden_values":
                    kept = set(after or ()) >= set(before or ())
                case _:
                    kept = False
        except TypeError:
            kept = False
        if not kept:
            return False
    return True
