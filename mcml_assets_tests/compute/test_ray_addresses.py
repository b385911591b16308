"""What an address of a Ray cluster promises when no cluster is there: its own error, soon, and the process lives on."""

import socket
from collections.abc import Iterator
from contextlib import closing
from time import monotonic

import pytest

from mcml_assets.domain.errors import TransientError
from mcml_assets_tests.ports import free_ports

pytestmark = pytest.mark.live
# Ray takes 127.0.0.1 for the machine's own address, so these are another one of the loopback's.
HOST = "127.0.0.2"
BOUND_SECONDS = 25.0


@pytest.fixture(params=["nobody", "silent"])
def place(request: pytest.FixtureRequest) -> Iterator[str]:
    """A port at which nobody listens, or where somebody takes connections and says nothing, as behind a half-open firewall."""
    port = free_ports(1)[0]
    with closing(socket.socket()) as listener:
        if request.param == "silent":
            listener.bind((HOST, port))
            listener.listen()
        yield f"{HOST}:{port}"


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_at_which_nobody_answers_is_told_within_seconds(
    scheme: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a transient error that names the address: the run is tried again, and does not hang until its time is over."""
    from mcml_assets.features import ray_cluster

    monkeypatch.setattr(ray_cluster, "ANSWER_SECONDS", 3.0)
    began = monotonic()
    with pytest.raises(TransientError, match=f"the Ray cluster at {scheme}{place}: nobody answered as a Ray cluster does"):
        ray_cluster.connected(f"{scheme}{place}")
    assert monotonic() - began < BOUND_SECONDS
