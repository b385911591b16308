"""Whose turn it is: what each endpoint of this machine is to the order of a new version. The order is the domain's."""

import time
from collections.abc import Mapping

from mcml_assets.domain.rollout import ABSENT_SECONDS, Peer, Phase, Rollout, waits_for
from mcml_assets.serving.endpoint import UNANSWERED_FAILED, Endpoint
from mcml_assets.serving.manifest import endpoint_name


def turn(rollout: Rollout, endpoints: Mapping[str, Endpoint]) -> str | None:
    """What a rollout waits for, None when its turn has come."""
    peers = {
        location: _peer(rollout, endpoints.get(endpoint_name(rollout.workload, location)))
        for location in rollout.plan.order
        if location != rollout.location
    }
    return waits_for(rollout.location, rollout.plan.order, peers)


def _peer(rollout: Rollout, other: Endpoint | None) -> Peer:
    if other is None or other.wanted is None or not other.wanted.runs:
        return Peer.AWAY
    if other.answering is not None and other.answering.version >= rollout.version:
        return Peer.DONE
    # A location that is dark, or whose server does not answer, holds up nobody.
    if other.dark() or other.serving is None or other.serving.unanswered >= UNANSWERED_FAILED:
        return Peer.AWAY
    theirs = other.rollout.record if other.rollout is not None else None
    if theirs is not None and theirs.version >= rollout.version:
        return Peer.STOPPED if theirs.phase in (Phase.ROLLED_BACK, Phase.ABORTED) else Peer.BUSY
    return Peer.BUSY if time.time() - rollout.began < ABSENT_SECONDS else Peer.AWAY
