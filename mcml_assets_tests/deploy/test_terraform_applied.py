"""Promises of AWS's infrastructure: Terraform and its provider accept it, it makes what it says, and the doctor is content.

Run by `make test-terraform`, where Terraform is and MIRROR names a folder with AWS's provider. The account is moto's, which has
neither EKS's add-ons nor its Pod Identity: those resources are left out here, and run against the provider's mock only.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from mcml_assets.configuration.infrastructure import infrastructure_variables, outputs_file
from mcml_assets.configuration.settings import PROJECT_ROOT, TOPOLOGIES, Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.doctor.checks import State
from mcml_assets.doctor.examination import Verdict, examine
from mcml_assets.doctor.infrastructure import infrastructure_check
from mcml_assets.domain.topology import Credentials, SecretReference, StoreAccess
from mcml_assets_tests.ports import free_ports

pytestmark = pytest.mark.live
AWS = PROJECT_ROOT / "deploy" / "terraform" / "aws"
ACCOUNT = "123456789012"  # moto's
SECONDS = 400
# moto does not give back all that they were made with.
FORGETFUL = {"aws_eks_cluster", "aws_eks_node_group"}
EMULATED = """
provider "aws" {
  access_key              = "emulated"
  secret_key              = "emulated"
  s3_use_path_style       = true
  skip_metadata_api_check = true
}
resource "aws_eks_addon" "pod_identity" { count = 0 }
resource "aws_eks_pod_identity_association" "serve" { count = 0 }
resource "aws_eks_pod_identity_association" "control_plane" { for_each = toset([]) }
"""
BY_HAND = {
    "platform_identity": f"arn:aws:iam::{ACCOUNT}:role/platform",
    "trust": "known-to-both",
    "endpoints": {"namespace": "mcml-eu-west-2", "service_account": "mcml-server"},
    "control_plane": {"namespace": "mcml", "release": "mcml"},
    "copies_from": ["example-mcml-aws-eu-west-1"],
    "cluster": {"version": "1.31", "machine": "m6i.large", "nodes_min": 2, "nodes_max": 6, "api_cidrs": ["203.0.113.0/24"]},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the module with its provider installed from the mirror."""
    home = tmp_path_factory.mktemp("terraform")
    shutil.copytree(AWS, home / "aws", ignore=shutil.ignore_patterns(".terraform*"))
    (home / "terraform.rc").write_text(
        f'provider_installation {{\n  filesystem_mirror {{ path = "{os.environ["MCML_TERRAFORM"]}" }}\n}}\n'
    )
    _terraform(home / "aws", "init", "-backend=false")
    return home / "aws"


def test_terraform_validates_it_and_its_own_tests_pass(folder: Path) -> None:
    """The provider knows every argument; the tests beside the files pass with its mock; the form is Terraform's own."""
    assert json.loads(_terraform(folder, "validate", "-json"))["valid"] is True
    assert "0 failed" in _terraform(folder, "test")
    _terraform(PROJECT_ROOT / "deploy" / "terraform", "fmt", "-check", "-recursive", environment={"HOME": str(folder)})


def test_what_is_applied_is_what_the_doctor_wants(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Applied to an empty account it makes a bucket in which the doctor finds nothing wrong, and nothing is left to change but
    what the emulator forgets; the doctor tells when the topology names another bucket; destroyed, nothing stays.
    """
    emulated = folder.parent / "emulated"
    shutil.copytree(folder, emulated, symlinks=True)
    (emulated / "emulator_override.tf").write_text(EMULATED)
    named = load_topology(TOPOLOGIES / "production.yaml").location("aws/eu-west-2")
    variables = infrastructure_variables(named) | BY_HAND | {"scope": ACCOUNT}
    (emulated / "location.tfvars.json").write_text(json.dumps(variables))
    given = ("-input=false", "-var-file=location.tfvars.json")
    with _moto() as endpoint:
        environment = {"AWS_ENDPOINT_URL": endpoint}
        _terraform(emulated, "apply", "-auto-approve", *given, environment=environment)
        _terraform(emulated, "plan", "-out=again", *given, environment=environment)
        again = json.loads(_terraform(emulated, "show", "-json", "again", environment=environment))
        changed = {one["type"] for one in again["resource_changes"] if one["change"]["actions"] != ["no-op"]}
        assert changed <= FORGETFUL

        (tmp_path / outputs_file(named.key)).write_text(_terraform(emulated, "output", "-json", environment=environment))
        monkeypatch.setenv("KEY", "emulated")
        secret = SecretReference("KEY")
        entered = Credentials("keys", {"access_key_id": secret, "secret_access_key": secret})
        location = replace(named, store=StoreAccess("s3", endpoint, allow_http=True, credentials=entered))
        # Nobody enters without TLS, and the emulator has none: its policy is taken away to look further.
        refused = examine(location, Settings(home=tmp_path))
        assert refused.verdict is Verdict.UNREACHABLE
        keys: Any = {"aws_access_key_id": "emulated", "aws_secret_access_key": "emulated"}
        boto3.client("s3", endpoint_url=endpoint, region_name="eu-west-2", **keys).delete_bucket_policy(Bucket=location.bucket)
        examined = examine(location, Settings(home=tmp_path), tmp_path)
        assert {check.name for check in examined.checks} >= {"encryption", "versioning", "public_access", "infrastructure"}
        assert [check for check in examined.checks if check.state not in (State.OK, State.NOT_APPLICABLE)] == []
        assert examined.verdict is Verdict.OK
        told = infrastructure_check(replace(location, bucket="another"), tmp_path)
        assert (told.state, "another" in told.detail) == (State.ERROR, True)

        # S3 has logged who was here, and a bucket that holds anything is not destroyed: a person empties it.
        with pytest.raises(AssertionError, match="BucketNotEmpty"):
            _terraform(emulated, "destroy", "-auto-approve", *given, environment=environment)
        buckets: Any = boto3.resource("s3", endpoint_url=endpoint, region_name="eu-west-2", **keys)
        buckets.Bucket(f"{location.bucket}-logs").object_versions.delete()
        _terraform(emulated, "destroy", "-auto-approve", *given, environment=environment)
        assert json.loads(_terraform(emulated, "show", "-json", environment=environment)).get("values") is None


def _terraform(folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> str:
    """What Terraform prints. Raises `AssertionError` with what it says when it fails."""
    own = {"PATH": os.environ["PATH"], "HOME": str(folder), "TF_CLI_CONFIG_FILE": str(folder.parent / "terraform.rc")}
    own |= {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"} | (environment or {})
    command = ["terraform", arguments[0], *(("-no-color",) if arguments[0] != "fmt" else ()), *arguments[1:]]
    done = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@contextmanager
def _moto() -> Iterator[str]:
    """An empty account of AWS on loopback, with the policies that AWS itself brings."""
    (port,) = free_ports(1)
    endpoint = f"http://127.0.0.1:{port}"
    environment: dict[str, Any] = os.environ | {"MOTO_IAM_LOAD_MANAGED_POLICIES": "true"}
    command = [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                httpx.get(f"{endpoint}/moto-api/", timeout=5)
                break
            except httpx.HTTPError:
                assert time.monotonic() < deadline, "moto does not answer"
                time.sleep(0.2)
        yield endpoint
    finally:
        server.terminate()
        server.wait()
