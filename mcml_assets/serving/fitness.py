"""Whether a server gives its golden predictions now: one that did when it started, or one whose model is elsewhere.

What follows is the guard's business.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from mcml_assets.domain.errors import McmlError
from mcml_assets.serving.package import ModelPackage, check_golden

if TYPE_CHECKING:
    from mcml_assets.serving.package import Predict

SECONDS = 5.0
"""How long a proof counts; one takes milliseconds."""
ELSEWHERE_SECONDS = 1.0
"""How often a model elsewhere is asked; about as often as Envoy asks a server."""
STALE_SECONDS = 10.0
"""An answer that is older says nothing about now."""

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


class FitnessElsewhere:
    """The same of a model elsewhere, which is asked beside the requests: a probe must not wait for another platform.

    Not fit before the first proof. `predict` raises `McmlError` when it gets no scores.
    """

    def __init__(self, package: ModelPackage, predict: "Predict") -> None:
        self._package, self._predict = package, predict
        self._fit, self._proved_at = False, float("-inf")
        self._said = ""
        threading.Thread(target=self._watch, name="golden", daemon=True).start()

    def __call__(self) -> bool:
        """What was found out last, unless that is long ago."""
        return self._fit and time.monotonic() - self._proved_at < STALE_SECONDS

    def _watch(self) -> None:
        while True:
            self._say(self._wrong())
            time.sleep(ELSEWHERE_SECONDS)

    def _wrong(self) -> str:
        """What is wrong now; empty for nothing."""
        try:
            golden = check_golden(self._package, self._predict)
        except McmlError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - whatever it is: the next proof must come
            return type(error).__name__
        return "" if golden.passed else f"golden predictions differ by {golden.max_difference:g}"

    def _say(self, wrong: str) -> None:
        self._fit, self._proved_at = not wrong, time.monotonic()
        if wrong and wrong != self._said:
            log.error("not ready: %s", wrong)
        elif self._said and not wrong:
            log.info("ready: its golden predictions are given elsewhere")
        self._said = wrong
