"""Emulators for tests: on free ports, with a home of their own, entered with the credentials that a test names."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from google.cloud.storage import Client
from google.oauth2.service_account import Credentials

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.topology import Location, SecretReference
from mcml_assets.emulation.servers import Emulators, start_emulators
from mcml_assets_tests.ports import free_port_range


def settings_for(home: Path) -> Settings:
    """Settings of the emulated profile on free ports, which differ between test processes."""
    return Settings(home=home, profile="emulated", emulator_first_port=free_port_range(3))


@contextmanager
def started(home: Path) -> Iterator[Emulators]:
    """Emulators that end with the block."""
    with start_emulators(settings_for(home)) as emulators:
        yield emulators


def secret(emulators: Emulators, location: Location, name: str) -> str:
    """What a location's credentials hold under `name`."""
    value = location.store.credentials.values[name]
    assert isinstance(value, SecretReference)
    return emulators.environment[value.variable]


def gcs_client(emulators: Emulators, key_file: str | Path) -> Client:
    """Google's own client, with a service account's key."""
    credentials = Credentials.from_service_account_file(str(key_file), scopes=["devstorage"])
    return Client(project="-", credentials=credentials, client_options={"api_endpoint": emulators.endpoints["gcs"]})
