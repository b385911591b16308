"""Where a store deviates from what every store promises: by name, with the reason and where it is documented.

The conformance suite expects each of these to fail, strictly: one that is gone fails the suite until it is taken off the
list. `deploy/docs/limitations.md` is made from it.
"""

from dataclasses import dataclass

from mcml_assets.clouds.capabilities import MIB
from mcml_assets.clouds.part_sizes import SINGLE_PUT_BYTES


@dataclass(frozen=True, slots=True)
class Limitation:
    """One promise that one store does not keep.

    `store` is the suite's name of the store, `test` the promise's test, `emulator` whether only the emulator deviates;
    `consequence` says what the platform does about it.
    """

    store: str
    test: str
    emulator: bool
    reason: str
    consequence: str
    source: str


LIMITATIONS = (
    Limitation(
        "s3",
        "test_every_write_has_a_new_version",
        emulator=False,
        reason="S3 compares ETags, and the ETag of a plain object is the MD5 of its content: A-B-A cannot be told from A",
        consequence="what is moved by conditional puts must be unique each time, as a pointer is by its time of commit",
        source="https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html",
    ),
    Limitation(
        "azure",
        "test_large_writers_of_one_key_do_not_mix",
        emulator=False,
        reason="when a blob is committed, Azure discards the blocks of every other upload of it, which then fails "
        f"(InvalidBlockList); this concerns blobs above {SINGLE_PUT_BYTES // MIB} MiB, as smaller ones are written by one "
        "request and have no blocks",
        consequence="such an upload raises TransientError and is run again; the committed blob is whole all the same",
        source="https://learn.microsoft.com/rest/api/storageservices/put-block-list",
    ),
    Limitation(
        "azure",
        "test_a_replaced_object_can_be_restored",
        emulator=True,
        reason="Azurite keeps no versions of a blob",
        consequence="restoring from blob versions is unverified until it is run against a storage account",
        source="https://github.com/Azure/Azurite#support-matrix",
    ),
    Limitation(
        "s3",
        "test_a_location_may_read_no_other",
        emulator=True,
        reason="of a copy between buckets moto asks who may write the target, and not who may read the source",
        consequence="that AWS refuses such a copy is unverified; whatever it copies is proved or streamed anew all the same",
        source="https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html",
    ),
)

# What a provider offers and the platform does without, with the reason.
NOT_USED = ("Hard links and reflinks between local buckets: one bad block would be bad in both copies.",)

# What runs against no emulator at all: nobody may call it verified.
UNVERIFIED = (
    "AWS: the identity of an instance, web identities of pods (IRSA), and roles against AWS's own policies",
    "Azure: `workload_identity`, and whether a container accepts the token of a `managed_identity`",
    "Google Cloud: `workload_identity` with a service account to act as",
    "throttling as the providers do it; Google takes about one write a second of the same object, and answers 429 beyond",
    "TLS to the providers' own addresses, and the redirects of a wrong region as AWS sends them",
    "copies by the provider itself: reading a source by a token (Azure, between accounts), and by a role's policy (AWS)",
    "the SHA-256 that S3 computes of a copy: it is relied on at AWS's own address only, elsewhere copies are read back",
    "objects beyond 5 GiB: the sizes of their parts are computed and tested, such an object was never sent",
)


def limitation(store: str, test: str) -> Limitation | None:
    """The limitation of this store that concerns this test, if there is one."""
    return next((one for one in LIMITATIONS if (one.store, one.test) == (store, test)), None)
