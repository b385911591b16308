"""The ten rules of the contract benchmark in pandera's words, once for both engines, and the rows they are asked about.

Imports nothing but the standard library: ours and the peers bring their own pandera.
"""

from types import ModuleType
from typing import Any

ROWS = 10_000_000
KINDS = [f"kind {number}" for number in range(40)]
SHOPS = 5_000


def columns(pa: ModuleType, types: dict[str, Any], since: Any) -> dict[str, Any]:
    """Ten rules over nine columns; `types` are the engine's own, `since` the earliest time as the engine says it."""
    return {
        "id": pa.Column(types["whole"], pa.Check.gt(0), unique=True),
        "shop": pa.Column(types["whole"], pa.Check.in_range(1, SHOPS)),
        "age": pa.Column(types["whole"], pa.Check.in_range(18, 150)),
        "quantity": pa.Column(types["whole"], pa.Check.gt(0)),
        "price": pa.Column(types["number"], pa.Check.ge(0)),
        "rate": pa.Column(types["number"], pa.Check.in_range(1, 30), nullable=True),
        "kind": pa.Column(types["text"], pa.Check.isin(KINDS)),
        "code": pa.Column(types["text"], pa.Check.str_matches(r"^C\d{5}$")),
        "at": pa.Column(types["time"], pa.Check.ge(since)),
    }
