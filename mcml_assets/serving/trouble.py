"""What is wrong with one revision of an endpoint. What follows from it is `endpoint.py`'s business."""

from dataclasses import dataclass

from mcml_assets.serving.interfaces import EndpointState
from mcml_assets.serving.local_platform import REFUSALS


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with one revision: how often, when it may be tried again, and whether trying is of any use."""

    state: EndpointState
    message: str
    failures: int
    not_before: float
    error: str | None = None

    @property
    def permanent(self) -> bool:
        """Whether only another package or manifest can help."""
        return self.error in REFUSALS
