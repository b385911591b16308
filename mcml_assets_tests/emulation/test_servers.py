"""Promises of the emulators: each location's credentials open its own bucket only, and nothing outlives who started it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import boto3
import httpx
import psutil
import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobServiceClient
from botocore.exceptions import ClientError
from google.api_core.exceptions import Forbidden
from google.auth.exceptions import RefreshError

from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.topology import Location
from mcml_assets.emulation.servers import (
    Emulators,
    emulators_folder,
    endpoints,
    enter_emulators,
    is_emulated,
    running_emulators,
    start_emulators,
)
from mcml_assets.serving.ports import is_free
from mcml_assets_tests.emulation.started import gcs_client, secret, settings_for

pytestmark = pytest.mark.live

STARTER = """
import sys, time
from pathlib import Path
from mcml_assets.configuration.settings import Settings
from mcml_assets.emulation.servers import start_emulators
with start_emulators(Settings(home=Path(sys.argv[1]), profile="emulated", emulator_first_port=int(sys.argv[2]))):
    print("ready", flush=True)
    time.sleep(60)
"""


def of_cloud(emulators: Emulators, cloud: str) -> list[Location]:
    return [location for location in emulators.topology.locations.values() if location.cloud == cloud]


def ports(settings: Settings) -> list[int]:
    return [int(address.rpartition(":")[2]) for address in endpoints(settings).values()]


def s3_client(emulators: Emulators, location: Location, secret_key: str | None = None):
    return boto3.client(
        "s3",
        endpoint_url=emulators.endpoints["s3"],
        region_name=location.region,
        aws_access_key_id=secret(emulators, location, "access_key_id"),
        aws_secret_access_key=secret_key or secret(emulators, location, "secret_access_key"),
    )


def test_s3_credentials_open_one_bucket(emulators: Emulators):
    """An IAM user may work in its own bucket, in no other, not with a wrong secret, and not on the bucket itself."""
    own, other = of_cloud(emulators, "aws")[:2]
    client = s3_client(emulators, own)
    client.put_object(Bucket=own.bucket, Key="a", Body=b"1")
    assert client.get_object(Bucket=own.bucket, Key="a")["Body"].read() == b"1"
    version = client.list_object_versions(Bucket=own.bucket, Prefix="a")["Versions"][0]["VersionId"]
    for refused in (
        lambda: client.put_object(Bucket=other.bucket, Key="a", Body=b"1"),
        lambda: client.get_object(Bucket=other.bucket, Key="a"),
        lambda: client.put_bucket_versioning(Bucket=own.bucket, VersioningConfiguration={"Status": "Suspended"}),
        lambda: client.delete_object(Bucket=own.bucket, Key="a", VersionId=version),
        lambda: s3_client(emulators, own, "wrong").put_object(Bucket=own.bucket, Key="a", Body=b"1"),
    ):
        with pytest.raises(ClientError) as caught:
            refused()
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_gcs_credentials_open_one_bucket(emulators: Emulators, tmp_path: Path):
    """A service account may work in its own bucket, in no other; a key of somebody else's, or none, opens nothing."""
    own, other = of_cloud(emulators, "gcp")[:2]
    key_file = Path(secret(emulators, own, "path"))
    client = gcs_client(emulators, key_file)
    client.bucket(own.bucket).blob("a").upload_from_string(b"1")
    assert client.bucket(own.bucket).blob("a").download_as_bytes() == b"1"
    with pytest.raises(Forbidden):
        client.bucket(other.bucket).blob("a").upload_from_string(b"1")
    with pytest.raises(Forbidden):
        client.get_bucket(own.bucket).delete()
    forged = json.loads(key_file.read_bytes())
    forged["private_key"] = json.loads(Path(secret(emulators, other, "path")).read_bytes())["private_key"]
    (tmp_path / "forged.json").write_text(json.dumps(forged))
    with pytest.raises(RefreshError, match="invalid_grant"):
        gcs_client(emulators, tmp_path / "forged.json").bucket(own.bucket).blob("a").download_as_bytes()
    for headers in ({}, {"authorization": "Bearer guessed"}):
        answer = httpx.get(f"{emulators.endpoints['gcs']}/storage/v1/b/{own.bucket}/o/a", headers=headers, trust_env=False)
        assert answer.status_code == 401


def test_azure_credentials_open_one_account(emulators: Emulators):
    """A location's key opens its own storage account, and no other."""
    own, other = of_cloud(emulators, "azure")[:2]
    key = secret(emulators, own, "account_key")

    def container(location: Location):
        credential = {"account_name": location.store.account or "", "account_key": key}
        return BlobServiceClient(location.store.endpoint or "", credential).get_container_client(location.bucket)

    container(own).upload_blob("a", b"1", overwrite=True)
    assert container(own).download_blob("a").readall() == b"1"
    with pytest.raises(HttpResponseError) as caught:
        container(other).upload_blob("a", b"1")
    assert caught.value.status_code == 403


def test_every_location_has_a_bucket_of_its_own(emulators: Emulators):
    """The emulated topology has the nine locations of the local one, and each has its own credentials."""
    local = load_topology(Settings().topology_file)
    assert [(one.key, one.jurisdiction, one.bucket, one.egress_price) for one in emulators.topology.locations.values()] == [
        (one.key, one.jurisdiction, one.bucket, one.egress_price) for one in local.locations.values()
    ]
    assert len(set(emulators.environment.values())) == len(emulators.environment) == 12
    assert emulators.topology.profile == "emulated"


def test_secrets_are_for_this_user_only(emulators: Emulators):
    """Files with secrets have mode 0600 in folders that nobody else may enter, and no `repr` or log shows a secret."""
    folder = emulators.topology_file.parent
    secrets = [value for name, value in emulators.environment.items() if not name.endswith("_FILE")]
    secrets.append(emulators.owner_keys.secret_access_key)
    assert folder.stat().st_mode & 0o77 == 0
    for file in (file for file in folder.rglob("*") if file.is_file()):
        text = file.read_text(errors="replace")
        if any(one in text for one in secrets) or "PRIVATE KEY" in text:
            assert file.stat().st_mode & 0o77 == 0, file
            assert file.suffix == ".json"
    for one in secrets:
        assert one not in repr(emulators)


def test_starting_twice_joins_what_runs(tmp_path: Path):
    """A second start for the same home gets what runs and leaves it running; after the first nothing runs or listens."""
    settings = settings_for(tmp_path)
    assert running_emulators(settings) is None
    with pytest.raises(ConfigurationError, match="make dev PROFILE=emulated"):
        enter_emulators(settings)
    others = set(psutil.Process().children(recursive=True))
    with start_emulators(settings) as first:
        processes = set(psutil.Process().children(recursive=True)) - others
        assert len(processes) == 4
        with start_emulators(settings) as second:
            assert second == first
        assert running_emulators(settings) == first
        assert not any(is_free(port) for port in ports(settings))
    assert running_emulators(settings) is None
    assert all(is_free(port) for port in ports(settings))
    assert not any(process.is_running() for process in processes)
    with start_emulators(settings) as again:
        assert again.environment != first.environment


def test_a_killed_starter_leaves_no_orphans(tmp_path: Path):
    """kill -9 of whoever started the emulators ends them too."""
    settings = settings_for(tmp_path)
    command = [sys.executable, "-c", STARTER, str(tmp_path), str(settings.emulator_first_port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"ready\n"
        processes = psutil.Process(starter.pid).children(recursive=True)
        assert len(processes) == 4
        os.kill(starter.pid, signal.SIGKILL)
    gone, alive = psutil.wait_procs(processes, timeout=10)
    assert alive == []
    assert len(gone) == 4
    assert running_emulators(settings) is None


def test_an_emulator_that_ends_before_its_time_is_told(tmp_path: Path):
    """Whoever watches the terminal reads which emulator died and what to do; those that are ended in order say nothing."""
    (tmp_path / "log").touch()
    other = {"environment": {}, "log": str(tmp_path / "log")}
    commands = [
        {"name": "s3", "command": [sys.executable, "-c", "raise SystemExit(7)"], **other},
        {"name": "gcs", "command": [sys.executable, "-c", "import time; time.sleep(60)"], **other},
    ]
    watch = [sys.executable, "-m", "mcml_assets.emulation.watch"]
    with subprocess.Popen(watch, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdin is not None
        assert running.stderr is not None
        running.stdin.write(json.dumps(commands).encode() + b"\n")
        running.stdin.flush()
        told = running.stderr.readline().decode()
        running.stdin.close()
        assert running.stderr.read() == b""
    assert "The emulator of s3 ended with status 7" in told
    assert f"its log is {tmp_path / 'log'}" in told
    assert "start it again" in told


def test_a_taken_port_is_explained_and_nothing_starts(tmp_path: Path):
    """A port that is in use is named with the setting that moves the emulators, and no process is left."""
    settings = settings_for(tmp_path)
    others = set(psutil.Process().children(recursive=True))
    with socket.socket() as other:
        other.bind(("127.0.0.1", settings.emulator_first_port + 1))
        other.listen()
        with (
            pytest.raises(ConfigurationError, match=r"gcs is taken.*MCML_EMULATOR_FIRST_PORT"),
            start_emulators(settings),
        ):
            pass
    assert set(psutil.Process().children(recursive=True)) == others


def test_only_an_emulated_topology_is_emulated(tmp_path: Path):
    """Real and local clouds need no emulators, and a second terminal uses them as they are."""
    for profile, emulated in (("local", False), ("production", False), ("emulated", True)):
        assert is_emulated(load_topology(Settings(profile=profile).topology_file)) is emulated
    local = Settings(home=tmp_path)
    assert enter_emulators(local) is local
    assert not emulators_folder(local).exists()


def test_a_broken_emulator_tells_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """When an emulator does not come up the error holds the end of its log, within the time that was given."""
    monkeypatch.setattr("mcml_assets.emulation.servers.START_SECONDS", 3.0)
    broken = tmp_path / "main.js"
    broken.write_text("console.error('cannot start: broken on purpose')")
    monkeypatch.setattr("mcml_assets.emulation.servers.AZURITE", broken)
    settings = settings_for(tmp_path)
    began = time.monotonic()
    with pytest.raises(Exception, match="broken on purpose"), start_emulators(settings):
        pass
    assert time.monotonic() - began < 20
    assert all(is_free(port) for port in ports(settings))
