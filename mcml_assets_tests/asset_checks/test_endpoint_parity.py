"""What `parity` of endpoints promises: who answers wrongly is named, of two as of three, and nobody who is right is accused."""

import pytest

from mcml_assets_tests.asset_checks.conftest import COLD, PRIMARY, WARM, Served


@pytest.fixture
def retail(served: Served) -> Served:
    served.answer_as_held()
    return served


def verdict(retail: Served, location: str) -> tuple[bool, str]:
    found = retail.check(location, "endpoint", "parity")
    return found.passed, found.description or ""


def test_servers_and_the_cold_standby_that_answer_alike_pass(retail: Served) -> None:
    """Two servers over HTTP, and the package that the cold standby holds: all agree with what the package recorded."""
    for location in (PRIMARY, WARM, COLD):
        passed, told = verdict(retail, location)
        assert passed, told
        assert f"{PRIMARY}" in told
        assert f"{COLD}" in told


def test_a_server_that_answers_otherwise_is_the_odd_one_out(retail: Served) -> None:
    """One prediction of one server is off by a millionth: it alone fails, and every location names it."""
    retail.servers.spoilt[WARM] = lambda predictions: [predictions[0] + 1e-6, *predictions[1:]]
    passed, told = verdict(retail, WARM)
    assert not passed
    assert f"{WARM} misses its golden predictions by 1e-06" in told
    for location in (PRIMARY, COLD):
        passed, told = verdict(retail, location)
        assert passed, told
        assert f"{WARM} is the odd one out" in told
    assert retail.recorded("endpoint", "parity") == {PRIMARY: True, WARM: False, COLD: True}


def test_a_model_of_yesterday_is_told_by_its_package_and_no_vote_absolves_it(retail: Served) -> None:
    """The server answers from the package before the one held: it fails, and stays failed when the others are checked."""
    pointer = retail.stores.snapshots(retail.workload, WARM, "model").current_pointer()
    assert pointer is not None
    assert pointer.previous is not None
    retail.answer_from(WARM, retail.stores.snapshots(retail.workload, WARM, "model").manifest(pointer.previous))
    passed, told = verdict(retail, WARM)
    assert not passed
    assert f"{WARM} answers with package {pointer.previous[:12]}, and holds {pointer.snapshot_id[:12]}" in told
    assert verdict(retail, PRIMARY)[0]
    assert retail.recorded("endpoint", "parity")[WARM] is False


def test_a_server_that_does_not_answer_fails_and_abstains_elsewhere(retail: Served) -> None:
    """Nothing is taken for right for lack of an answer, and the others go on agreeing without it."""
    del retail.servers.packages[WARM]
    assert not verdict(retail, WARM)[0]
    passed, told = verdict(retail, PRIMARY)
    assert passed
    assert f"{WARM} abstains (LocationUnavailable)" in told


def test_a_rollout_is_no_accusation_and_is_named(retail: Served) -> None:
    """Where a version waits for its turn the former one answers as its own package does, and no location is accused; a
    former one that does not is.
    """
    snapshots = retail.stores.snapshots(retail.workload, PRIMARY, "model")
    pointer = snapshots.current_pointer()
    assert pointer is not None
    assert pointer.previous is not None
    retail.answer_from(PRIMARY, snapshots.manifest(pointer.previous))
    waiting = retail.settings.home / "waiting"
    waiting.write_text(PRIMARY)
    try:
        passed, told = verdict(retail, PRIMARY)
        assert passed, told
        assert "rollout of version 1 to 2 waits" in told
        passed, told = verdict(retail, WARM)
        assert passed, told
        assert f"{PRIMARY} holds" in told
        retail.servers.spoilt[PRIMARY] = lambda predictions: [predictions[0] + 1e-6, *predictions[1:]]
        assert not verdict(retail, PRIMARY)[0]
    finally:
        waiting.unlink()
