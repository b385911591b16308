"""Dividing held-out rows by what the model was told of them: each value of a text, quarters of a number.

Which features divide, the workload declares; judging the parts is `judgement.py`'s business. Imports pandas: import this
module inside functions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

MAX_VALUES = 12
QUARTERS = (0.25, 0.5, 0.75)


@dataclass(frozen=True, slots=True)
class Segment:
    """Some of the test rows: by which feature, what they have in common (for people), and which (boolean, shape (rows,))."""

    feature: str
    label: str
    rows: np.ndarray

    @property
    def name(self) -> str:
        return f"{self.feature} {self.label}"


def divide(test: pd.DataFrame, train: pd.DataFrame, features: Sequence[str], unshown: Sequence[str]) -> list[Segment]:
    """Every segment of these features that has a row; together those of one feature hold each test row once.

    A text is divided by value, rare ones beyond `MAX_VALUES` together; a number at the quartiles of the training rows, so
    that a segment is the same people tomorrow. Of `unshown` features no label quotes a value.
    """
    found: list[Segment] = []
    for feature in features:
        shown = feature not in unshown
        given, learnt = test.loc[:, feature], train.loc[:, feature]
        parts = _by_value if given.dtype.kind == "O" else _by_quarter
        found += [Segment(feature, *part) for part in parts(given, learnt, shown) if part[1].any()]
    return found


def _by_value(test: pd.Series, train: pd.Series, shown: bool) -> Iterator[tuple[str, np.ndarray]]:
    values = train.value_counts().index.tolist()[:MAX_VALUES]
    for number, value in enumerate(values, start=1):
        yield f"= {value}" if shown else f"value {number} of {len(values)}", (test == value).to_numpy()
    yield "is another value", (test.notna() & ~test.isin(values)).to_numpy()
    yield "is missing", test.isna().to_numpy()


def _by_quarter(test: pd.Series, train: pd.Series, shown: bool) -> Iterator[tuple[str, np.ndarray]]:
    edges = np.unique(np.quantile(train.dropna(), QUARTERS)) if train.notna().any() else np.array([])
    index = np.searchsorted(edges, test.to_numpy(), side="left")
    limits = [-np.inf, *edges, np.inf]
    for number, (low, high) in enumerate(pairwise(limits)):
        label = f"above {low:g}" if high == np.inf else f"to {high:g}" if low == -np.inf else f"{low:g} to {high:g}"
        yield label if shown else f"part {number + 1} of {len(edges) + 1}", (index == number) & test.notna().to_numpy()
    yield "is missing", test.isna().to_numpy()
