"""Promises of `mcml topology`: Terraform gets what the topology says, and the doctor tells where the two differ."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mcml_assets.cli import app
from mcml_assets.configuration.infrastructure import differences, infrastructure_variables, outputs_file
from mcml_assets.configuration.settings import TOPOLOGIES
from mcml_assets.configuration.topology import load_topology
from mcml_assets.doctor.checks import State
from mcml_assets.doctor.infrastructure import infrastructure_check
from mcml_assets.domain.endpoint_access import ClusterEndpoints
from mcml_assets.domain.errors import ConfigurationError

PRODUCTION = load_topology(TOPOLOGIES / "production.yaml")
AWS, GCP, AZURE = (PRODUCTION.location(key) for key in ("aws/eu-west-2", "gcp/europe-west2", "azure/uksouth"))
CLUSTER = ClusterEndpoints(
    platform="kserve-standard", context="eks", namespace="mcml-eu-west-2", service_account="mcml-server",
    image="registry.example.com:5000/mcml-assets:0.1.0",
)  # fmt: skip


def made(bucket: str, identity: str, registry: str = "registry.example.com:5000/mcml-assets") -> dict[str, Any]:
    """What `terraform output -json` prints."""
    values = {"bucket": bucket, "identities": {"write": identity, "read": "other"}, "registry": registry}
    return {name: {"sensitive": False, "value": value} for name, value in values.items()}


def test_every_location_has_its_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file for each location, of the same variables in each cloud; no secret, and no variable that a secret is in."""
    monkeypatch.setenv("MCML_PROFILE", "production")
    written = CliRunner().invoke(app, ["topology", "export", "--folder", str(tmp_path)])
    assert written.exit_code == 0, written.output
    files = {file.name: json.loads(file.read_text()) for file in tmp_path.iterdir()}
    assert files.keys() == {f"{key.replace('/', '.')}.tfvars.json" for key in PRODUCTION.locations}
    assert {frozenset(content.keys() - {"scope"}) for content in files.values()} == {
        frozenset({"location", "region", "jurisdiction", "bucket", "account", "copies_from", "endpoints"})
    }
    assert "_EXTERNAL_ID" not in "".join(map(json.dumps, files.values()))
    alone = CliRunner().invoke(app, ["topology", "export", "--location", AWS.key])
    assert json.loads(alone.stdout) == files["aws.eu-west-2.tfvars.json"]


def test_the_account_is_the_identity_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a location's identity says in which account or project it is, that is where everything is made."""
    scopes = {location.cloud: infrastructure_variables(location).get("scope") for location in (AWS, GCP, AZURE)}
    assert scopes == {"aws": "000000000000", "gcp": "example", "azure": None}
    clustered = replace(AWS, endpoints=CLUSTER, copies_from={"aws/eu-west-1": replace(AWS, bucket="other")})
    variables = infrastructure_variables(clustered)
    assert variables["endpoints"] == {"namespace": "mcml-eu-west-2", "service_account": "mcml-server"}
    assert variables["copies_from"] == ["other"]
    refused = CliRunner().invoke(app, ["topology", "export"])
    assert refused.exit_code == 2, refused.output
    monkeypatch.setenv("MCML_PROFILE", "production")
    unknown = CliRunner().invoke(app, ["topology", "export", "--location", "aws/eu-west-3"])
    assert unknown.exit_code == 2


@pytest.mark.parametrize("location", [AWS, GCP], ids=str)
def test_what_differs_is_named(location: Any, tmp_path: Path) -> None:
    """A bucket, an identity or a registry other than the topology's is told, with both names; equal ones are no finding."""
    clustered = replace(location, endpoints=CLUSTER)
    named = location.store.credentials.values["role_arn" if location is AWS else "service_account"]
    file = tmp_path / outputs_file(location.key)
    file.write_text(json.dumps(made(location.bucket, named)))
    assert infrastructure_check(clustered, tmp_path).state is State.OK
    file.write_text(json.dumps(made("elsewhere", "somebody", "another/registry")))
    assert [each.what for each in differences(clustered, file)] == ["bucket", "identity", "registry"]
    check = infrastructure_check(clustered, tmp_path)
    assert check.state is State.ERROR
    assert "elsewhere was made" in check.detail
    assert check.remedy is not None


@pytest.mark.parametrize("content", [None, "", "[]", '{"bucket": {"value": "b"}}'])
def test_outputs_that_cannot_be_read_are_unknown(content: str | None, tmp_path: Path) -> None:
    """Without Terraform's outputs nobody claims that there is no difference."""
    file = tmp_path / outputs_file(AZURE.key)
    if content is not None:
        file.write_text(content)
    assert infrastructure_check(AZURE, tmp_path).state is State.UNKNOWN
    with pytest.raises(ConfigurationError, match=r"uksouth\.outputs\.json"):
        list(differences(AZURE, file))
