"""How large the parts of an upload are: arithmetic over a provider's limits, and nothing else."""

from mcml_assets.clouds.capabilities import MIB, UploadLimits
from mcml_assets.domain.errors import ConfigurationError

# Up to here one request writes the object, instead of one for each part and two around them, which emulators take half as
# fast. The same as in the Azure SDK (`max_single_put_size`); AWS advises parts from 100 MB on ("Uploading and copying
# objects using multipart upload").
SINGLE_PUT_BYTES = 64 * MIB
# What a stream without a known size is cut into: 10,000 of them are 156 GiB, and four in flight 64 MiB of memory.
STREAM_PART_BYTES = 16 * MIB
STEP = MIB


def part_size(size: int | None, limits: UploadLimits) -> int:
    """The part size in bytes for an object of `size` bytes, None for a stream of unknown length.

    It is the smallest multiple of 1 MiB, not below 16 MiB, with which the object fits into the allowed number of parts.
    Raises `ConfigurationError` for an object that the provider cannot hold.
    """
    if size is None:
        return max(STREAM_PART_BYTES, limits.smallest_part)
    if size > limits.object:
        raise ConfigurationError(
            f"an object of {size} bytes is too large: the store holds {limits.object} bytes at most; split it"
        )
    needed = -(-size // limits.parts)
    rounded = -(-needed // STEP) * STEP
    return min(max(rounded, STREAM_PART_BYTES, limits.smallest_part), limits.largest_part)


def part_count(size: int, part: int) -> int:
    """How many parts of `part` bytes an object of `size` bytes is cut into; an empty object is one empty part."""
    return max(1, -(-size // part))
