"""What people may write about compute, and what a pod asks for: one mistake, one line that says what would be right."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mcml_assets.compute.pods import pod_spec
from mcml_assets.configuration.topology import load_topology
from mcml_assets.configuration.workload import load_workload
from mcml_assets.domain.compute_access import ClusterCompute, ComputeProfile, in_order
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.topology import Topology
from mcml_assets_tests.configuration.workload_files import write_workload

TOPOLOGY = """
compute_profiles:
  small: {cpu: 1, memory_gib: 1}
  large: {cpu: 8, memory_gib: 32, accelerator: l4, fallback: [spot, small]}
  spot: {cpu: 8, memory_gib: 32, spot: true}
clouds:
  aws:
    store: {kind: s3}
    compute_profiles:
      spot: {cpu: 4, memory_gib: 16, spot: true, node_selector: {karpenter.sh/nodepool: spot}}
    regions:
      eu-west-2:
        jurisdiction: UK
        bucket: one
        compute_profiles: [small, large, spot]
        egress_price: 0.09
        currency: USD
        credentials: {method: workload_identity}
        compute:
          {platform: kubernetes, context: eks, namespace: mcml, service_account: work, image: "r/mcml:1", home_claim: home}
"""
WHERE = "clouds.aws.regions.eu-west-2"


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Topology]:
    """A topology of one location, with something replaced."""

    def write(*changes: tuple[str, str]) -> Topology:
        text = TOPOLOGY
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        (tmp_path / "written.yaml").write_text(text)
        return load_topology(tmp_path / "written.yaml")

    return write


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[spot, small]", "[spot, large]", f"{WHERE}.compute_profiles[1]: compute profile 'large' falls back to itself"),
        (
            "[small, large, spot]",
            "[small, large]",
            f"{WHERE}.compute_profiles[1]: compute profile 'large' falls back to 's",
        ),
        (
            "platform: kubernetes",
            "platform: kubernets",
            f"{WHERE}.compute.platform: unknown platform 'kubernets'; did you",
        ),
        ("home_claim: home", "home_claims: home", f"{WHERE}.compute.home_claims: unknown key; did you mean 'home_claim'?"),
        ("{kind: s3}", "{kind: local}", f"{WHERE}.compute.platform: 'kubernetes' works on a bucket, and this location's is a"),
        ("spot: true}\nclouds", "spott: true}\nclouds", "compute_profiles.spot.spott: unknown key; did you mean 'spot'?"),
    ],
)
def test_a_mistake_about_compute_is_told_with_its_line(written: Callable[..., Topology], old: str, new: str, said: str) -> None:
    """Each names the file, the line, the key, and what would be right."""
    changes = [(old, new)]
    if "local" in new:
        changes.append(("        credentials: {method: workload_identity}\n", ""))
    with pytest.raises(ConfigurationError) as raised:
        written(*changes)
    assert said in str(raised.value)
    assert "written.yaml:" in str(raised.value)


def test_profiles_are_tried_in_the_written_order_and_as_the_cloud_has_them(written: Callable[..., Topology]) -> None:
    """A fallback's own fallbacks are not followed, and a cloud's own profile takes the place of the common one."""
    profiles = written().location("aws/eu-west-2").compute_profiles
    assert [profile.name for profile in in_order("large", profiles)] == ["large", "spot", "small"]
    assert profiles["spot"].cpu == 4
    assert profiles["spot"].node_selector == {"karpenter.sh/nodepool": "spot"}


def test_work_of_a_location_with_a_cluster_must_name_its_profile(tmp_path: Path, written: Callable[..., Topology]) -> None:
    """Else the run, in another cloud's cluster, would take the data; and a fallback says how far models may differ."""
    file = write_workload(tmp_path / "churn", ("compute_profile: small", "compute_profile: small"))
    text = file.read_text()
    start, end = text.index("  placements:"), text.index("  rto_seconds")
    file.write_text(text[:start] + "  placements:\n    UK:\n      - location: aws/eu-west-2\n" + text[end:])
    with pytest.raises(ConfigurationError) as raised:
        load_workload(file, written(), exported=False)
    assert "features: compute_profile is missing: work of aws/eu-west-2 runs in that location's own cluster" in str(
        raised.value
    )
    assert "training: compute_profile is missing" in str(raised.value)
    file.write_text(file.read_text().replace("  training:\n", "  training:\n    compute_profile: large\n"))
    with pytest.raises(ConfigurationError, match="equivalence_tolerance is missing: profile 'large' may fall back to"):
        load_workload(file, written(), exported=False)


ACCESS = ClusterCompute("eks", "mcml", "work", "r/mcml:1", "home", 600)


@pytest.mark.parametrize("cloud", ["aws", "gcp", "azure"])
def test_a_spot_profile_asks_for_the_clouds_spot_nodes(cloud: str) -> None:
    """Every provider marks them by its own label, and keeps pods off them that do not tolerate it."""
    spec = pod_spec(ACCESS, ComputeProfile("spot", 2, 4, spot=True, node_selector={"disk": "fast"}), cloud)
    (toleration,) = spec["tolerations"]
    assert spec["node_selector"] == {"disk": "fast", toleration["key"]: toleration["value"]}


def test_only_a_profile_with_an_accelerator_asks_for_one() -> None:
    """One GPU as a limit, which Kubernetes takes as the request; cores and memory are both."""
    plain, gpu = (pod_spec(ACCESS, ComputeProfile("one", 2, 0.5, accelerator), "aws") for accelerator in (None, "l4"))
    assert plain["containers"][0]["resources"] == {
        "requests": {"cpu": "2", "memory": "512Mi"},
        "limits": {"cpu": "2", "memory": "512Mi"},
    }
    assert gpu["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in gpu["containers"][0]["resources"]["requests"]
