"""Being connected to a Ray cluster, of KubeRay's or at any other address, and taking what its tasks give.

What is handed out is the business of `scale_out.py` here and of `training/scale_out.py`. Imports Ray: import this module
inside functions.
"""

import os
from contextlib import nullcontext
from typing import Any

import grpc
import ray
from ray.exceptions import RayError, RayTaskError

from mcml_assets.domain.errors import ConfigurationError, TransientError

LOCAL, AUTO = "local", "auto"
TOKEN = "set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"  # noqa: S105 - names, not a token
ANSWER_SECONDS = 10.0
"""How long a cluster may take to answer before it counts as not there; a head that stands does so within milliseconds."""
OBJECT_STORE_BYTES = 2 * 2**30
"""What a cluster of this machine may keep in shared memory; Ray would take a third of the machine, and spills the rest."""


def connected(address: str) -> Any:
    """A connection that ends with the block; `local` starts a cluster of this machine, which ends with it too.

    Others are `head:6379`, `ray://head:10001` and `auto`; their machines need the same image, as they load the users'
    functions from the same paths. A process that is connected already stays so. What `ray start` starts asks for a token,
    which is looked for where Ray does. Raises `ConfigurationError` when it is not the cluster's, `TransientError` when nothing
    answers within `ANSWER_SECONDS`.
    """
    if ray.is_initialized():
        return nullcontext()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray tells its makers what it is used for otherwise
    if address not in (LOCAL, AUTO):
        _asked(address)
    own: dict[str, Any] = {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES} if address == LOCAL else {}
    try:
        return ray.init(address=address, log_to_driver=False, **own)
    except ConnectionError as error:
        if "AuthenticationError" in str(error.__cause__):  # Ray has it as the text of a cause
            raise ConfigurationError(f"the Ray cluster at {address} does not take our token: {TOKEN}") from error
        # By `ray://` a wrong token looks like this, too.
        said = f"does not answer: {error}; if it asks for a token, {TOKEN}"
        raise TransientError(f"the Ray cluster at {address} {said}") from error


def _asked(address: str) -> None:
    """Ray itself goes on asking an address at which nobody answers: at `head:6379` for minutes without an end in sight."""
    if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
        return  # of Ray's certificates only Ray knows
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host in ("127.0.0.1", "localhost") and not address.startswith("ray://"):
        host = ray.util.get_node_ip_address()  # which is what Ray takes them for
    with grpc.insecure_channel(f"{host}:{port}") as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=ANSWER_SECONDS)
        except grpc.FutureTimeoutError as error:
            said = f"nobody answered as a Ray cluster does within {ANSWER_SECONDS:g} s; is its head up, and the address right?"
            raise TransientError(f"the Ray cluster at {address}: {said}") from error


def got(task: Any) -> Any:
    """What a task gave, or what it raised, by its own type. `TransientError` when its machine is gone."""
    try:
        return ray.get(task)
    except RayTaskError as error:
        raise error.cause from None
    except RayError as error:
        raise TransientError(f"a task of the Ray cluster was lost: {error}") from error
