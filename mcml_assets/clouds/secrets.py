"""From the name of a secret to the secret, at the moment a store is opened: the only place where secrets are read.

Which values a method takes was judged when the topology was loaded; what a cloud does with them is its own business.
"""

import os
from typing import Protocol

from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.topology import SecretReference, StoreAccess


class Entered(Protocol):
    """What is entered with credentials: a `Location`, or a `TrafficAccess`. `key` names it for people."""

    @property
    def key(self) -> str: ...

    @property
    def region(self) -> str: ...

    @property
    def store(self) -> StoreAccess: ...


def credential_value(location: Entered, name: str) -> str:
    """The value that the location's credentials have under `name`.

    Raises `ConfigurationError` naming the location and the environment variable that is not set, or the missing key.
    """
    value = optional_value(location, name)
    if value is None:
        raise ConfigurationError(f"{location.key}: credentials of method {_method(location)!r} need {name!r} in the topology")
    return value


def optional_value(location: Entered, name: str) -> str | None:
    """The same for a value that may be absent, then None; a variable that is named must be set all the same."""
    value = location.store.credentials.values.get(name)
    if not isinstance(value, SecretReference):
        return value
    secret = os.environ.get(value.variable)
    if not secret:
        raise ConfigurationError(
            f"{location.key}: the environment variable {value.variable} is not set; "
            f"it must hold {name!r} of the location's credentials (method {_method(location)!r})"
        )
    return secret


def unknown_method(location: Entered) -> ConfigurationError:
    """The error for a method that the location's kind of store does not know."""
    return ConfigurationError(f"{location.key}: a store of kind {location.store.kind!r} knows no method {_method(location)!r}")


def _method(location: Entered) -> str:
    return location.store.credentials.method
