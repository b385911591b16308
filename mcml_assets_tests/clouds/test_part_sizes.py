"""Every object a provider can hold is cut into parts that the provider takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcml_assets.clouds.capabilities import GIB, KIB, MIB, upload_limits
from mcml_assets.clouds.part_sizes import SINGLE_PUT_BYTES, STREAM_PART_BYTES, part_count, part_size
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.topology import StoreKind

REMOTE: tuple[StoreKind, ...] = ("s3", "gcs", "azure")
# Where an off-by-one would show: one request's limit, the number of parts, the smallest and the largest object.
EDGES = [0, 1, SINGLE_PUT_BYTES, 5 * MIB, 5 * GIB, 10_000 * STREAM_PART_BYTES, 50_000 * STREAM_PART_BYTES, 5 * 1024 * GIB]
SIZES = st.one_of(
    st.integers(0, 5 * 1024 * GIB),
    st.sampled_from(EDGES).flatmap(lambda edge: st.integers(max(0, edge - 2), min(edge + 2, 5 * 1024 * GIB))),
)


@given(size=SIZES, kind=st.sampled_from(REMOTE))
def test_parts_fit_the_provider_and_cover_the_object(size: int, kind: StoreKind):
    """Part size and count stay within the limits, the parts together hold the object, and no smaller part would do."""
    limits = upload_limits(kind)
    part = part_size(size, limits)
    count = part_count(size, part)
    assert limits.smallest_part <= part <= limits.largest_part
    assert part % (256 * KIB) == 0
    assert count <= limits.parts
    assert (count - 1) * part < max(size, 1) <= max(count * part, 1)
    assert part <= max(STREAM_PART_BYTES, limits.smallest_part) or part_count(size, part - MIB) > limits.parts


@pytest.mark.parametrize("kind", REMOTE)
def test_one_request_never_carries_too_much(kind: StoreKind):
    """What goes in one request is far below what the provider takes in one: 5 GiB on S3."""
    assert upload_limits(kind).single >= SINGLE_PUT_BYTES
    assert part_count(5 * GIB, part_size(5 * GIB, upload_limits(kind))) == 320


@pytest.mark.parametrize("kind", REMOTE)
def test_an_object_that_is_too_large_is_refused_before_it_is_sent(kind: StoreKind):
    """One byte more than the provider holds is an error that names the limit; the limit itself is not."""
    limits = upload_limits(kind)
    assert part_size(limits.object, limits) <= limits.largest_part
    with pytest.raises(ConfigurationError, match=str(limits.object)):
        part_size(limits.object + 1, limits)


def test_a_stream_without_a_size_reaches_156_gib_on_s3():
    """A stream of unknown length is cut so that memory stays small and the number of parts allows 156 GiB."""
    part = part_size(None, upload_limits("s3"))
    assert part == STREAM_PART_BYTES
    assert part * upload_limits("s3").parts // GIB == 156
