"""The rules of a contract and what came of each: the words that both engines and the reports share. Standard library only.

How a rule is found in a pandera schema is `reading.py`'s, how it is asked `in_parquet.py`'s and `in_pandas.py`'s business.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

# In words, as reports say them.
PRESENT = "the column is there"
NOT_NULL = "not null"
UNIQUE = "unique"
NO_OTHER_COLUMNS = "no other columns"

SAMPLES = 3
LONGEST_TEXT = 120

# A rule within its table: the column (None: the whole table), and the rule's text or the number of its check.
RuleKey: TypeAlias = tuple[str | None, str | int]


@dataclass(frozen=True, slots=True)
class RuleResult:
    """One rule of the contract, and how many rows broke it (0: it holds; 1 where a rule is about the whole).

    `column` is None for rules about the whole table. `examples` are up to three different values, as text; `keys` up to
    three of the rows, each as `part-00000.parquet row 17`, with the values of the table's key where they may be shown.
    """

    table: str
    column: str | None
    rule: str
    failures: int
    examples: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RowRule:
    """A rule that each row keeps or breaks by itself: `broken` is the SQL condition of a row that breaks it.

    With `exact`, `broken` only suspects: SQL says surely of a value that it is right, and `exact` decides the others.
    """

    key: RuleKey
    text: str
    broken: str
    exact: Callable[[object], bool] | None = None


@dataclass(frozen=True, slots=True)
class DistinctRule:
    """No two rows have the same values in these columns; as in pandas, a missing value equals another one."""

    key: RuleKey
    text: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReferenceRule:
    """Every value of the column is one of another table's column; a missing one refers to nothing and is right."""

    key: RuleKey
    text: str
    column: str
    other_table: str
    other_column: str


@dataclass(frozen=True, slots=True)
class FreshRule:
    """The newest time of the column lies within this many days before the watermark of the snapshot."""

    key: RuleKey
    text: str
    column: str
    within_days: float


Rule: TypeAlias = RowRule | DistinctRule | ReferenceRule | FreshRule


def shortened(text: str) -> str:
    """A rule's text as long as a line of a report bears."""
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"
