"""Who may enter the emulated buckets: for each location its own bucket, and credentials that open no other one.

They are made anew at every start: IAM users with a policy, service accounts with keys, storage accounts. The SDKs that
make buckets and users are imported only here, because on real clouds that is the work of their infrastructure.
"""

import base64
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.topology import Location, SecretReference, StoreKind, Topology

# What a location does in its bucket; topologies/production.yaml asks for the same of a real account. Old versions may
# be read and not deleted, so that stolen credentials cannot destroy them.
S3_BUCKET_ACTIONS = (
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:ListBucketMultipartUploads",
    "s3:GetBucketVersioning",
    "s3:GetEncryptionConfiguration",
    "s3:GetBucketPublicAccessBlock",
)
S3_OBJECT_ACTIONS = (
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
)
# The doctor removes what it wrote, with its old versions; of nothing else may old versions be deleted.
S3_PROBE_ACTIONS = ("s3:DeleteObjectVersion",)
PROBES = "mcml-doctor-*"
OWNER = "owner"


@dataclass(frozen=True, slots=True)
class S3Keys:
    """An IAM user's key pair."""

    access_key_id: str
    secret_access_key: str = field(repr=False)


def of_kind(topology: Topology, kind: StoreKind) -> list[Location]:
    """The locations whose buckets speak this protocol."""
    return [location for location in topology.locations.values() if location.store.kind == kind]


def variable(location: Location, name: str) -> str:
    """The environment variable that the topology names for this value of the location's credentials.

    Raises `ConfigurationError` when it names none: emulated credentials are made anew at every start.
    """
    value = location.store.credentials.values.get(name)
    if not isinstance(value, SecretReference):
        raise ConfigurationError(f"{location.key}: an emulated location takes {name}: {{env: NAME}} under credentials")
    return value.variable


def write_secret(path: Path, text: str) -> None:
    """Write a file that only this user may read, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    staged = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(staged, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(text)
    staged.replace(path)


def azure_accounts(locations: list[Location]) -> dict[str, str]:
    """A new key for each storage account, by account."""
    accounts = dict.fromkeys(location.store.account or "" for location in locations)
    return {account: base64.b64encode(secrets.token_bytes(64)).decode() for account in accounts}


def make_containers(locations: list[Location], endpoint: str, keys: Mapping[str, str]) -> dict[str, str]:
    """Make each location's private container; returns the variables that the credentials name."""
    from azure.storage.blob import BlobServiceClient  # noqa: PLC0415 - slow to load

    environment: dict[str, str] = {}
    for location in locations:
        account = location.store.account or ""
        with BlobServiceClient(f"{endpoint}/{account}", {"account_name": account, "account_key": keys[account]}) as client:
            client.create_container(location.bucket)
        environment[variable(location, "account_key")] = keys[account]
    return environment


def make_service_accounts(locations: list[Location], endpoint: str, folder: Path) -> dict[str, str]:
    """Write a key file for each location and one for the project's owner, and the accounts file of the strict server.

    Returns the variables that the credentials name; the owner's file is `owner.json`, the server's `accounts.json`.
    """
    accounts = []
    for name, bucket in [*((location.region, location.bucket) for location in locations), (OWNER, "*")]:
        email = f"mcml-{name}@emulated.iam.gserviceaccount.com"
        private, public = _key_pair()
        accounts.append({"email": email, "public_key": public, "bucket": bucket})
        key = {
            "type": "service_account", "project_id": "emulated", "private_key_id": secrets.token_hex(20),
            "private_key": private, "client_email": email, "client_id": name, "token_uri": f"{endpoint}/token",
        }  # fmt: skip
        write_secret(folder / f"{name}.json", json.dumps(key))
    write_secret(folder / "accounts.json", json.dumps(accounts))
    return {variable(location, "path"): str(folder / f"{location.region}.json") for location in locations}


def make_iam_users(locations: list[Location], endpoint: str) -> tuple[S3Keys, dict[str, str]]:
    """Make each location's sound bucket and its IAM user; the owner's keys, and the variables that the credentials name.

    The emulator checks signatures and policies only once it is told to; see `servers.py`.
    """
    import boto3  # noqa: PLC0415 - slow to load

    anybody: dict[str, Any] = {"endpoint_url": endpoint, "aws_access_key_id": "-", "aws_secret_access_key": "-"}
    iam = boto3.client("iam", region_name="us-east-1", **anybody)
    environment: dict[str, str] = {}
    for location in locations:
        s3 = boto3.client("s3", region_name=location.region, **anybody)
        where = {} if location.region == "us-east-1" else {"LocationConstraint": location.region}
        s3.create_bucket(Bucket=location.bucket, **({"CreateBucketConfiguration": where} if where else {}))
        s3.put_bucket_versioning(Bucket=location.bucket, VersioningConfiguration={"Status": "Enabled"})
        block = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        s3.put_public_access_block(Bucket=location.bucket, PublicAccessBlockConfiguration=dict.fromkeys(block, True))
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        s3.put_bucket_encryption(Bucket=location.bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
        keys = _iam_user(iam, f"mcml-{location.region}", location_policy(location.bucket))
        environment[variable(location, "access_key_id")] = keys.access_key_id
        environment[variable(location, "secret_access_key")] = keys.secret_access_key
    everything = [{"Effect": "Allow", "Action": ["s3:*", "iam:*"], "Resource": "*"}]
    return _iam_user(iam, OWNER, everything), environment


def location_policy(bucket: str) -> list[dict[str, Any]]:
    """The statements of the IAM policy of the one location whose bucket this is."""
    return [
        # HeadBucket is the emulator's own name of an action that AWS permits with ListBucket.
        {"Effect": "Allow", "Action": [*S3_BUCKET_ACTIONS, "s3:HeadBucket"], "Resource": f"arn:aws:s3:::{bucket}"},
        {"Effect": "Allow", "Action": list(S3_OBJECT_ACTIONS), "Resource": f"arn:aws:s3:::{bucket}/*"},
        {"Effect": "Allow", "Action": list(S3_PROBE_ACTIONS), "Resource": f"arn:aws:s3:::{bucket}/{PROBES}"},
    ]


def _iam_user(iam: Any, name: str, statements: list[dict[str, Any]]) -> S3Keys:
    iam.create_user(UserName=name)
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName=name, PolicyName="mcml", PolicyDocument=policy)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return S3Keys(made["AccessKeyId"], made["SecretAccessKey"])


def _key_pair() -> tuple[str, str]:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - loads OpenSSL
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415 - the same

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()
