"""Promises of the chart, in every cloud: Helm and Kubernetes accept it, pods are held to the restricted profile, each has its
own identity, nothing is reached that need not be, and what the laptop runs is what the cluster runs.
"""

import json
from pathlib import Path
from typing import Any

import helm_python as helm
import kubernetes_validate
import pytest
import yaml
from typer.testing import CliRunner

from mcml_assets.cli import app
from mcml_assets.configuration.settings import PROJECT_ROOT
from mcml_assets_tests.deploy.chart import CHART, CLOUDS, ENDPOINTS, NAMESPACE, named, pods, render, rendered, values

# What the chart says of runs, which no template of it makes.
RUN_LABELS = {"app.kubernetes.io/instance": "mcml", "app.kubernetes.io/component": "run"}
WARNING = 2


@pytest.mark.parametrize("cloud", CLOUDS)
def test_helm_lints_it(cloud: str) -> None:
    """Helm's own linter, told to be strict, warns of nothing."""
    report = helm.lint(CHART, values(cloud), strict=True, namespace=NAMESPACE, kube_version="v1.31.0")
    assert report["errors"] == []
    assert [message for message in report["messages"] if message["severity"] >= WARNING] == []


@pytest.mark.parametrize("role", ["active", "standby"])
@pytest.mark.parametrize("cloud", CLOUDS)
def test_kubernetes_knows_every_field(cloud: str, role: str) -> None:
    """Every object is valid by Kubernetes' own schema, with no field that it does not know; no two share a name."""
    objects = rendered(cloud, role)
    assert len(objects) > 30
    for one in objects:
        kubernetes_validate.validate(one, "1.31", strict=True)
    names = [(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in objects]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"image": {"repository": ""}}, "repository"),
        ({"topology": ""}, "topology"),
        ({"edge": {"enable": False}}, "enable"),
        ({"controlPlane": {"role": "primary"}}, "role"),
        ({"controlPlane": {"daemons": 3}}, "daemons"),
        ({"secretName": "other"}, "secretName"),
        ({"settings": {"EDGE_PORT": "1"}}, "EDGE_PORT"),
        ({"state": {"storageClass": ""}}, "storageClass"),
        ({"networkPolicies": {"https": {"cidrs": []}}}, "cidrs"),
    ],
)
def test_a_wrong_value_is_refused(changed: dict[str, Any], said: str) -> None:
    """A value that is missing, misspelt or meaningless stops Helm, which names it."""
    with pytest.raises(helm.HelmError, match=said):
        helm.Chart.load(CHART).validate_schema(helm.Chart.load(CHART).merge_values(values("aws", **changed)))
    assert list(render(values("aws")))


def test_azure_needs_an_account_for_logs() -> None:
    """What only one cloud needs is asked for there."""
    with pytest.raises(helm.HelmError, match="account"):
        list(render(values("azure", computeLogs={"account": ""})))
    assert list(render(values("gcp", computeLogs={"account": ""})))


@pytest.mark.parametrize("cloud", CLOUDS)
def test_every_pod_fits_the_restricted_profile(cloud: str) -> None:
    """Each rule of Kubernetes' restricted pod security holds for every container, and beyond it its disk is read-only."""
    found = pods(rendered(cloud))
    assert found.keys() == {"daemon", "webserver", "code-location", "edge"}
    for component, pod in found.items():
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True, component
        assert spec["securityContext"]["runAsUser"] == 10001
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec.keys().isdisjoint({"hostNetwork", "hostPID", "hostIPC"})
        kinds = {kind for volume in spec["volumes"] for kind in volume if kind != "name"}
        assert kinds <= {"configMap", "emptyDir", "secret", "persistentVolumeClaim"}
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
            }  # fmt: skip
            assert all("hostPort" not in port for port in container.get("ports", []))
            assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("cloud", CLOUDS)
def test_every_pod_has_the_identity_of_its_work(cloud: str) -> None:
    """Service accounts carry what their cloud ties an identity by; the edge, which callers reach, may ask no cluster."""
    objects = rendered(cloud)
    key = {
        "aws": "eks.amazonaws.com/role-arn",
        "gcp": "iam.gke.io/gcp-service-account",
        "azure": "azure.workload.identity/client-id",
    }
    accounts = {one["metadata"]["name"]: one for one in objects if one["kind"] == "ServiceAccount"}
    assert accounts.keys() == {"mcml-control-plane", "mcml-runs", "mcml-edge", "mcml-server"}
    identities = {name: one["metadata"]["annotations"][key[cloud]] for name, one in accounts.items()}
    assert len(set(identities.values())) == len(identities)
    mounted = {name for name, one in accounts.items() if one["automountServiceAccountToken"]}
    assert mounted == {"mcml-control-plane", "mcml-runs"}
    bound = {subject["name"] for one in objects if one["kind"] == "RoleBinding" for subject in one["subjects"]}
    assert bound == {"mcml-control-plane", "mcml-runs"}
    assert not [one for one in objects if one["kind"].startswith("Cluster")]
    for component, pod in pods(objects).items():
        assert pod["spec"]["serviceAccountName"] == ("mcml-edge" if component == "edge" else "mcml-control-plane")
        assert (pod["metadata"]["labels"].get("azure.workload.identity/use") == "true") is (cloud == "azure")


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_instance_is_the_file_itself(cloud: str) -> None:
    """What is mounted as `dagster.yaml` is deploy/instance/dagster.yaml with the cloud's compute logs, not a copy that ages;
    every variable that it names is set, but the one secret.
    """
    objects = rendered(cloud)
    instance = PROJECT_ROOT / "deploy" / "instance"
    mounted = yaml.safe_load(named(objects, "ConfigMap", "mcml-instance")["data"]["dagster.yaml"])
    logs = yaml.safe_load((instance / "compute_logs" / f"{cloud}.yaml").read_text())
    assert mounted == yaml.safe_load((instance / "dagster.yaml").read_text()) | logs
    settings = named(objects, "ConfigMap", "mcml-settings")["data"]
    assert set(_variables(mounted)) - settings.keys() == {"MCML_POSTGRES_URL"}
    launcher = mounted["run_launcher"]["config"]
    assert (launcher["env_config_maps"], launcher["env_secrets"]) == (["mcml-settings"], ["mcml-secrets"])
    named(objects, "ServiceAccount", settings["MCML_RUN_SERVICE_ACCOUNT"])
    named(objects, "ConfigMap", settings["MCML_INSTANCE_CONFIG_MAP"])
    file = f"{launcher['dagster_home']}/dagster.yaml"
    mounted_in = {component: _mounts(pod["spec"]) for component, pod in pods(objects).items()}
    assert {component for component, mounts in mounted_in.items() if file in mounts} == {"daemon", "webserver", "code-location"}
    workspace = "/etc/mcml/workspace"
    assert {component for component, mounts in mounted_in.items() if workspace in mounts} == {"daemon", "webserver"}


@pytest.mark.parametrize("cloud", CLOUDS)
def test_runs_get_what_the_code_server_has(cloud: str) -> None:
    """dagster-k8s reads the container context, and gives runs the code server's volumes (the shared state, the topology, the
    instance: a run's steps ask for it by DAGSTER_HOME) at the same paths, and their network's label.
    """
    from dagster_k8s.container_context import K8sContainerContext

    (container,) = pods(rendered(cloud))["code-location"]["spec"]["containers"]
    (written,) = (part.partition("=")[2] for part in container["args"] if part.startswith("--container-context="))
    context = K8sContainerContext.create_from_config(json.loads(written))
    made = context.run_k8s_config
    template = made.pod_template_spec_metadata.get("labels", {}) | dict(made.job_metadata.get("labels", {}))
    assert RUN_LABELS.items() <= (template | _labels(context)).items()
    code_location = pods(rendered(cloud))["code-location"]["spec"]
    mounts, volumes = made.container_config["volume_mounts"], made.pod_spec_config["volumes"]
    given = {"containers": [{"volumeMounts": mounts}], "volumes": volumes}
    in_camel_case = json.loads(json.dumps(given).replace("mount_path", "mountPath").replace("config_map", "configMap"))
    assert _mounts(in_camel_case) == _mounts(code_location)


def test_a_standby_decides_nothing() -> None:
    """In a standby no daemon runs and the UI only reads; everything else is as in the active one."""
    active, standby = rendered("aws"), rendered("aws", "standby")
    assert named(active, "Deployment", "mcml-daemon")["spec"]["replicas"] == 2
    assert named(standby, "Deployment", "mcml-daemon")["spec"]["replicas"] == 0
    (webserver,) = pods(standby)["webserver"]["spec"]["containers"]
    assert "--read-only" in webserver["args"]
    assert len(active) == len(standby)


def test_only_what_must_speak_may_speak() -> None:
    """Every pod, runs too, is closed; from outside the release only the UI and the edge are reached, each on its port; the
    edge, which callers reach, reaches no database and no code server.
    """
    objects = rendered("aws")
    policies = [one["spec"] for one in objects if one["kind"] == "NetworkPolicy"]
    labels = {component: pod["metadata"]["labels"] for component, pod in pods(objects).items()} | {"run": RUN_LABELS}
    reached: dict[str, set[int]] = {}
    reaches: dict[str, set[int]] = {}
    for component, own in labels.items():
        of_pod = [policy for policy in policies if _selects(policy["podSelector"], own)]
        assert {kind for policy in of_pod for kind in policy["policyTypes"]} == {"Ingress", "Egress"}
        reached[component] = {port["port"] for policy in of_pod for rule in policy.get("ingress", ()) for port in rule["ports"]}
        reaches[component] = {port["port"] for policy in of_pod for rule in policy.get("egress", ()) for port in rule["ports"]}
    assert reached == {"daemon": set(), "webserver": {3000}, "code-location": {4000}, "edge": {8080}, "run": set()}
    base = {53, 80, 443, 6443}
    assert reaches["edge"] == base
    assert reaches["run"] == base | {5432, 8080}
    assert reaches["webserver"] == base | {5432, 4000}
    assert reaches["daemon"] == base | {5432, 4000, 8080}


def test_rights_in_an_endpoint_namespace_are_those_of_the_page() -> None:
    """The role is the one that deploy/kubernetes/endpoint-role.yaml gives to an identity from elsewhere."""
    written = list(yaml.safe_load_all((PROJECT_ROOT / "deploy" / "kubernetes" / "endpoint-role.yaml").read_text()))
    (role,) = (one for one in written if one["kind"] == "Role")
    made = named(rendered("aws"), "Role", "mcml-endpoints")
    assert (made["rules"], made["metadata"]["namespace"]) == (role["rules"], ENDPOINTS)


def test_the_edge_starts_as_on_a_laptop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the pod's own settings `mcml edge config` prints a laptop's bootstrap, but that it listens for the cluster and asks
    who calls.
    """
    (container,) = pods(rendered("aws"))["edge"]["spec"]["containers"]
    monkeypatch.setenv("MCML_HOME", str(tmp_path))
    (tmp_path / "callers").mkdir()
    laptop = _bootstrap({"MCML_EDGE_CALLERS": str(tmp_path / "callers")}, monkeypatch)
    pod = {one["name"]: one["value"] for one in container["env"]}
    assert container["args"] == ["python", "-m", "mcml_assets.serving.data_plane"]
    cluster = _bootstrap(pod | {"MCML_EDGE_CALLERS": str(tmp_path / "callers")}, monkeypatch)
    (listener,) = cluster["static_resources"]["listeners"]
    assert listener["address"]["socket_address"].pop("address") == "0.0.0.0"  # noqa: S104 - a pod's
    laptop["static_resources"]["listeners"][0]["address"]["socket_address"].pop("address")
    assert cluster == laptop


def _bootstrap(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    printed = CliRunner().invoke(app, ["edge", "config"])
    assert printed.exit_code == 0, printed.output
    return json.loads(printed.stdout)["bootstrap"]


def _variables(part: Any) -> list[str]:
    if isinstance(part, dict):
        if part.keys() == {"env"} and isinstance(part["env"], str):
            return [part["env"]]
        return [name for value in part.values() for name in _variables(value)]
    return [name for value in part for name in _variables(value)] if isinstance(part, list) else []


def _mounts(spec: Any) -> dict[str, str]:
    """What a pod's only container finds where: the volume's name and, of a ConfigMap, which one."""
    (container,) = spec["containers"]
    volumes = {volume["name"]: volume.get("configMap", {}).get("name", "") for volume in spec["volumes"]}
    return {each["mountPath"]: f"{each['name']} {volumes[each['name']]}".strip() for each in container["volumeMounts"]}


def _labels(context: Any) -> dict[str, str]:
    return dict(getattr(context, "labels", None) or {})


def _selects(selector: Any, labels: dict[str, str]) -> bool:
    exact = all(labels.get(name) == value for name, value in selector.get("matchLabels", {}).items())
    return exact and all(labels.get(one["key"]) in one["values"] for one in selector.get("matchExpressions", ()))
