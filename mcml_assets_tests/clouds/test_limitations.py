"""Deviations are on record, true, and on the page."""

import inspect
from types import ModuleType

import pytest

from mcml_assets.clouds.capabilities import Capability, capabilities
from mcml_assets.domain.topology import STORE_KINDS
from mcml_assets_tests.clouds import test_conformance, test_server_side_copies, test_uploads
from mcml_assets_tests.clouds.limitations import LIMITATIONS, limitation
from mcml_assets_tests.clouds.limitations_page import PAGE, render

SUITE: tuple[ModuleType, ...] = (test_conformance, test_uploads, test_server_side_copies)
# The promise that proves a capability.
PROOFS = {
    Capability.CONDITIONAL_CREATE: "test_only_a_free_key_is_created",
    Capability.CONDITIONAL_UPDATE: "test_only_the_version_that_was_read_is_replaced",
    Capability.VERSION_PER_WRITE: "test_every_write_has_a_new_version",
    Capability.ATOMIC_STREAM: "test_readers_see_the_old_or_the_new_object",
    Capability.LIST_PREFIX_EXACT: "test_a_prefix_is_a_folder",
}


def promises() -> set[str]:
    return {name for module in SUITE for name, _ in inspect.getmembers(module, inspect.isfunction) if name.startswith("test_")}


def test_the_page_is_what_the_code_says():
    """The page of limitations is made from the code, and says the same."""
    assert PAGE.read_text() == render(), "stale: run python -m mcml_assets_tests.clouds.limitations_page"


def test_every_limitation_names_a_promise_and_a_store():
    """A limitation that concerns no test of the suite, or no store, would excuse nothing."""
    for one in LIMITATIONS:
        assert one.test in promises()
        assert one.store in STORE_KINDS
        assert one.source.startswith("https://")


@pytest.mark.parametrize("capability", PROOFS, ids=lambda capability: capability.name)
def test_a_capability_is_declared_exactly_where_it_is_proved(capability: Capability):
    """A kind of store declares what the suite proves for it, and nothing that is on record as a limitation."""
    assert PROOFS[capability] in promises()
    for kind in STORE_KINDS:
        known = limitation(kind, PROOFS[capability])
        lacks = known is not None and not known.emulator
        assert (capability in capabilities(kind)) is not lacks
