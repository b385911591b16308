"""Having a piece of work done by a profile, or the first of its fallbacks that is to be had.

The same protocol in every place: Pipes, with the messages in the location's bucket. On this machine the work is a
subprocess, in a cluster a pod. What the worker does with it is `worker.py`'s business.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from mcml_assets.compute.channel import BucketMessageReader
from mcml_assets.configuration.settings import PROJECT_ROOT
from mcml_assets.domain import errors
from mcml_assets.domain.compute_access import ClusterCompute, ComputeProfile, in_order
from mcml_assets.domain.errors import ConfigurationError, LocationUnavailable, McmlError, RegisterUnavailable, TransientError
from mcml_assets.domain.topology import Location
from mcml_assets.domain.workload import Workload
from mcml_assets.resources.stores import CloudStores

RESULT, FAILURE = "result", "failure"
"""The one message of a worker: what it made, or the typed error that stopped it."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a worker gave back, the profile that did it, and why each profile before that could not be had."""

    result: Mapping[str, Any]
    profile: str
    refused: Mapping[str, str]

    @property
    def metadata(self) -> dict[str, Any]:
        """What an asset records of it."""
        told = {"compute_profile": self.profile}
        if self.refused:
            reasons = "\n".join(f"- `{name}`: {why}" for name, why in self.refused.items())
            return told | {"profiles_not_to_be_had": dg.MetadataValue.md(reasons)}
        return told


def do_work(
    context: dg.AssetExecutionContext,
    stores: CloudStores,
    workload: Workload,
    noun: str,
    location: str,
    wanted: str,
    task: Mapping[str, Any],
) -> Done:
    """Have a noun's work done in a location, by the wanted profile or its fallbacks.

    `task` is what the worker is told beside workload, noun and location; it is JSON. Raises what the worker raised, by its
    type; `TransientError` when it ended without a word, as when its node was taken away; `LocationUnavailable` when no
    profile can be had there.
    """
    where = stores.topology.location(location)
    if wanted not in where.compute_profiles:
        raise ConfigurationError(f"{workload.name} wants compute profile {wanted!r}, which {location} does not offer")
    refused: dict[str, str] = {}
    for profile in in_order(wanted, where.compute_profiles):
        told = {"workload": str(workload.directory), "noun": noun, "location": location}
        told |= {"profile": profile.name, "wanted": wanted, "task": dict(task)}
        reader = BucketMessageReader(stores.bucket(location), context.run.run_id)
        messages: list[Any] = []
        why = _not_here(where, profile) or _run(context, stores, where, profile, reader, told, messages)
        if why is None:
            return Done(_result(workload, noun, location, messages), profile.name, refused)
        context.log.warning("%s: compute profile %s cannot be had: %s", location, profile.name, why)
        refused[profile.name] = why
    told_why = "; ".join(f"{name}: {why}" for name, why in refused.items())
    raise LocationUnavailable(location, f"no compute profile can be had: {told_why}")


def _not_here(where: Location, profile: ComputeProfile) -> str | None:
    if where.compute.platform == "local" and profile.accelerator is not None:
        return f"this machine has no {profile.accelerator}"
    return None


def _run(
    context: dg.AssetExecutionContext,
    stores: CloudStores,
    where: Location,
    profile: ComputeProfile,
    reader: BucketMessageReader,
    told: dict[str, Any],
    messages: list[Any],
) -> str | None:
    """Run the worker to its end; why its profile cannot be had, or None."""
    command = [sys.executable, "-m", "mcml_assets.worker"]
    environment = {"MCML_HOME": str(stores.settings.home), "MCML_TOPOLOGY": str(stores.settings.topology_file)}
    try:
        if isinstance(where.compute, ClusterCompute):
            from mcml_assets.compute import pods  # noqa: PLC0415 - the Kubernetes client, 0.6 s, only with a cluster

            try:
                invocation = pods.SchedulingPipesClient(where.compute, reader).run(
                    context=context,
                    extras=told,
                    command=["python", *command[1:]],
                    namespace=where.compute.namespace,
                    env=pods.settings(where.compute, os.environ),
                    base_pod_meta={"labels": pods.pod_labels(where.cloud)},
                    base_pod_spec=pods.pod_spec(where.compute, profile, where.cloud),
                )
            except pods.NotToBeHad as error:
                return str(error)
        else:
            client = dg.PipesSubprocessClient(env=environment, cwd=str(PROJECT_ROOT), message_reader=reader)
            invocation = client.run(context=context, command=command, extras=told)
    except McmlError:
        raise
    except Exception as error:
        # Whatever the worker could say, it said by a message; this is a process or a node that is gone.
        raise TransientError(
            f"{where.key}: the work ended without a result ({type(error).__name__}); its own output says why"
        ) from error
    messages.extend(invocation.get_custom_messages())
    return None


def _result(workload: Workload, noun: str, location: str, messages: list[Any]) -> Mapping[str, Any]:
    for message in messages:
        if RESULT in message:
            return message[RESULT]
        if FAILURE in message:
            raise _error(message[FAILURE])
    raise TransientError(f"{workload.name}/{noun} in {location}: the work ended and told nothing")


def failure(error: McmlError) -> dict[str, Any]:
    """A typed error as the message that carries it."""
    if isinstance(error, LocationUnavailable):
        return {"type": type(error).__name__, "arguments": [error.location, error.reason]}
    return {"type": type(error).__name__, "arguments": [str(error)]}


def _error(told: Mapping[str, Any]) -> McmlError:
    kind = getattr(errors, str(told["type"]), None)
    if not (isinstance(kind, type) and issubclass(kind, McmlError)):
        return TransientError(f"a worker failed with {told['type']}, which this version does not know")
    if issubclass(kind, RegisterUnavailable):
        return RegisterUnavailable(str(told["arguments"][0]))
    return kind(*told["arguments"])
