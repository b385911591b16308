"""The last synthetic transaction with each endpoint, kept beside the endpoint's other files, for who decides without Dagster.

Asking is `synthetic.py`'s business, counting `domain/synthetic.py`'s.
"""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from mcml_assets.domain.readiness import SyntheticFacts
from mcml_assets.serving.folder import DataPlaneFolder, write_atomically


@dataclass(frozen=True, slots=True)
class LastSynthetic:
    """An outcome: whether it passed, how many in a row ended so, when (ISO 8601, UTC), and why it failed."""

    passed: bool
    in_a_row: int
    at: str
    problem: str | None = None


def record_synthetic(folder: DataPlaneFolder, endpoint: str, passed: bool, in_a_row: int, problem: str | None) -> None:
    """Keep an outcome of now for an endpoint, by its name."""
    found = LastSynthetic(passed, in_a_row, datetime.now(UTC).isoformat(timespec="seconds"), problem)
    write_atomically(folder.endpoint("synthetic", endpoint), json.dumps(asdict(found)) + "\n")


def last_synthetic(folder: DataPlaneFolder, endpoint: str) -> SyntheticFacts | None:
    """The last outcome; None when there is none, or it cannot be read: then nobody can tell."""
    try:
        found = LastSynthetic(**json.loads(folder.endpoint("synthetic", endpoint).read_text(encoding="utf-8")))
        age = (datetime.now(UTC) - datetime.fromisoformat(found.at)).total_seconds()
    except (OSError, ValueError, TypeError):
        return None
    return SyntheticFacts(found.passed, found.in_a_row, max(0.0, age), found.problem)
