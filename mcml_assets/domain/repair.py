"""Whom a vote of snapshot ids accuses. Reading what locations hold, and asking one to copy anew, is decided above."""

from collections import Counter
from collections.abc import Mapping

MOST_REPAIRS = 2
"""Copies that are made anew for one failure, before a person is told."""


def odd_ones_out(holdings: Mapping[str, str | None]) -> frozenset[str] | None:
    """The locations that hold another snapshot than the majority; None when there is no majority to trust.

    `holdings` are snapshot ids by location, None where nothing is held or known: an abstention. Two that differ accuse
    each other, and neither is trusted.
    """
    voices = Counter(snapshot for snapshot in holdings.values() if snapshot is not None)
    if not voices:
        return None
    snapshot, count = voices.most_common(1)[0]
    if 2 * count <= voices.total():
        return None
    return frozenset(location for location, held in holdings.items() if held is not None and held != snapshot)
