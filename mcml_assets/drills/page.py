"""The page of measured drills, from their results: the newest of each scenario, with every miss and its reason.

No figure here was typed by anybody. What one drill showed is its own report's business.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from mcml_assets.domain.drill import Verdict

INTRODUCTION = """# Measured drills

Each line is the newest drill of a scenario on one machine, written by `mcml drill results --markdown`. Recovery is from the
fault (of several, the one that takes the acting location away) to the first answer under the new route, a lost request is one
that got no answer or an error of the platform since the first fault, and
*left behind* is the age of the data that the new acting location lacked. *At risk* is what would have been left behind, had
the acting location been lost for good when the fault ended. A dash: the work did not move, or no event tells.
"""
HEADINGS = ("scenario", "where", "noticed", "recovery", "left behind", "at risk", "requests lost", "wrong", "p99", "verdict")


def page(documents: Sequence[Mapping[str, Any]], scenarios: Iterable[str]) -> str:
    """The page as Markdown; `documents` are results as `mcml drill run --json` prints them, oldest first.

    Of all `scenarios`, those that no document is about are named as not measured.
    """
    newest = {one["scenario"]: one for one in documents if one["verdict"] != Verdict.REFUSED}
    chosen = [newest[name] for name in sorted(newest)]
    lines = [INTRODUCTION, f"| {' | '.join(HEADINGS)} |", "| --- | --- |" + " ---: |" * 7 + " --- |"]
    lines += [f"| {' | '.join(_row(one))} |" for one in chosen]
    if unmeasured := sorted(set(scenarios) - set(newest)):
        lines += ["", f"Not measured here: {', '.join(unmeasured)}."]
    if missed := [one for one in chosen if one["verdict"] != Verdict.MET]:
        lines += ["", "## What was missed", ""]
        for one in missed:
            lines += [f"- **{one['scenario']}** ({one['title']}):", *(f"  - {reason}" for reason in one["reasons"])]
    lines += ["", "## What each one expects", ""]
    lines += [f"- **{one['scenario']}**: {one['hypothesis']}" for one in chosen]
    return "\n".join(lines) + "\n"


def _row(one: Mapping[str, Any]) -> Iterator[str]:
    measured = one["measured"]
    day = datetime.fromtimestamp(one["began"], UTC)
    yield one["scenario"]
    yield f"{one['workload']} in {one['jurisdiction']}, {day:%Y-%m-%d %H:%M} UTC"
    if measured is None:
        yield from ["-"] * 7
    else:
        requests = measured["requests"]
        yield _seconds(measured["seconds_from_fault"].get("detected"))
        yield _seconds(measured["recovery_seconds"])
        yield _seconds(measured["loss_seconds"])
        yield _seconds(measured["at_risk_seconds"])
        yield f"{requests['failed']} of {requests['sent']}"
        yield str(requests["wrong"])
        yield f"{requests['p99']:.0f} ms"
    yield one["verdict"]


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s"
