"""How synthetic transactions went, kept beside the data plane's other files, for who decides or counts without Dagster.

With each endpoint under its name, `workload@cloud/region`, through the edge under the route's, `workload.jurisdiction`.
Asking is `synthetic.py`'s business, summing up `domain/synthetic.py`'s.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from mcml_assets.domain.readiness import SyntheticFacts
from mcml_assets.serving.folder import DataPlaneFolder, write_atomically


@dataclass(frozen=True, slots=True)
class LastSynthetic:
    """An outcome: whether it passed, how many in a row ended so, when (ISO 8601, UTC), and why it failed.

    `route` is the route's name, `location` who was asked, empty through the edge. `asked` and `failed` only grow.
    """

    passed: bool
    in_a_row: int
    at: str
    problem: str | None = None
    route: str = ""
    location: str = ""
    asked: int = 0
    failed: int = 0


def record_synthetic(
    folder: DataPlaneFolder, name: str, passed: bool, in_a_row: int, problem: str | None, jurisdiction: str
) -> None:
    """Keep an outcome of now for an endpoint or a route, by its name. One process records at a time."""
    file, before = _file(folder, name), _last(_file(folder, name))
    workload, _, location = name.partition("@")
    found = LastSynthetic(
        passed=passed,
        in_a_row=in_a_row,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        problem=problem,
        route=f"{workload}.{jurisdiction}" if location else name,
        location=location,
        asked=(before.asked if before is not None else 0) + 1,
        failed=(before.failed if before is not None else 0) + (not passed),
    )
    write_atomically(file, json.dumps(asdict(found)) + "\n")


def last_synthetic(folder: DataPlaneFolder, endpoint: str) -> SyntheticFacts | None:
    """The last outcome; None when there is none, or it cannot be read: then nobody can tell."""
    found = _last(_file(folder, endpoint))
    if found is None:
        return None
    try:
        age = (datetime.now(UTC) - datetime.fromisoformat(found.at)).total_seconds()
    except (ValueError, TypeError):
        return None
    return SyntheticFacts(found.passed, found.in_a_row, max(0.0, age), found.problem)


def counted_synthetic(folder: DataPlaneFolder) -> Iterator[LastSynthetic]:
    """What is kept of every endpoint and route, with its counts."""
    kept = folder.path / "synthetic"
    for file in (*sorted(kept.glob("*.json")), *sorted(kept.glob("*/*.json"))):
        if (found := _last(file)) is not None and found.asked:
            yield found


def _file(folder: DataPlaneFolder, name: str) -> Path:
    return folder.endpoint("synthetic", name) if "@" in name else folder.path / "synthetic" / f"{name}.json"


def _last(file: Path) -> LastSynthetic | None:
    try:
        return LastSynthetic(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
