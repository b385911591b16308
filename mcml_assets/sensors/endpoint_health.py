"""`endpoint_health`: keeps somebody watching the endpoints. How a server or the edge is restarted is the data plane's."""

import dagster as dg

from mcml_assets.domain.errors import McmlError
from mcml_assets.resources.endpoints import Endpoints

INTERVAL_SECONDS = 15


@dg.sensor(
    name="endpoint_health",
    minimum_interval_seconds=INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts the data plane again when it ended; servers and the edge went on answering meanwhile.",
)
def endpoint_health(context: dg.SensorEvaluationContext, endpoints: Endpoints) -> dg.SkipReason:
    """Requests no run, ever: an endpoint that should run is brought back by the data plane, not by Dagster."""
    try:
        restarted = endpoints.keep_watched()
    except McmlError as error:
        # Said on every tick, in the tick's own page, until somebody mends it: a failed tick would say no more.
        context.log.error("%s", error)
        return dg.SkipReason(f"The data plane does not start: {error}")
    return dg.SkipReason("The data plane had ended and was started again." if restarted else "The data plane runs.")
