"""Synthetic transactions: a question with golden inputs, sent the way of any other, and judged by who has the package.

Their path is their mark. What comes by it reads the online store, for nobody, and has the model predict its golden inputs,
which are nobody's; it never comes near the prediction log. So no consumer of the log has to leave them out, and no caller
can hide predictions by marking them as a test.
"""

import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import McmlError
from mcml_assets.domain.synthetic import Outcome
from mcml_assets.domain.workload import Workload
from mcml_assets.serving.client import edge_client, problem_detail, workload_url
from mcml_assets.serving.golden import SYNTHETIC, SYNTHETIC_PATH

if TYPE_CHECKING:
    import httpx

    from mcml_assets.serving.package import Golden

SECONDS = 5.0

GoldenOf = Callable[[str, str], "Golden"]
"""The golden predictions of a location's package with this digest. Raises `McmlError` when it cannot be had."""


def ask_endpoint(address: str, workload: str, golden_of: GoldenOf, seconds: float = SECONDS) -> Outcome:
    """Ask one model server (`address`: a URL without a path) of the workload of this name, past the edge."""
    import httpx  # noqa: PLC0415 - only who asks

    with httpx.Client(timeout=seconds, trust_env=False) as client:
        return _ask(client, address + SYNTHETIC_PATH.format(workload=workload), golden_of)


def ask_edge(settings: Settings, workload: Workload, jurisdiction: str, golden_of: GoldenOf) -> Outcome:
    """Ask the edge, which chooses the location, with the platform's own token or certificate."""
    try:
        with edge_client(settings, SECONDS) as client:
            return _ask(client, f"{workload_url(settings, workload, jurisdiction)}/{SYNTHETIC}", golden_of)
    except McmlError as error:
        return Outcome(passed=False, problem=str(error))


def _ask(client: "httpx.Client", url: str, golden_of: GoldenOf) -> Outcome:
    import httpx  # noqa: PLC0415 - only who asks

    began = time.perf_counter()
    try:
        response = client.get(url)
    except httpx.HTTPError as error:
        return Outcome(passed=False, problem=f"no answer ({type(error).__name__})")
    milliseconds = (time.perf_counter() - began) * 1000
    if response.status_code != httpx.codes.OK:
        detail = problem_detail(response.content) or "no problem is told"
        return Outcome(False, f"HTTP status {response.status_code}: {detail}", milliseconds)
    try:
        answer: dict[str, Any] = response.json()
        location, digest, version = answer["location"], answer["digest"], answer["model_version"]
        problem = _difference(golden_of(location, digest), answer["predictions"])
    except McmlError as error:
        return Outcome(False, f"the answer cannot be judged: {type(error).__name__}: {error}", milliseconds)
    except (ValueError, KeyError, TypeError) as error:
        return Outcome(False, f"the answer is none ({type(error).__name__})", milliseconds)
    return Outcome(problem is None, problem, milliseconds, location, version)


def _difference(golden: "Golden", given: Sequence[float]) -> str | None:
    """What is wrong with the predictions, None for nothing."""
    if len(given) != len(golden.predictions) or not all(map(math.isfinite, given)):
        return "other predictions than the golden ones: another number of them, or one that is no number"
    largest = max((abs(one - right) for one, right in zip(given, golden.predictions, strict=True)), default=0.0)
    if largest > golden.tolerance:
        return f"predictions differ from the golden ones by {largest:.3g}; {golden.tolerance:g} is tolerated"
    return None
