"""The columns that drift is measured on, the same for ours and every peer. Needs numpy alone."""

import numpy as np


def columns_of(rows: int, columns: int, seed: int) -> np.ndarray:
    """Float64 of shape (columns, rows): normal, skewed, two-humped, uniform and whole numbers in turn.

    With an odd seed every column is moved by a fiftieth of its spread, so that there is something to measure.
    """
    random = np.random.default_rng(seed)
    made = np.empty((columns, rows))
    for index in range(columns):
        match index % 5:
            case 0:
                made[index] = random.normal(size=rows)
            case 1:
                made[index] = random.lognormal(3, 1, rows)
            case 2:
                made[index] = random.normal(size=rows) + 6 * (random.random(rows) < 0.3)
            case 3:
                made[index] = random.random(rows)
            case _:
                made[index] = random.poisson(4, rows)
        made[index] += (seed % 2) * 0.02 * made[index].std()
    return made
