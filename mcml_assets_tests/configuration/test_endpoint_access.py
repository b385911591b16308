"""What a topology says about where endpoints run, and what is told when it is wrong."""

from pathlib import Path

import pytest
import yaml

from mcml_assets.configuration.topology import load_topology
from mcml_assets.domain.endpoint_access import ClusterEndpoints, LocalEndpoints, SageMakerEndpoints, Shift
from mcml_assets.domain.errors import ConfigurationError

KSERVE = """\
{
          platform: kserve,
          context: eks-london,
          namespace: mcml,
          service_account: mcml-server,
          image: "registry.example.com/mcml-assets:0.1.0",
          ingress: "https://ingress.example.com",
        }"""
SAGEMAKER = """\
{
          platform: sagemaker,
          role_arn: "arn:aws:iam::000000000000:role/mcml-sagemaker",
          image: "000000000000.dkr.ecr.eu-west-2.amazonaws.com/mcml-assets:0.1.0",
          instance_type: ml.m5.large,
          alarms: [errors-high],
        }"""
TOPOLOGY = """\
compute_profiles:
  small: {cpu: 1, memory_gib: 1}
clouds:
  aws:
    store: {kind: s3}
    regions:
      eu-west-2:
        jurisdiction: UK
        bucket: one
        credentials: {method: workload_identity}
        compute_profiles: [small]
        egress_price: 0.09
        currency: USD
        endpoints: ENDPOINTS
"""
KEY = "clouds.aws.regions.eu-west-2.endpoints"


def write(folder: Path, endpoints: str, *changes: tuple[str, str]) -> Path:
    text = TOPOLOGY.replace("ENDPOINTS", endpoints)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = folder / "lab.yaml"
    file.write_text(text)
    return file


def test_each_location_says_where_its_endpoints_run(tmp_path: Path) -> None:
    """A location names its platform and how it is reached; without a word its endpoints are processes of this machine."""

    def loaded(endpoints: str) -> object:
        return load_topology(write(tmp_path, endpoints)).location("aws/eu-west-2").endpoints

    assert loaded("{platform: local}") == LocalEndpoints() == loaded("null")
    cluster = loaded(KSERVE)
    assert cluster == ClusterEndpoints(
        "kserve", "eks-london", "mcml", "mcml-server", "registry.example.com/mcml-assets:0.1.0", "https://ingress.example.com"
    )
    sagemaker = loaded(SAGEMAKER)
    assert isinstance(sagemaker, SageMakerEndpoints)
    assert (sagemaker.alarms, sagemaker.shift, sagemaker.address) == (("errors-high",), Shift(10, 300, 300), None)


@pytest.mark.parametrize(
    ("endpoints", "changes", "line", "told"),
    [
        ("kserve", (), 14, ": must be a mapping with a platform: local | kserve | kserve-standard | sagemaker"),
        ("{platform: kserv}", (), 14, ".platform: unknown platform 'kserv'; did you mean 'kserve'?"),
        ("{namespace: mcml}", (), 14, ".platform: this key is missing"),
        (KSERVE, (("namespace: mcml", "namespce: mcml"),), 17, ".namespce: unknown key; did you mean 'namespace'?"),
        (KSERVE, (("          service_account: mcml-server,\n", ""),), 14, ".service_account: this key is missing"),
        (
            KSERVE,
            (("https://ingress.example.com", "http://ingress.example.com"),),
            20,
            ".ingress: must be https://..., or http:// on loopback, without credentials",
        ),
        (
            KSERVE,
            (("namespace: mcml", "namespace: MCML"),),
            17,
            ".namespace: 'MCML' does not match ^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
        ),
        (
            KSERVE,
            (("{kind: s3}", "{kind: local}"), ("        credentials: {method: workload_identity}\n", "")),
            14,
            ".platform: 'kserve' reads packages from a bucket, and this location's is a local folder",
        ),
        (
            SAGEMAKER,
            (("{kind: s3}", "{kind: gcs}"),),
            15,
            ".platform: 'sagemaker' reads packages from S3, and this location's store is of kind 'gcs'",
        ),
        (SAGEMAKER, (("[errors-high]", "[]"),), 19, ".alarms: is empty: at least one is needed"),
        (
            SAGEMAKER,
            (("[errors-high],", "[errors-high], shift: {percent: 80},"),),
            19,
            ".shift.percent: must be less than or equal to 50 (it is 80)",
        ),
        (
            SAGEMAKER,
            (("[errors-high],", '[errors-high], address: "http://sagemaker.example.com",'),),
            19,
            ".address: must be https://..., or http:// on loopback, without credentials",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line(
    tmp_path: Path, endpoints: str, changes: tuple[tuple[str, str], ...], line: int, told: str
) -> None:
    """What is wrong about a platform stops the start with line and key, and the nearest choice where there is one."""
    file = write(tmp_path, endpoints, *changes)
    yaml.safe_load(file.read_text())
    with pytest.raises(ConfigurationError) as raised:
        load_topology(file)
    lines = str(raised.value).splitlines()
    assert any(one.endswith(f"{KEY}{told}") or f"{KEY}{told};" in one for one in lines), lines
    assert all(one.startswith(f"{file}:{line}: ") for one in lines), lines
