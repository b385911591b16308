"""What a topology file says, and what is told when it is wrong."""

from decimal import Decimal
from pathlib import Path

import pytest

from mcml_assets.configuration.settings import TOPOLOGIES
from mcml_assets.configuration.topology import load_topology
from mcml_assets.domain.errors import ConfigurationError

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
        ("two", "one", 16, "clouds.gcp.regions.europe-west2.bucket: 'one' is already the bucket of aws/eu-west-2"),
        ("[small]", "[smal]", 9, f"{AWS}.compute_profiles[0]: unknown compute profile 'smal'; did you mean 'small'?"),
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


def test_every_shipped_topology_has_three_clouds_in_each_jurisdiction() -> None:
    """What ships lets a workload survive the loss of a cloud in every jurisdiction it offers."""
    files = sorted(TOPOLOGIES.glob("*.yaml"))
    assert TOPOLOGIES / "local.yaml" in files
    for file in files:
        topology = load_topology(file)
        for jurisdiction in ("UK", "EU", "US"):
            clouds = {one.cloud for one in topology.locations.values() if one.jurisdiction == jurisdiction}
            assert clouds == {"aws", "gcp", "azure"}, f"{file.name}: {jurisdiction}"
