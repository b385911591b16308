"""What a location's infrastructure is made from, and whether what was made is what the topology names.

The variables are those of `deploy/terraform/<cloud>/variables.tf` that a topology knows, the outputs those of its
`outputs.tf`. How infrastructure is made is Terraform's business.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcml_assets.domain.endpoint_access import ClusterEndpoints
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.topology import Location

# By which value of its credentials a location acts as somebody, in each kind of store.
IDENTITY = {"s3": "role_arn", "gcs": "service_account", "azure": "client_id"}


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that the topology names otherwise than it was made."""

    what: str
    named: str
    made: str


def infrastructure_variables(location: Location) -> dict[str, Any]:
    """The variables of this location's infrastructure that the topology knows; a person adds the others.

    Raises `ConfigurationError` for a location in folders of this machine, which no infrastructure is made for.
    """
    if location.store.kind == "local":
        raise ConfigurationError(f"{location} lies in a folder of this machine: nothing is made for it")
    known: dict[str, Any] = {
        "location": location.key,
        "region": location.region,
        "jurisdiction": location.jurisdiction,
        "bucket": location.bucket,
        "account": location.store.account or "",
        "copies_from": sorted(origin.bucket for origin in location.copies_from.values()),
    }
    if (scope := _scope(location)) is not None:
        known["scope"] = scope
    match location.endpoints:
        case ClusterEndpoints() as cluster:
            known["endpoints"] = {"namespace": cluster.namespace, "service_account": cluster.service_account}
        case _:
            known["endpoints"] = None
    return known


def variables_file(location: str) -> str:
    """The name of the file of a location's variables."""
    return f"{location.replace('/', '.')}.tfvars.json"


def outputs_file(location: str) -> str:
    """The name of the file with what `terraform output -json` printed for a location."""
    return f"{location.replace('/', '.')}.outputs.json"


def differences(location: Location, outputs: Path) -> Iterator[Difference]:
    """Where the topology differs from what `terraform output -json` says was made. What a topology cannot name (a client id
    that a variable holds) is not compared.

    Raises `ConfigurationError` when the file is none of Terraform's outputs.
    """
    made = _outputs(outputs)
    if made["bucket"] != location.bucket:
        yield Difference("bucket", location.bucket, str(made["bucket"]))
    named = location.store.credentials.values.get(IDENTITY.get(location.store.kind, ""))
    if isinstance(named, str) and named != made["identities"].get("write"):
        yield Difference("identity", named, str(made["identities"].get("write")))
    match location.endpoints:
        case ClusterEndpoints() as cluster if made["registry"] != _repository(cluster.image):
            yield Difference("registry", _repository(cluster.image), str(made["registry"]))
        case _:
            return


def _outputs(file: Path) -> Mapping[str, Any]:
    try:
        written = json.loads(file.read_bytes())
        made = {name: written[name]["value"] for name in ("bucket", "identities", "registry")}
        made["identities"] = dict(made["identities"])
    except FileNotFoundError:
        raise ConfigurationError(f"{file} is not there: terraform output -json > {file.name}") from None
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(f"{file} is not what `terraform output -json` prints in deploy/terraform") from None
    return made


def _scope(location: Location) -> str | None:
    """The account or project that the location's identity is in; Azure's client ids do not tell their subscription."""
    identity = location.store.credentials.values.get(IDENTITY[location.store.kind])
    if not isinstance(identity, str):
        return None
    match location.store.kind:
        case "s3":
            return identity.split(":")[4]
        case "gcs":
            return identity.partition("@")[2].partition(".")[0]
        case _:
            return None


def _repository(image: str) -> str:
    """An image's name without its tag or digest."""
    name = image.partition("@")[0]
    head, _, tail = name.rpartition(":")
    return head if head and "/" not in tail else name
