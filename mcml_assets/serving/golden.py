"""Asking one model server, not the edge, for the golden predictions of the package that it serves.

Comparing them is `package.py`'s business; what a server answers is `model_server.py`'s.
"""

from dataclasses import dataclass
from typing import Any

from mcml_assets.domain.errors import LocationUnavailable

SECONDS = 10.0
GOLDEN = "golden"
PATH = f"/v2/models/{{workload}}/{GOLDEN}"
SYNTHETIC = "synthetic"
SYNTHETIC_PATH = f"/v2/models/{{workload}}/{SYNTHETIC}"


@dataclass(frozen=True, slots=True)
class GoldenAnswer:
    """The scores that a server gave just now for its package's golden inputs, and which package that is."""

    digest: str
    model_version: int
    predictions: tuple[float, ...]


def ask_golden(location: str, address: str, workload: str) -> GoldenAnswer:
    """Have the server at `address` (a URL without a path) compute its golden predictions.

    Raises `LocationUnavailable` when it does not answer within `SECONDS`, refuses, or answers anything else.
    """
    import httpx  # noqa: PLC0415 - only checks ask

    try:
        response = httpx.get(address + PATH.format(workload=workload), timeout=SECONDS, trust_env=False)
    except httpx.HTTPError as error:
        raise LocationUnavailable(location, f"its server does not answer ({type(error).__name__})") from error
    if response.status_code != httpx.codes.OK:
        raise LocationUnavailable(location, f"its server answers with HTTP status {response.status_code}")
    try:
        answer: dict[str, Any] = response.json()
        return GoldenAnswer(answer["digest"], answer["model_version"], tuple(map(float, answer["predictions"])))
    except (ValueError, KeyError, TypeError) as error:
        raise LocationUnavailable(location, f"its server answers no golden predictions ({type(error).__name__})") from error
