"""Whether a server gives its golden predictions now, as it did when it started. What follows is the guard's business."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from mcml_assets.serving.package import ModelPackage, check_golden

if TYPE_CHECKING:
    from mcml_assets.serving.package import Predict

SECONDS = 5.0
"""How long a proof counts; one takes milliseconds."""

log = logging.getLogger("mcml_assets.serving.server")


class Fitness:
    """Asked at every probe, and found out every few seconds at most; `clock` gives seconds.

    A model that went wrong in memory, or a library that was replaced under it, answers in time and with success.
    """

    def __init__(self, package: ModelPackage, predict: "Predict", clock: Callable[[], float]) -> None:
        self._package = package
        self._predict = predict
        self._clock = clock
        self._asked_at = clock()
        self._fit = True  # or it would not have started

    def __call__(self) -> bool:
        """The last answer, or a new one when it is old."""
        now = self._clock()
        if now - self._asked_at >= SECONDS:
            self._asked_at = now
            golden = check_golden(self._package, self._predict)
            if self._fit and not golden.passed:
                log.error("not ready: golden predictions differ by %g", golden.max_difference)
            self._fit = golden.passed
        return self._fit
