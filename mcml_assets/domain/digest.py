"""The algorithms that stored files are digested with, by the names that manifests give them.

Which one new snapshots use is said in the topology; what a digest is of, and what is done with it, is decided elsewhere. A
digest is never looked at without its algorithm, because both of these give 32 bytes.
"""

from hashlib import sha256
from typing import Literal, Protocol, cast, get_args

from blake3 import blake3

DigestAlgorithm = Literal["blake3", "sha256"]
DIGEST_ALGORITHMS: tuple[DigestAlgorithm, ...] = get_args(DigestAlgorithm)
DEFAULT_DIGEST: DigestAlgorithm = "blake3"
"""Several times as fast as SHA-256 and as hard to forge. SHA-256 is for who may use nothing but what FIPS 140 approves."""


class Digest(Protocol):
    """A digest that is being computed."""

    def update(self, data: bytes, /) -> object: ...

    def hexdigest(self) -> str: ...


def new_digest(algorithm: DigestAlgorithm) -> Digest:
    """A digest of nothing yet. Both release Python's lock while they compute."""
    return cast("Digest", blake3() if algorithm == "blake3" else sha256())


def digest_algorithm(name: object) -> DigestAlgorithm:
    """The algorithm of this name. Raises `ValueError` that names those there are."""
    if name not in DIGEST_ALGORITHMS:
        raise ValueError(f"digest algorithm {name!r} is unknown; this version knows {' and '.join(DIGEST_ALGORITHMS)}")
    return name
