"""How often sensors tick, given how Dagster's daemon looks at them; what each does in a tick is its own module's business."""

LOOP_SECONDS = 5
"""The daemon looks at all sensors that often and no more: `MIN_INTERVAL_LOOP_TIME` of `dagster/_daemon/sensor.py`."""


def every(seconds: int) -> int:
    """The minimum interval with which a sensor ticks that often, in seconds.

    The daemon passes over a sensor whose last tick began less than its interval ago, and a tick begins a moment after the look
    that started it. A sensor of 5 s would so tick every 5 or 10 s: of 238 ticks measured on a busy machine 120 were 10 s apart.
    """
    return seconds - 1
