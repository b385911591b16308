"""What each kind of store can do, declared once per kind; code asks here instead of guessing by a cloud's name.

How it does it is in the cloud's folder. The conformance suite proves every line: a capability that is declared is
tested, one that is not is never used. What an emulator lacks of its provider's capabilities is in the suite's limitations.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from mcml_assets.domain.topology import StoreKind

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


class Capability(Enum):
    """One thing that some stores can do; the value says it to people."""

    CONDITIONAL_CREATE = "writes a key only if it is free"
    CONDITIONAL_UPDATE = "replaces an object only if its version is still the one that was read"
    VERSION_PER_WRITE = "gives every write a version of its own, also of the same bytes"
    ATOMIC_STREAM = "shows a streamed object whole or not at all"
    LIST_PREFIX_EXACT = "lists a folder exactly, in the order of the keys, and sees every acknowledged write"
    CHECKSUM_ON_WRITE = "refuses bytes that arrive damaged"
    VERSIONING = "keeps replaced objects readable by their version, where the bucket has versioning on"
    COPY_BETWEEN_BUCKETS = "copies from another bucket of its cloud by itself, where its credentials may read that one"


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """Sizes in bytes: one request writes at most `single`, one part is `smallest_part` to `largest_part`, `parts` at most."""

    single: int
    smallest_part: int
    largest_part: int
    parts: int
    object: int


_EVERY_KIND = frozenset(
    {
        Capability.CONDITIONAL_CREATE,
        Capability.CONDITIONAL_UPDATE,
        Capability.ATOMIC_STREAM,
        Capability.LIST_PREFIX_EXACT,
    }
)

_EVERY_SERVICE = _EVERY_KIND | {Capability.VERSIONING, Capability.COPY_BETWEEN_BUCKETS}

_CAPABILITIES: Mapping[StoreKind, frozenset[Capability]] = {
    "local": _EVERY_KIND | {Capability.VERSION_PER_WRITE},
    # S3's version for conditions is the ETag, the digest of the content: A-B-A cannot be told from A.
    "s3": _EVERY_SERVICE | {Capability.CHECKSUM_ON_WRITE},
    "gcs": _EVERY_SERVICE | {Capability.VERSION_PER_WRITE, Capability.CHECKSUM_ON_WRITE},
    # obstore sends Azure no Content-MD5, so Azure stores what arrives.
    "azure": _EVERY_SERVICE | {Capability.VERSION_PER_WRITE},
}

# The providers' published limits: "Amazon S3 multipart upload limits", "Cloud Storage quotas and limits" (uploads are
# resumable, in multiples of 256 KiB, so the number of parts is free), "Scalability targets for Blob storage".
_LIMITS: Mapping[StoreKind, UploadLimits] = {
    "s3": UploadLimits(5 * GIB, 5 * MIB, 5 * GIB, 10_000, 5 * 1024 * GIB),
    "gcs": UploadLimits(5 * 1024 * GIB, 256 * KIB, 5 * 1024 * GIB, 5 * 1024 * 1024 * 4, 5 * 1024 * GIB),
    "azure": UploadLimits(5_000 * MIB, 1, 4_000 * MIB, 50_000, 50_000 * 4_000 * MIB),
}


def capabilities(kind: StoreKind) -> frozenset[Capability]:
    """What stores of this kind can do. `memory`, which only tests use, does what `local` does."""
    return _CAPABILITIES[kind]


def upload_limits(kind: StoreKind) -> UploadLimits:
    """The limits of one upload to a store on the network; a local folder has none but the disk's."""
    return _LIMITS[kind]
