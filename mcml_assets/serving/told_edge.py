"""What the edge is told of an endpoint: where its servers are, their shares, and what gets copies, by rollout and flags.

Which servers there are is `endpoint.py`'s, how Envoy is told `edge/`'s business.
"""

from dataclasses import replace

from mcml_assets.domain.flags import FlagName
from mcml_assets.serving.edge.copies import Copies
from mcml_assets.serving.edge.render import EndpointAddress
from mcml_assets.serving.endpoint import Endpoint


def endpoint_address(endpoint: Endpoint, now: float) -> EndpointAddress | None:
    """Where the edge may send requests; None where nothing is to be asked. `now` is in monotonic seconds."""
    manifest, rollout = endpoint.wanted or endpoint.answering, endpoint.rollout
    ports, new = _ports(endpoint, now), rollout.new_version() if rollout is not None else None
    if manifest is None or not (ports or new):
        return None
    pinned = endpoint.flags.get(FlagName.MODEL_VERSION)
    if rollout is not None and new is not None and pinned is not None:
        new = replace(new, share=100 if rollout.record.version == pinned else 0)
    return EndpointAddress(ports, manifest.timeout_seconds, new, _copies(endpoint))


def _ports(endpoint: Endpoint, now: float) -> tuple[int, ...]:
    """The serving one, and its predecessor until the edge knows the new one; where a flag names a version, of that alone."""
    routed = [entry.instance for entry in endpoint.draining if now < entry.routed_until]
    asked = [*([endpoint.serving.instance] if endpoint.serving is not None else []), *routed]
    pinned = endpoint.flags.get(FlagName.MODEL_VERSION)
    return tuple(instance.port for instance in asked if pinned in (None, instance.version))


def _copies(endpoint: Endpoint) -> Copies | None:
    """What gets copies of live requests: the version that takes over, or what a flag names a share for."""
    percent = endpoint.flags.get(FlagName.SHADOW)
    own = endpoint.rollout.copies() if endpoint.rollout is not None else None
    if percent is None:
        return own
    server = own.port if own is not None else endpoint.serving.instance.port if endpoint.serving is not None else None
    return Copies(server, percent) if server is not None and percent > 0 else None
