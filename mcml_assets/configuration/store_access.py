"""How people write which store a location uses and how it is entered: the `store` and `credentials` blocks.

Says which methods each kind of store knows and which values they take. Secrets are named here, never held: they are
resolved where a store is opened. The rest of a topology file is `topology.py`'s business.
"""

from collections.abc import Iterator, Mapping
from enum import Enum
from re import fullmatch
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from mcml_assets.configuration.problems import Problem
from mcml_assets.configuration.yaml_lines import KeyPath
from mcml_assets.domain.topology import Credentials, SecretReference, StoreAccess, StoreKind, did_you_mean

VARIABLE = r"[A-Z][A-Z0-9_]*"


class Value(Enum):
    """What a credential method takes under one name."""

    SECRET = "secret, required"  # noqa: S105 - the name of a rule
    OPTIONAL_SECRET = "secret, optional"  # noqa: S105 - the name of a rule
    PLAIN = "text, required"
    OPTIONAL = "text, optional"


# What each method of each kind of store takes. Ambient identities take nothing: the machine they run on has them.
METHODS: Mapping[StoreKind, Mapping[str, Mapping[str, Value]]] = {
    "local": {},
    "s3": {
        "keys": {
            "access_key_id": Value.SECRET,
            "secret_access_key": Value.SECRET,
            "session_token": Value.OPTIONAL_SECRET,
        },
        "profile": {"profile": Value.PLAIN},  # a profile of ~/.aws/config
        "role": {"role_arn": Value.PLAIN, "external_id": Value.OPTIONAL},  # assumed with the ambient identity
        "workload_identity": {},  # what AWS gives the pod or the machine
    },
    "gcs": {
        "emulator": {},  # nobody is asked who they are
        "key_file": {"path": Value.PLAIN},  # a service account's key, as Google hands it out
        "workload_identity": {"service_account": Value.OPTIONAL},  # the e-mail of the account to act as
    },
    "azure": {
        "key": {"account_key": Value.SECRET},
        "sas": {"token": Value.SECRET},
        "managed_identity": {"client_id": Value.OPTIONAL},
        "workload_identity": {"client_id": Value.OPTIONAL, "tenant_id": Value.OPTIONAL},
    },
}


class StoreModel(BaseModel):
    """The protocol that a cloud's buckets speak; without this block they are local folders."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: StoreKind = Field(default="local", description="Protocol: local, s3, gcs or azure.")
    endpoint: str | None = Field(
        default=None, description="Address of the service, with {account} for the account's name; absent at the provider's own."
    )
    allow_http: bool = Field(default=False, description="Permit an endpoint without TLS: for emulators on loopback.")
    account: str | None = Field(
        default=None,
        description="Storage account of the containers (azure); a region may name its own.",
        pattern=r"^[a-z0-9]{3,24}$",
    )


def store_problems(store: StoreModel, path: KeyPath) -> Iterator[Problem]:
    """What is wrong in a cloud's `store` block beyond its shape."""
    if store.kind == "local" and store.endpoint is not None:
        yield Problem((*path, "endpoint"), "a local store has no endpoint: remove this key, or name another kind")
    if store.kind != "azure" and store.account is not None:
        yield Problem((*path, "account"), f"only azure has storage accounts, and this store is of kind {store.kind!r}")
    if store.endpoint is not None:
        # The address is not repeated: somebody may have put a password in it.
        address = urlsplit(store.endpoint)
        if address.scheme not in ("http", "https") or not address.hostname:
            yield Problem((*path, "endpoint"), "must be an address such as https://storage.example.com")
        elif address.username or address.password or address.query:
            yield Problem((*path, "endpoint"), "must not carry credentials: name them under the regions' `credentials`")
        elif address.scheme == "http" and not store.allow_http:
            yield Problem((*path, "endpoint"), "has no TLS: write https, or allow_http: true for an emulator")


def credential_problems(store: StoreModel, written: object, region: KeyPath) -> Iterator[Problem]:
    """What is wrong in a region's `credentials` block; no message repeats a value, which may be a pasted secret."""
    path = (*region, "credentials")
    methods = METHODS[store.kind]
    if methods:
        yield from method_problems(f"store of kind {store.kind!r}", methods, written, path)
    elif written is not None:
        yield Problem(path, f"a {store.kind} store takes no credentials: remove this key, or give the cloud a `store`")


def method_problems(what: str, methods: Mapping[str, Mapping[str, Value]], written: object, path: KeyPath) -> Iterator[Problem]:
    """What is wrong in a `credentials` block of something that is entered by one of these methods."""
    if written is None:
        needed = f"{{method: {' | '.join(methods)}, ...}}"
        yield Problem(path, f"this key is missing: a {what} takes {needed}")
        return
    if not isinstance(written, dict):
        yield Problem(path, f"must be a mapping with a method: {' | '.join(methods)}")
        return
    method = written.get("method")
    takes = methods.get(method) if isinstance(method, str) else None
    if takes is None:
        said = "this key is missing" if method is None else f"unknown method of a {what}"
        yield Problem((*path, "method"), f"{said}{did_you_mean(str(method), methods)}")
        return
    missing = {name for name, value in takes.items() if value in (Value.SECRET, Value.PLAIN)} - written.keys()
    for name in written.keys() - takes.keys() - {"method"}:
        nearest = did_you_mean(str(name), takes)
        yield Problem((*path, str(name)), f"unknown key of method {method!r}{nearest}")
        # A misspelt name would be told twice, as unknown and as missing.
        missing = {lacking for lacking in missing if f"did you mean {lacking!r}?" not in nearest}
    for name in missing:
        yield Problem((*path, name), f"this key is missing: method {method!r} needs it")
    for name in takes.keys() & written.keys():
        yield from _value_problems(takes[name], written[name], (*path, name))


def _value_problems(value: Value, written: Any, path: KeyPath) -> Iterator[Problem]:
    if isinstance(written, dict):
        if set(written) != {"env"} or not fullmatch(VARIABLE, str(written["env"])):
            yield Problem(path, f"must be {{env: NAME}}, with the name of an environment variable that matches {VARIABLE}")
    elif value in (Value.SECRET, Value.OPTIONAL_SECRET):
        yield Problem(path, "a secret must not be written here: write {env: NAME}, and set that environment variable")
    elif not isinstance(written, str) or not written:
        yield Problem(path, "must be text, or {env: NAME}")


def store_access(store: StoreModel, account: str | None, written: Mapping[str, Any] | None) -> StoreAccess:
    """The store of one region, from blocks that have no problem; `account` is the region's own."""
    account = account or store.account
    # A storage account has an address of its own; a cloud's block writes it once for all of them.
    endpoint = store.endpoint.replace("{account}", account or "") if store.endpoint else None
    return StoreAccess(store.kind, endpoint, store.allow_http, account, credentials_of(written))


def credentials_of(written: Mapping[str, Any] | None) -> Credentials:
    """A `credentials` block that has no problem."""
    if not written:
        return Credentials()
    values = {
        name: SecretReference(value["env"]) if isinstance(value, dict) else value
        for name, value in written.items()
        if name != "method"
    }
    return Credentials(written["method"], values)
