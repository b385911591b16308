"""What people may write about compute, and what a pod asks for: one mistake, one line that says what would be right."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from mcml_assets.compute.pods import pod_labels, pod_spec, settings
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
        (
            "home_claim: home",
            "home_claim: home, topology_configmap: mcml-topology",
            f"{WHERE}.compute.topology_configmap: unknown key; did you mean 'topology_config_map'?",
        ),
        (
            "home_claim: home",
            "home_claim: home, secret: MCML_SECRETS",
            f"{WHERE}.compute.secret: 'MCML_SECRETS' does not match ",
        ),
        (
            "home_claim: home",
            "home_claim: home, ray_token_secret: mcml-ray",
            f"{WHERE}.compute.ray_token_secret: there is no Ray cluster to give it to: ray is missing; add ray: ",
        ),
        (
            "home_claim: home",
            "home_claim: home, ray: local, ray_token_secret: mcml-ray",
            f"{WHERE}.compute.ray_token_secret: a local Ray asks for no token; add ray: ",
        ),
        (
            "home_claim: home",
            "home_claim: home, ray: head",
            f"{WHERE}.compute.ray: must be head:6379, ray://head:10001, auto or local (it is 'head')",
        ),
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


NAMES = {
    "topology_config_map": "mcml-topology",
    "secret": "mcml-secrets",
    "ray": "ray://mcml-head-svc.mcml:10001",
    "ray_token_secret": "mcml",
}


def pod_of(access: ClusterCompute, cloud: str = "aws") -> Any:
    """The pod as it is sent to the cluster, made by Dagster's own client code and valid by Kubernetes' schema."""
    from dagster_k8s.pipes import build_pod_body
    from kubernetes.client import ApiClient

    told = settings(access, {"MCML_TOPOLOGY": "/elsewhere.yaml", "MCML_PROFILE": "production", "MCML_REGISTER_TOKEN": "held"})
    spec = pod_spec(access, ComputeProfile("small", 1, 1), cloud)
    made = build_pod_body("work", None, ["python"], told, {"labels": pod_labels(cloud)}, spec)
    sent: Any = ApiClient().sanitize_for_serialization(made)
    kubernetes_validate.validate({"apiVersion": "v1", "kind": "Pod", **sent}, "1.31", strict=True)
    return sent


@pytest.mark.parametrize("left_out", [(), *((name,) for name in NAMES if name != "ray"), tuple(NAMES)])
def test_a_pod_gets_what_the_topology_names_for_it_and_nothing_else(
    written: Callable[..., Topology], left_out: tuple[str, ...]
) -> None:
    """The topology's file from its ConfigMap, variables from the Secret, Ray's token from the cluster's own: each only where it
    is named, and no secret of the control plane in the pod's own text.
    """
    named = {name: value for name, value in NAMES.items() if name not in left_out}
    block = "home_claim: home" + "".join(f', {name}: "{value}"' for name, value in named.items())
    access = written(("home_claim: home", block)).location("aws/eu-west-2").compute
    assert isinstance(access, ClusterCompute)
    sent = pod_of(access)
    (container,) = sent["spec"]["containers"]
    variables = {each["name"]: each.get("value") or each["valueFrom"] for each in container["env"]}
    mounts = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
    volumes = {each["name"]: each for each in sent["spec"]["volumes"]}
    if "topology_config_map" in named:
        assert variables["MCML_TOPOLOGY"] == "/etc/mcml/topology/topology.yaml"
        assert volumes[mounts["/etc/mcml/topology"]]["configMap"] == {"name": "mcml-topology"}
    else:
        assert variables["MCML_TOPOLOGY"] == "/elsewhere.yaml"
        assert mounts.keys() == {"/var/lib/mcml"}
    expected = [{"secretRef": {"name": "mcml-secrets"}}] if "secret" in named else []
    assert container.get("envFrom", []) == expected
    token = {"secretKeyRef": {"name": "mcml", "key": "auth_token"}} if "ray_token_secret" in named else None
    assert variables.get("RAY_AUTH_TOKEN") == token
    assert variables.get("RAY_AUTH_MODE") == ("token" if token else None)
    assert (variables["MCML_PROFILE"], variables["MCML_HOME"]) == ("production", "/var/lib/mcml")
    assert "held" not in str(sent)
    assert sent["spec"]["serviceAccountName"] == "work"


@pytest.mark.parametrize("cloud", ["aws", "gcp", "azure"])
def test_in_azure_a_pod_asks_for_its_identity_s_token(cloud: str) -> None:
    """Its webhook gives none to pods without the label; the others need none."""
    asked = "azure.workload.identity/use" in pod_of(ACCESS, cloud)["metadata"]["labels"]
    assert asked is (cloud == "azure")
