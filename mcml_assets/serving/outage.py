"""Whether a location is to be taken for dark by its endpoints: the fault plan as the data plane sees it.

A cloud's outage takes its servers with its buckets. Setting an outage is `clouds/fault_plan.py`'s business, refusing
requests while it lasts the guard's.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from mcml_assets.clouds.fault_plan import FaultPlan
from mcml_assets.domain.errors import ConfigurationError

log = logging.getLogger(__name__)


def planned_outage(plan: Path | None, location: str) -> Callable[[], bool]:
    """A question to ask at every request: is this location dark now? Never without a plan; costs one `stat`.

    A plan that cannot be read darkens nothing, which the log says: answers do not depend on a damaged file.
    """
    if plan is None:
        return lambda: False
    faults = FaultPlan(plan)
    damaged = False

    def dark() -> bool:
        nonlocal damaged
        try:
            outage = faults.outage(location, next(faults.numbers), datetime.now(UTC))
        except ConfigurationError as error:
            if not damaged:
                log.warning("%s", error)
            damaged = True
            return False
        damaged = False
        return outage is not None

    return dark
