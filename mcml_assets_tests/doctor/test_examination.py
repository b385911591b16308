"""What `mcml doctor` promises: a sound location passes, every planted fault is found and named, and nothing stays behind."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from azure.storage.blob import ContainerClient
from typer.testing import CliRunner

from mcml_assets.cli import app
from mcml_assets.clouds.fault_plan import set_fault
from mcml_assets.clouds.local.store import LocalStore
from mcml_assets.clouds.registry import provision
from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.doctor.examination import Check, Examination, State, Verdict, examine, examine_all, worst
from mcml_assets.domain.faults import Fault, FaultKind
from mcml_assets.domain.topology import Credentials, Location, SecretReference, StoreAccess
from mcml_assets.emulation.servers import Emulators
from mcml_assets_tests.clouds.emulated_buckets import make_bucket
from mcml_assets_tests.clouds.test_identities import sas
from mcml_assets_tests.emulation.started import gcs_client
from mcml_assets_tests.ports import free_port_range

live = pytest.mark.live
AWS, GCP, AZURE, LOCAL = "aws/eu-west-2", "gcp/europe-west2", "azure/uksouth", "aws/eu-west-2"


@pytest.fixture
def local(tmp_path: Path) -> tuple[Location, Settings]:
    """A sound location in a folder."""
    settings = Settings(home=tmp_path)
    topology = load_topology(settings.topology_file)
    provision(topology, settings)
    return topology.location(LOCAL), settings


def by_name(examination: Examination) -> Mapping[str, Check]:
    return {check.name: check for check in examination.checks}


def wrong(examination: Examination) -> set[str]:
    passes = (State.OK, State.NOT_APPLICABLE)
    return {check.name for check in examination.checks if check.state not in passes}


def s3_owner(emulators: Emulators) -> Any:
    keys = emulators.owner_keys
    return boto3.client(
        "s3",
        endpoint_url=emulators.endpoints["s3"],
        region_name="eu-west-2",
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
    )


def container(emulators: Emulators, location: Location) -> ContainerClient:
    reference = location.store.credentials.values["account_key"]
    assert isinstance(reference, SecretReference)
    key = {"account_name": location.store.account or "", "account_key": emulators.environment[reference.variable]}
    return ContainerClient(location.store.endpoint or "", location.bucket, credential=key)


@live
def test_every_emulated_location_is_sound_and_left_as_it_was(emulators: Emulators, tmp_path: Path):
    """All nine pass every check with their own credentials, and neither an object nor an old version of one stays."""
    locations = list(emulators.topology.locations.values())
    examinations = examine_all(locations, Settings(home=tmp_path))
    assert [each.location for each in examinations] == [location.key for location in locations]
    for each in examinations:
        assert (each.verdict, wrong(each)) == (Verdict.OK, set()), each
        assert len(each.checks) == 11
    assert worst(examinations) is Verdict.OK
    owner = gcs_client(emulators, emulators.owner_key_file)
    for location in locations:
        if location.store.kind == "s3":
            listed = s3_owner(emulators).list_object_versions(Bucket=location.bucket)
            assert "Versions" not in listed
            assert "DeleteMarkers" not in listed
        elif location.store.kind == "gcs":
            assert list(owner.list_blobs(location.bucket, versions=True)) == []
        else:
            assert list(container(emulators, location).list_blobs()) == []


def test_a_local_location_is_sound_and_left_as_it_was(local: tuple[Location, Settings]):
    """A folder passes; what has no meaning for it is said to be not applicable; no file and no folder stays."""
    location, settings = local
    bucket = settings.clouds_folder / location.cloud / location.bucket
    examination = examine(location, settings)
    assert (examination.verdict, wrong(examination)) == (Verdict.OK, set())
    asked = by_name(examination)
    for name in ("clock", "region", "encryption", "versioning", "public_access"):
        assert asked[name].state is State.NOT_APPLICABLE
    assert list(LocalStore(location.key, bucket).list("")) == []
    assert [file.name for file in bucket.rglob("*mcml-doctor*")] == []


def test_a_missing_folder_is_unreachable(local: tuple[Location, Settings]):
    """A bucket that is gone is unreachable, with what to look at, and is not made anew."""
    location, settings = local
    bucket = settings.clouds_folder / location.cloud / location.bucket
    for inside in sorted(bucket.rglob("*"), reverse=True):
        inside.rmdir()
    bucket.rmdir()
    examination = examine(location, settings)
    assert (examination.verdict, wrong(examination)) == (Verdict.UNREACHABLE, {"reach"})
    assert by_name(examination)["reach"].remedy
    assert not bucket.exists()


def test_a_read_only_folder_is_found(local: tuple[Location, Settings]):
    """A folder that cannot be written answers and fails the write, with the mode that mends it; then it passes."""
    location, settings = local
    bucket = settings.clouds_folder / location.cloud / location.bucket
    bucket.chmod(0o500)
    try:
        examination = examine(location, settings)
        assert (examination.verdict, wrong(examination)) == (Verdict.PROBLEMS, {"write"})
        assert "chmod u+rwx" in (by_name(examination)["write"].remedy or "")
        assert by_name(examination)["reach"].state is State.OK
    finally:
        bucket.chmod(0o700)
    assert examine(location, settings).verdict is Verdict.OK


def test_a_store_that_gives_back_other_bytes_is_found(local: tuple[Location, Settings]):
    """A store that answers with one bit changed fails the reading, and nobody is advised to go on with it."""
    location, settings = local
    now = datetime.now(UTC)
    fault = Fault(location.key, FaultKind.FLIPPED_BIT, now, now + timedelta(hours=1), why="a bad disk")
    set_fault(fault, load_topology(settings.topology_file), settings)
    examination = examine(location, settings)
    assert (examination.verdict, wrong(examination)) == (Verdict.PROBLEMS, {"read"})
    assert "read back with digest" in by_name(examination)["read"].detail
    assert by_name(examination)["read"].remedy == "do not use this store"


@live
@pytest.mark.parametrize("key", [AWS, GCP, AZURE])
def test_a_bucket_that_is_not_there_is_unreachable(emulators: Emulators, tmp_path: Path, key: str):
    """A bucket that nobody made, or that these credentials may not enter, is unreachable and said to be so."""
    location = replace(emulators.topology.location(key), bucket="mcml-never-made")
    examination = examine(location, Settings(home=tmp_path))
    assert examination.verdict is Verdict.UNREACHABLE
    assert {"reach"} <= wrong(examination)
    # A command that would look at the provider's own service would say nothing about this one.
    assert (location.store.endpoint or "no endpoint") in (by_name(examination)["reach"].remedy or "")


@live
def test_missing_protection_is_found_and_mended_by_the_remedy(emulators: Emulators, tmp_path: Path):
    """Versioning off, encryption not configured, public access not blocked: each is found, with the command that mends it."""
    location, settings, owner = emulators.topology.location("aws/us-east-1"), Settings(home=tmp_path), s3_owner(emulators)
    owner.put_bucket_versioning(Bucket=location.bucket, VersioningConfiguration={"Status": "Suspended"})
    owner.delete_bucket_encryption(Bucket=location.bucket)
    owner.delete_public_access_block(Bucket=location.bucket)
    examination = examine(location, settings)
    asked = by_name(examination)
    assert examination.verdict is Verdict.PROBLEMS
    assert {"versioning", "public_access"} <= wrong(examination) <= {"versioning", "public_access", "encryption"}
    where = f"--bucket {location.bucket} --endpoint-url {location.store.endpoint}"
    assert f"put-bucket-versioning {where}" in (asked["versioning"].remedy or "")
    assert "BlockPublicAcls=true" in (asked["public_access"].remedy or "")
    owner.put_bucket_versioning(Bucket=location.bucket, VersioningConfiguration={"Status": "Enabled"})
    block = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    owner.put_public_access_block(Bucket=location.bucket, PublicAccessBlockConfiguration=dict.fromkeys(block, True))
    rule = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
    owner.put_bucket_encryption(Bucket=location.bucket, ServerSideEncryptionConfiguration=rule)
    assert examine(location, settings).verdict is Verdict.OK


@live
def test_missing_protection_of_a_google_bucket_is_found(emulators: Emulators, tmp_path: Path):
    """Versioning off and public access not prevented are found, with the command that mends each."""
    location = emulators.topology.location("gcp/us-east4")
    bucket = gcs_client(emulators, emulators.owner_key_file).bucket(location.bucket)
    bucket.versioning_enabled = False
    bucket.iam_configuration.public_access_prevention = "inherited"
    bucket.patch()
    try:
        examination = examine(location, Settings(home=tmp_path))
        assert (examination.verdict, wrong(examination)) == (Verdict.PROBLEMS, {"versioning", "public_access"})
        remedies = {name: check.remedy for name, check in by_name(examination).items()}
        assert remedies["versioning"] == f"gcloud storage buckets update gs://{location.bucket} --versioning"
        assert remedies["public_access"] == f"gcloud storage buckets update gs://{location.bucket} --public-access-prevention"
    finally:
        bucket.versioning_enabled = True
        bucket.iam_configuration.public_access_prevention = "enforced"
        bucket.patch()


@live
def test_a_public_container_is_found(emulators: Emulators, tmp_path: Path):
    """A container that anybody may read is found, with the command that closes it."""
    from azure.storage.blob import PublicAccess

    location = emulators.topology.location("azure/eastus")
    client = container(emulators, location)
    client.set_container_access_policy({}, public_access=PublicAccess.BLOB)
    try:
        examination = examine(location, Settings(home=tmp_path))
        assert (examination.verdict, wrong(examination)) == (Verdict.PROBLEMS, {"public_access"})
        assert "--public-access off" in (by_name(examination)["public_access"].remedy or "")
    finally:
        client.set_container_access_policy({})


@live
@pytest.mark.parametrize(("permission", "lacks"), [("rl", {"write"}), ("rwl", {"delete"})])
def test_a_permission_that_the_credentials_lack_is_found(
    emulators: Emulators, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, permission: str, lacks: set[str]
):
    """Credentials that may not write, or not delete, fail just that check, with the role that would let them."""
    place = make_bucket("azure", emulators, monkeypatch.setenv)
    monkeypatch.setenv("TEST_SAS", sas(place, permission, 10))
    credentials = Credentials("sas", {"token": SecretReference("TEST_SAS")})
    examination = examine(replace(place, store=replace(place.store, credentials=credentials)), Settings(home=tmp_path))
    assert examination.verdict is Verdict.PROBLEMS
    assert lacks <= wrong(examination) <= lacks | {"public_access"}  # such a signature may not ask about its container
    for name in lacks:
        assert "Storage Blob Data Contributor" in (by_name(examination)[name].remedy or "")


@live
def test_a_promised_copy_by_the_provider_is_tried(emulators: Emulators, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What `copies_from` says is done once, for each bucket it names: refused, it is told how to mend it; nothing stays."""
    own, other = emulators.topology.location(GCP), emulators.topology.location("gcp/us-east4")
    refused = examine(replace(own, copies_from={other.key: other}), Settings(home=tmp_path))
    assert (refused.verdict, wrong(refused)) == (Verdict.PROBLEMS, {"copies_from"})
    assert f"read the objects of {other.bucket}" in (by_name(refused)["copies_from"].remedy or "")
    open_to_both = [make_bucket("gcs", emulators, monkeypatch.setenv) for _ in range(2)]
    here, there = (replace(each, region=region) for each, region in zip(open_to_both, ("a", "b"), strict=True))
    examination = examine(replace(here, copies_from={there.key: there}), Settings(home=tmp_path))
    assert by_name(examination)["copies_from"].state is State.OK
    owner = gcs_client(emulators, emulators.owner_key_file)
    for bucket in (own.bucket, other.bucket, here.bucket, there.bucket):
        assert list(owner.list_blobs(bucket, versions=True)) == []


def google_location(endpoint: str) -> Location:
    """A location behind something that speaks Google's protocol and asks nobody who they are."""
    store = StoreAccess("gcs", endpoint, True, None, Credentials("emulator"))
    local = load_topology(Settings().topology_file).location("gcp/europe-west2")
    return replace(local, bucket="lying", store=store)


@contextmanager
def serving(command: list[str], port: int, folder: Path) -> Iterator[str]:
    """A server as a process, answering, until the block is left."""
    address = f"http://127.0.0.1:{port}"
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=dict(os.environ))
    try:
        for _ in range(200):
            try:
                httpx.get(address, trust_env=False)
                break
            except httpx.TransportError:
                process.poll()
                assert process.returncode is None, (folder / "server.log").read_text()
                time.sleep(0.05)
        yield address
    finally:
        # The emulator may wait for connections that nobody closes; it holds nothing worth an orderly end.
        process.kill()
        process.wait(10)


@live
def test_a_store_that_accepts_stale_writes_is_found(tmp_path: Path):
    """A service that ignores conditions, as gcp-storage-emulator does, fails both conditional checks and is not trusted."""
    port = free_port_range(1)
    command = [str(Path(sys.executable).with_name("gcp-storage-emulator")), "start", "--host", "127.0.0.1"]
    with serving([*command, "--port", str(port), "--in-memory", "--default-bucket", "lying"], port, tmp_path) as address:
        examination = examine(google_location(address), Settings(home=tmp_path))
    assert examination.verdict is Verdict.PROBLEMS
    assert {"conditional_create", "conditional_update"} <= wrong(examination)
    asked = by_name(examination)
    assert "was accepted" in asked["conditional_update"].detail
    assert "If-Match" in (asked["conditional_update"].remedy or "")
    assert asked["read"].state is State.OK


@live
@pytest.mark.parametrize("key", [AWS, GCP, AZURE])
def test_a_service_that_is_down_is_unreachable_and_unknown_is_no_pass(emulators: Emulators, tmp_path: Path, key: str):
    """Where nobody listens the location is unreachable, and its clock unknown; no secret is in what is said."""
    location = emulators.topology.location(key)
    dead = f"http://127.0.0.1:{free_port_range(1)}"
    endpoint = (location.store.endpoint or "").replace(emulators.endpoints[location.store.kind], dead)
    location = replace(location, store=replace(location.store, endpoint=endpoint))
    examination = examine(location, Settings(home=tmp_path))
    assert examination.verdict is Verdict.UNREACHABLE
    assert wrong(examination) == {"clock", "reach"}
    assert by_name(examination)["clock"].state is State.UNKNOWN
    assert not any(one in repr(examination) for one in emulators.environment.values())


@live
def test_credentials_that_are_not_set_are_a_matter_of_configuration(
    emulators: Emulators, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A variable that is not set is named, and the location is misconfigured, not unreachable."""
    monkeypatch.delenv("MCML_AWS_EU_WEST_2_SECRET")
    examination = examine(emulators.topology.location(AWS), Settings(home=tmp_path))
    assert examination.verdict is Verdict.MISCONFIGURED
    assert "MCML_AWS_EU_WEST_2_SECRET" in by_name(examination)["reach"].detail


def run(home: Path, *arguments: str, **environment: str):
    return CliRunner().invoke(app, ["doctor", *arguments], env={"MCML_HOME": str(home), **environment})


def test_the_command_prints_one_stable_document(tmp_path: Path):
    """`--json` gives the documented shape for the locations that were asked for, and exit code 0 when all is well."""
    result = run(tmp_path, "--json", "-l", "gcp/us-east4", "-l", LOCAL)
    document = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (document["profile"], document["verdict"], document["faults"]) == ("local", "ok", [])
    assert [one["location"] for one in document["locations"]] == ["gcp/us-east4", LOCAL]
    for one in document["locations"]:
        assert set(one) == {"location", "jurisdiction", "store", "bucket", "verdict", "checks"}
        assert all(set(check) == {"name", "state", "detail", "remedy"} for check in one["checks"])


def test_a_fault_that_is_set_on_purpose_is_said(tmp_path: Path):
    """Who examines a location in the middle of a drill is told of the drill, and not of one elsewhere."""
    settings = Settings(home=tmp_path)
    now = datetime.now(UTC)
    for target, why in (("aws", "drill 7"), ("gcp", "another")):
        fault = Fault(target, FaultKind.OUTAGE, now, now + timedelta(hours=1), why=why)
        set_fault(fault, load_topology(settings.topology_file), settings)
    result = run(tmp_path, "-l", LOCAL)
    assert result.exit_code == 3
    said = " ".join(result.stdout.split())
    assert "faults: outage of aws" in said
    assert "(drill 7); `mcml fault clear` ends it" in said
    assert "another" not in said


def test_the_command_says_what_is_wrong_in_words_and_by_its_exit_code(tmp_path: Path):
    """1 for problems, 3 for a bucket that is gone, 2 for an unknown location or emulators that do not run; with the remedy."""
    assert run(tmp_path).exit_code == 0
    bucket = tmp_path / "clouds" / "aws" / "mcml-aws-eu-west-2"
    bucket.chmod(0o500)
    try:
        result = run(tmp_path)
        assert result.exit_code == 1
        assert "aws/eu-west-2 write" in result.stdout
        assert "chmod u+rwx" in result.stdout
    finally:
        bucket.chmod(0o700)
    bucket.rename(bucket.with_name("away"))
    assert run(tmp_path).exit_code == 3
    unknown = run(tmp_path, "-l", "aws/eu-west-1")
    assert unknown.exit_code == 2
    assert "did you mean 'aws/eu-west-2'" in unknown.output
    asleep = run(tmp_path, MCML_PROFILE="emulated")
    assert asleep.exit_code == 2
    assert "make dev PROFILE=emulated" in asleep.output
