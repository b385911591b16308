"""Which copy of a file is the corrupt one, by what every location holds. Reading the copies is `snapshots/scrub.py`'s."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the copies of one file say of each other.

    `corrupt` and `sound` are location keys. `confirmed` tells that the sound copies are what the manifest promises; where
    it is False, no readable copy is what was promised, and no location is called sound.
    """

    corrupt: tuple[str, ...]
    sound: tuple[str, ...]
    confirmed: bool


def vote(promised: str, found: Mapping[str, str | None]) -> Verdict:
    """Judge the copies of a file by the digest of what each location holds; None abstains (it holds none, or is down).

    The promise has a voice of its own, because the digest was taken when the file was made: one copy that keeps it
    outweighs any number that were damaged alike. Without one, every copy is corrupt.
    """
    voices = Counter(digest for digest in found.values() if digest is not None)
    confirmed = voices[promised] > 0
    return Verdict(
        corrupt=tuple(sorted(key for key, digest in found.items() if digest is not None and digest != promised)),
        sound=tuple(sorted(key for key, digest in found.items() if digest == promised)),
        confirmed=confirmed,
    )
