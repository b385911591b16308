"""What can be asked of a bucket besides its objects: how it is protected, where its service answers, what stays behind.

How a provider is asked is in its own folder, `inspection.py`; what follows from the answers is `doctor/`'s.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

FactState = Literal["on", "off", "unknown", "not_applicable"]


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing about a bucket: whether a protection is on, in words, and the command that mends it when it is not."""

    state: FactState
    detail: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Protection:
    """How a bucket is protected: where it should be, encrypted at rest, keeping replaced versions, closed to the public."""

    region: Fact
    encryption: Fact
    versioning: Fact
    public_access: Fact


class BucketInspector(Protocol):
    """Asks one bucket's provider. Raises no error of an SDK: what cannot be asked is unknown."""

    @property
    def address(self) -> str | None:
        """The URL of the service, whose answers carry its time; None where there is no service."""
        ...

    def protection(self, key: str) -> Protection:
        """How the bucket is protected; `key` is an object in it, which some providers must be asked about."""
        ...

    def purge(self, key: str) -> int:
        """Remove every old version of a deleted object, and return how many could not be removed."""
        ...
