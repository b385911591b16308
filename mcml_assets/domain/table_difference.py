"""What two tables differ in, row by row and within tolerances. How they are read and compared is `comparison/`'s."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tolerance:
    """By how much a column's numbers may differ between locations, and why.

    Two numbers agree when they differ by at most `absolute + relative * max(|one|, |other|)`. Without a tolerance they
    have to be equal.
    """

    absolute: float
    relative: float
    reason: str


EXACT = Tolerance(0.0, 0.0, "")


@dataclass(frozen=True, slots=True)
class Example:
    """A row that differs: its number in the first table (its first row is 0; in the second, if only that has it), and its
    key by column, as text."""

    row: int
    key: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ColumnDifference:
    """One column: in how many rows the tables differ by more than is tolerated, with up to three of them.

    `largest` is the largest difference of two numbers in any row, tolerated or not; None where no two numbers differ.
    `tolerated` counts the rows that differ, but within the tolerance.
    """

    column: str
    rows: int
    tolerated: int
    largest: float | None
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class TableDifference:
    """Two tables, compared row by row.

    `missing`, `added`, `retyped`: columns that only the first has, only the second, or both with another type.
    `only_first`, `only_second`: rows whose key the other table does not have, or has less often. `compared` rows have
    their key in both. `columns` are those in which a row differs, tolerated or not.
    """

    missing: tuple[str, ...]
    added: tuple[str, ...]
    retyped: tuple[str, ...]
    compared: int
    only_first: int
    only_second: int
    unmatched: tuple[Example, ...]
    columns: tuple[ColumnDifference, ...]

    @property
    def agrees(self) -> bool:
        """Whether the tables hold the same rows, within the tolerances."""
        rows_differ = self.only_first or self.only_second or any(column.rows for column in self.columns)
        return not (self.missing or self.added or self.retyped or rows_differ)

    @property
    def differing_rows(self) -> int:
        """Rows that one table lacks, and rows that differ in the column that differs most often."""
        return self.only_first + self.only_second + max((column.rows for column in self.columns), default=0)
