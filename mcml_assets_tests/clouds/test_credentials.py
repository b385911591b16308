"""How a location is entered: secrets by name, one method each, and a remedy when it does not work."""

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from secrets import token_hex

import pytest

from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.clouds.registry import open_store
from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.store_access import METHODS, Value
from mcml_assets.domain.errors import ConfigurationError, CredentialsRejected
from mcml_assets.domain.topology import Credentials, Location, SecretReference, StoreAccess, StoreKind
from mcml_assets.emulation.accounts import OWNER
from mcml_assets.emulation.servers import Emulators
from mcml_assets_tests.clouds.emulated_buckets import make_bucket

METHODS_WITH_VALUES = [(kind, method) for kind, methods in METHODS.items() for method, takes in methods.items() if takes]


def location(kind: StoreKind, method: str, **values: str | SecretReference) -> Location:
    account = "account" if kind == "azure" else None
    access = StoreAccess(kind, "http://127.0.0.1:9", True, account, Credentials(method, values))
    return Location("aws", "eu-west-2", "UK", "bucket", Decimal(0), "USD", {}, access)


def opened(place: Location) -> ObjectStore:
    return open_store(place, Settings())


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This machine has no identity in any cloud, and asks no metadata service for one."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AZURE_CLIENT_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)


@pytest.mark.parametrize(("kind", "method"), METHODS_WITH_VALUES)
def test_a_variable_that_is_not_set_is_named(kind: StoreKind, method: str):
    """A secret whose variable is not set stops the first use, naming location, variable and key."""
    for name in METHODS[kind][method]:
        given = {other: "x" for other, rule in METHODS[kind][method].items() if rule is not Value.OPTIONAL_SECRET}
        store = opened(location(kind, method, **{**given, name: SecretReference("MCML_NOT_SET")}))
        with pytest.raises(ConfigurationError, match=rf"aws/eu-west-2: .*MCML_NOT_SET is not set; .*'{name}'"):
            store.get("a")


@pytest.mark.parametrize("kind", ["s3", "gcs", "azure"])
def test_a_method_of_another_cloud_is_refused(kind: StoreKind):
    """A method that the kind of store does not know is told by its name."""
    with pytest.raises(ConfigurationError, match=f"aws/eu-west-2: a store of kind '{kind}' knows no method 'none'"):
        opened(location(kind, "none")).get("a")


@pytest.mark.parametrize(
    ("kind", "method", "values", "told"),
    [
        ("s3", "workload_identity", {}, "AWS gives no credentials by method 'workload_identity'"),
        ("s3", "role", {"role_arn": "arn:aws:iam::123456789012:role/none"}, "AWS gives no credentials by method 'role'"),
        ("gcs", "workload_identity", {}, "this machine has no Google identity"),
        ("azure", "workload_identity", {}, "Azure gives no token by method 'workload_identity'"),
    ],
)
def test_a_machine_without_identity_is_told(kind: StoreKind, method: str, values: dict[str, str], told: str):
    """Where the machine has no identity in a cloud, that location is unavailable, and the method is named."""
    with pytest.raises(CredentialsRejected, match=f"aws/eu-west-2 is unavailable: {told}"):
        opened(location(kind, method, **values)).get("a")


def test_an_unknown_profile_is_told():
    """A profile that is not configured is a mistake of the topology, not an outage."""
    with pytest.raises(ConfigurationError, match=r"aws/eu-west-2: .*\(lab\) could not be found; add it to ~/\.aws/config"):
        opened(location("s3", "profile", profile="lab")).get("a")


@pytest.mark.parametrize(("text", "told"), [(None, "cannot be read: No such file"), ("{}", "is no key file")])
def test_a_key_file_that_is_none_is_told(tmp_path: Path, text: str | None, told: str):
    """A key file that is missing, or is something else, is told with its path."""
    path = tmp_path / "key.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigurationError, match=rf"aws/eu-west-2: .*key\.json {told}|key\.json.*{told}"):
        opened(location("gcs", "key_file", path=str(path))).get("a")


@pytest.mark.live
@pytest.mark.parametrize("method", ["profile", "role"])
def test_a_profile_and_an_assumed_role_open_the_bucket(
    emulators: Emulators, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, method: str
):
    """S3 is entered by a profile of the configuration file, and by a role that the profile's user assumes."""
    place = make_bucket("s3", emulators, monkeypatch.setenv)
    keys, endpoint = emulators.owner_keys, emulators.endpoints["s3"]
    written = (
        f"aws_access_key_id = {keys.access_key_id}\naws_secret_access_key = {keys.secret_access_key}\n"
        f"sts = {endpoint}\nendpoint_url = {endpoint}\n"
    )
    (tmp_path / "config").write_text(f"[default]\n{written}[profile lab]\n{written}")
    values: dict[str, str | SecretReference] = {"profile": "lab"}
    if method == "role":
        values = {"role_arn": make_role(emulators)}
    store = opened(replace(place, store=replace(place.store, credentials=Credentials(method, values))))
    store.put("a", b"1")
    assert store.get("a") == b"1"


def make_role(emulators: Emulators) -> str:
    """A role that may do everything in S3, and that everybody may assume."""
    import boto3

    keys = emulators.owner_keys
    iam = boto3.client(
        "iam",
        region_name="us-east-1",
        endpoint_url=emulators.endpoints["s3"],
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
    )
    assume = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}]}
    iam.put_user_policy(UserName=OWNER, PolicyName="assume", PolicyDocument=json.dumps(assume))
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
    name = f"reader-{token_hex(4)}"
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", **trust}))
    allowed = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    iam.put_role_policy(RoleName=name, PolicyName="s3", PolicyDocument=json.dumps(allowed))
    return role["Role"]["Arn"]
