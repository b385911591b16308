"""What a table's digest says, and what two of them say of each other. How a digest is computed is `comparison/`'s.

A digest depends on which rows there are, not on their order, the files they are in, or how those are encoded.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mcml_assets.domain.errors import CorruptSnapshot


@dataclass(frozen=True, slots=True)
class ColumnDigest:
    """One column: its type, how many of its cells are null, and the digest of its cells in hex, 128 bits."""

    type: str
    nulls: int
    digest: str


@dataclass(frozen=True, slots=True)
class TableDigest:
    """One table: how many rows, the digest of its rows in hex (128 bits), and each column's by name."""

    algorithm: str
    rows: int
    digest: str
    columns: Mapping[str, ColumnDigest]

    def to_json(self) -> dict[str, Any]:
        """The form that a manifest's annotations keep."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "TableDigest":
        """Read the stored form. Raises `CorruptSnapshot` when it lacks a field."""
        try:
            columns = {name: ColumnDigest(**column) for name, column in document["columns"].items()}
            return cls(document["algorithm"], document["rows"], document["digest"], columns)
        except (KeyError, TypeError, AttributeError) as error:
            raise CorruptSnapshot(f"the stored digest of a table does not have the expected fields: {error}") from error


@dataclass(frozen=True, slots=True)
class DigestDifference:
    """How two digests differ. `columns` are the names of columns of one type whose cells differ.

    `missing`, `added` and `retyped` are the schema's part: columns that only the first has, only the second, or both with
    another type. `rows` is the second's count less the first's. `repaired` tells that every column has the same cells
    and yet the rows differ: cells are in other rows.
    """

    missing: tuple[str, ...]
    added: tuple[str, ...]
    retyped: tuple[str, ...]
    columns: tuple[str, ...]
    rows: int
    repaired: bool

    @property
    def schema_differs(self) -> bool:
        return bool(self.missing or self.added or self.retyped)


def compare_digests(one: TableDigest, other: TableDigest) -> DigestDifference | None:
    """How the tables differ, None when they hold the same rows.

    Raises `CorruptSnapshot` when the digests were made by different algorithms: they say nothing of each other.
    """
    if one.algorithm != other.algorithm:
        raise CorruptSnapshot(f"digests by {one.algorithm} and {other.algorithm} cannot be compared: compute one of them anew")
    if one == other:
        return None
    both = [name for name in one.columns if name in other.columns]
    retyped = tuple(name for name in both if one.columns[name].type != other.columns[name].type)
    columns = tuple(name for name in both if name not in retyped and one.columns[name] != other.columns[name])
    missing = tuple(name for name in one.columns if name not in other.columns)
    added = tuple(name for name in other.columns if name not in one.columns)
    same_cells = not (retyped or columns or missing or added)
    return DigestDifference(missing, added, retyped, columns, other.rows - one.rows, repaired=same_cells)
