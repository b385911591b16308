"""What a topology file says, and what is told when it is wrong."""

from decimal import Decimal
from pathlib import Path

import pytest

from mcml_assets.configuration.settings import TOPOLOGIES
from mcml_assets.configuration.topology import load_topology
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.topology import Credentials, SecretReference, StoreAccess

SOUND = """\
compute_profiles:
  small: {cpu: 1, memory_gib: 1}
clouds:
  aws:
    regions:
      eu-west-2: &london
        jurisdiction: UK
        bucket: one
        compute_profiles: [small]
        egress_price: 0.09
        currency: USD
  gcp:
    regions:
      europe-west2:
        <<: *london
        bucket: two
"""


AWS = "clouds.aws.regions.eu-west-2"


@pytest.mark.parametrize(
    ("old", "new", "line", "told"),
    [
        (
            "two",
            "one",
            16,
            "clouds.gcp.regions.europe-west2.bucket: 'one' is already the bucket of aws/eu-west-2: give each location its own",
        ),
        ("[small]", "[smal]", 9, f"{AWS}.compute_profiles[0]: unknown compute profile 'smal'; did you mean 'small'?"),
        ("clouds:\n", "digest: sha1\nclouds:\n", 3, "digest: unknown value 'sha1'; did you mean 'sha256'?"),
        ("jurisdiction", "jurisdicton", 7, f"{AWS}.jurisdicton: unknown key; did you mean 'jurisdiction'?"),
        ("0.09", "free", 10, f"{AWS}.egress_price: must be a valid decimal (it is 'free')"),
        ("cpu: 1,", "cpu: 0,", 2, "compute_profiles.small.cpu: must be greater than 0 (it is 0)"),
        ("one", "A B", 8, f"{AWS}.bucket: 'A B' does not match ^[a-z0-9][a-z0-9-]{{1,61}}[a-z0-9]$"),
        ("regions:\n      eu", "regoins:\n      eu", 5, "clouds.aws.regoins: unknown key; did you mean 'regions'?"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, old: str, new: str, line: int, told: str) -> None:
    """A wrong topology stops the start with the line and the key, and the nearest choice where there is one."""
    file = tmp_path / "lab.yaml"
    file.write_text(SOUND.replace(old, new))
    with pytest.raises(ConfigurationError) as raised:
        load_topology(file)
    assert f"{file}:{line}: {told}" in str(raised.value).splitlines()


REMOTE = """\
compute_profiles:
  small: {cpu: 1, memory_gib: 1}
clouds:
  aws:
    store: {kind: s3, endpoint: "https://s3.example.com"}
    regions:
      eu-west-2: &region
        jurisdiction: UK
        bucket: one
        compute_profiles: [small]
        egress_price: 0.09
        currency: USD
        credentials:
          method: keys
          access_key_id: {env: LONDON_KEY}
          secret_access_key: {env: LONDON_SECRET}
  azure:
    store: {kind: azure, endpoint: "http://127.0.0.1:15002/{account}", allow_http: true, account: mcmleurope}
    regions:
      uksouth:
        <<: *region
        bucket: two
        account: mcmluk
        credentials: {method: key, account_key: {env: UKSOUTH_KEY}}
  gcp:
    regions:
      europe-west2:
        <<: *region
        bucket: three
        credentials: null
"""
PASTED = "wJalrXUtnFEMIK7MDENG"
KEYS = f"{AWS}.credentials"


@pytest.mark.parametrize(
    ("old", "new", "line", "told"),
    [
        ("{env: LONDON_SECRET}", PASTED, 16, f"{KEYS}.secret_access_key: a secret must not be written here"),
        ("{env: LONDON_KEY}", PASTED, 15, f"{KEYS}.access_key_id: a secret must not be written here"),
        ("{env: LONDON_KEY}", f"{{value: {PASTED}}}", 15, f"{KEYS}.access_key_id: must be {{env: NAME}}, with the name"),
        ("{env: LONDON_KEY}", f"{{env: {PASTED}}}", 15, f"{KEYS}.access_key_id: must be {{env: NAME}}, with the name"),
        ("secret_access_key:", "secret_acess_key:", 16, f"{KEYS}.secret_acess_key: unknown key of method 'keys'; did you mean"),
        ("          access_key_id: {env: LONDON_KEY}\n", "", 13, f"{KEYS}.access_key_id: this key is missing"),
        ("method: keys", "method: key", 14, f"{KEYS}.method: unknown method of a store of kind 's3'; did you mean 'keys'?"),
        ("kind: s3", "kind: s4", 5, "clouds.aws.store.kind: unknown value 's4'; did you mean 's3'?"),
        ("kind: s3", "kind: gcs", 14, f"{KEYS}.method: unknown method of a store of kind 'gcs'"),
        ("https://s3", "http://s3", 5, "clouds.aws.store.endpoint: has no TLS: write https, or allow_http: true"),
        ("https://s3", f"https://me:{PASTED}@s3", 5, "clouds.aws.store.endpoint: must not carry credentials"),
        ("https://s3.example.com", PASTED, 5, "clouds.aws.store.endpoint: must be an address such as"),
        ("kind: s3,", "kind: local,", 5, "clouds.aws.store.endpoint: a local store has no endpoint"),
        ("kind: s3,", "kind: s3, account: mcml,", 5, "clouds.aws.store.account: only azure has storage accounts"),
        ("{method: key, account_key: {env: UKSOUTH_KEY}}", PASTED, 24, "credentials: must be a mapping with a method"),
        ("{method: key, account_key: {env: UKSOUTH_KEY}}", "null", 24, "credentials: this key is missing: a store"),
        ("credentials: null", f"credentials: {PASTED}", 30, "credentials: a local store takes no credentials"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_store_is_told_and_no_secret(tmp_path: Path, old: str, new: str, line: int, told: str) -> None:
    """A wrong store or credential is told with its line and key, and a secret that was written is never repeated."""
    file = tmp_path / "lab.yaml"
    assert old in REMOTE
    file.write_text(REMOTE.replace(old, new, 1))
    with pytest.raises(ConfigurationError) as raised:
        load_topology(file)
    assert any(said.startswith(f"{file}:{line}: ") and told in said for said in str(raised.value).splitlines())
    assert PASTED not in str(raised.value)


def test_an_azure_location_needs_an_account(tmp_path: Path) -> None:
    """A container without a storage account is told at the region that lacks one."""
    file = tmp_path / "lab.yaml"
    file.write_text(REMOTE.replace(", account: mcmleurope", "").replace("        account: mcmluk\n", ""))
    with pytest.raises(ConfigurationError, match=r"azure\.regions\.uksouth\.account: this key is missing"):
        load_topology(file)


def test_a_topology_says_how_each_store_is_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kind, address and account come from the cloud, credentials from the region, and secrets stay names."""
    monkeypatch.setenv("LONDON_SECRET", PASTED)
    file = tmp_path / "lab.yaml"
    file.write_text(REMOTE)
    topology = load_topology(file)
    london = topology.location("aws/eu-west-2").store
    keys = {"access_key_id": SecretReference("LONDON_KEY"), "secret_access_key": SecretReference("LONDON_SECRET")}
    assert london == StoreAccess("s3", "https://s3.example.com", False, None, Credentials("keys", keys))
    azure = topology.location("azure/uksouth").store
    assert (azure.endpoint, azure.allow_http, azure.account) == ("http://127.0.0.1:15002/mcmluk", True, "mcmluk")
    assert topology.location("gcp/europe-west2").store == StoreAccess()
    assert PASTED not in repr(topology)


PARIS = """\
      eu-west-3:
        <<: *london
        bucket: three
"""


@pytest.mark.parametrize(
    ("origin", "changed", "told"),
    [
        ("aws/eu-west-9", {}, "unknown location 'aws/eu-west-9'; did you mean 'aws/eu-west-3'?"),
        ("aws/eu-west-2", {}, "aws/eu-west-2 reads its own bucket anyway: remove it"),
        ("gcp/europe-west2", {}, "gcp/europe-west2 is in another cloud, which aws cannot copy from by itself: remove it"),
        (
            "aws/eu-west-3",
            {"bucket: three": "bucket: three\n        jurisdiction: EU"},
            "lies in EU, aws/eu-west-2 in UK: remove it",
        ),
        ("aws/eu-west-3", {}, "between local folders nothing is copied without being read: remove it"),
    ],
)
def test_what_a_provider_cannot_copy_by_itself_is_refused(
    tmp_path: Path, origin: str, changed: dict[str, str], told: str
) -> None:
    """A bucket of another cloud, law or kind, or of nobody, is no source of server-side copies; the line is named."""
    file = tmp_path / "lab.yaml"
    text = SOUND.replace("  gcp:\n", PARIS + "  gcp:\n").replace(
        "bucket: one\n", f"bucket: one\n        copies_from: [{origin}]\n"
    )
    for old, new in changed.items():
        text = text.replace(old, new)
    file.write_text(text)
    with pytest.raises(ConfigurationError) as raised:
        load_topology(file)
    assert f"{file}:9: {AWS}.copies_from[0]: " in str(raised.value)
    assert told in str(raised.value)


def test_a_location_says_from_where_its_provider_may_copy(tmp_path: Path) -> None:
    """What is named is a location with all that is written of it; nobody may read another bucket unless it is named."""
    file = tmp_path / "lab.yaml"
    keys = "credentials: {method: profile, profile: uk}"
    text = SOUND.replace("  gcp:\n", PARIS + "  gcp:\n").replace("  aws:\n", "  aws:\n    store: {kind: s3}\n")
    text = text.replace("bucket: one\n", f"bucket: one\n        {keys}\n").replace(
        "bucket: two\n", "bucket: two\n        credentials: null\n"
    )
    file.write_text(text.replace("bucket: three\n", "bucket: three\n        copies_from: [aws/eu-west-2]\n"))
    topology = load_topology(file)
    assert topology.location("aws/eu-west-3").copies_from == {"aws/eu-west-2": topology.location("aws/eu-west-2")}
    assert topology.location("aws/eu-west-2").copies_from == {}


def test_a_missing_topology_is_told(tmp_path: Path) -> None:
    """A profile without a file says which file was looked for."""
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml:1: the file cannot be read: No such file"):
        load_topology(tmp_path / "nowhere.yaml")


def test_a_topology_says_what_was_written(tmp_path: Path) -> None:
    """The profile is named by its file; prices are exact; anchors and merge keys work as in any YAML."""
    file = tmp_path / "lab.yaml"
    file.write_text(SOUND)
    topology = load_topology(file)
    assert (topology.profile, topology.clouds, topology.jurisdictions) == ("lab", ("aws", "gcp"), ("UK",))
    gcp = topology.location("gcp/europe-west2")
    assert (gcp.bucket, gcp.egress_price, gcp.currency) == ("two", Decimal("0.09"), "USD")
    assert gcp.compute_profiles["small"].memory_gib == 1
    assert topology.digest == "blake3"


def test_every_shipped_topology_has_three_clouds_in_each_jurisdiction() -> None:
    """What ships lets a workload survive the loss of a cloud in every jurisdiction it offers."""
    files = sorted(TOPOLOGIES.glob("*.yaml"))
    assert TOPOLOGIES / "local.yaml" in files
    for file in files:
        topology = load_topology(file)
        for jurisdiction in ("UK", "EU", "US"):
            clouds = {one.cloud for one in topology.locations.values() if one.jurisdiction == jurisdiction}
            assert clouds == {"aws", "gcp", "azure"}, f"{file.name}: {jurisdiction}"


def test_too_few_clouds_for_a_register_are_told_with_the_line_and_what_is_not_guaranteed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A topology of two clouds loads, and says that neither may be lost; one of three says nothing."""
    file = tmp_path / "lab.yaml"
    file.write_text(SOUND)
    load_topology(file)
    load_topology(file)
    [told] = [record.getMessage() for record in caplog.records]
    assert told == (
        f"{file}:3: clouds: the register of acting locations is to be kept in 3 clouds, and there are 2: with either of aws "
        "and gcp down nobody can tell who is acting, although the other one answers, so no work moves to another location "
        "then and nothing is committed; add a cloud"
    )
    caplog.clear()
    load_topology(TOPOLOGIES / "local.yaml")
    assert not caplog.records
