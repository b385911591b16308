"""What was planned to go wrong with a location's servers: the fault plan as the data plane sees it.

A cloud's outage takes its servers with its buckets; a server can also answer wrongly, or be left by its feature store.
Setting a fault is `clouds/fault_plan.py`'s business, obeying it the guard's and the model's.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from mcml_assets.clouds.fault_plan import FaultPlan
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.faults import PREDICT, FaultKind

log = logging.getLogger(__name__)


def planned_outage(plan: Path | None, location: str) -> Callable[[], bool]:
    """A question to ask at every request: is this location dark now? As `planned`."""
    return planned(plan, location, FaultKind.OUTAGE, PREDICT)


def planned(plan: Path | None, location: str, kind: FaultKind, operation: str) -> Callable[[], bool]:
    """A question to ask at every operation: does a fault of this kind strike it? Never without a plan; costs one `stat`.

    A plan that cannot be read strikes nothing, which the log says: answers do not depend on a damaged file.
    """
    if plan is None:
        return lambda: False
    faults = FaultPlan(plan)
    damaged = False

    def struck() -> bool:
        nonlocal damaged
        try:
            fault = faults.struck(kind, operation, location, datetime.now(UTC))
        except ConfigurationError as error:
            if not damaged:
                log.warning("%s", error)
            damaged = True
            return False
        damaged = False
        return fault is not None

    return struck
