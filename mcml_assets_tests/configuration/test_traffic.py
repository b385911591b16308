"""What a topology says about global load balancing, and what is told when it is wrong."""

from pathlib import Path

import pytest

from mcml_assets.configuration.topology import load_topology
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.topology import Credentials, SecretReference, StoreAccess
from mcml_assets.domain.traffic import AzureProfile, FrontDoorRoute, GoogleUrlMap, Route53Records

TOPOLOGY = """\
compute_profiles:
  small: {cpu: 1, memory_gib: 1}
clouds:
  aws:
    regions:
      eu-west-2: {jurisdiction: UK, bucket: one, compute_profiles: [small], egress_price: 0.09, currency: USD}
      eu-central-1: {jurisdiction: EU, bucket: two, compute_profiles: [small], egress_price: 0.09, currency: USD}
traffic:
  UK:
    shop:
      - kind: route53
        zone: Z0000
        name: shop.uk.example.com
        targets: {aws/eu-west-2: edge.example.com}
        credentials: {method: role, role_arn: "arn:aws:iam::000000000000:role/traffic", external_id: {env: TRAFFIC_ID}}
      - kind: google
        project: example
        url_map: predictions
        path_matcher: shop-uk
        targets: {aws/eu-west-2: edge-aws}
        credentials: {method: workload_identity}
      - kind: azure
        subscription: 00000000-0000-0000-0000-000000000000
        resource_group: edges
        profile: shop-uk
        dns_name: example-shop-uk
        targets: {aws/eu-west-2: edge.example.com}
        credentials: {method: managed_identity}
      - kind: front_door
        subscription: 00000000-0000-0000-0000-000000000000
        resource_group: edges
        profile: door
        endpoint: shop
        route: uk
        targets: {aws/eu-west-2: edge.example.com}
        credentials: {method: workload_identity}
"""
HERE = "traffic.UK.shop"


def test_each_workload_has_its_services(tmp_path: Path) -> None:
    """What is written is what publishes: by workload and jurisdiction, each service with its own credentials."""
    file = tmp_path / "lab.yaml"
    file.write_text(TOPOLOGY)
    traffic = load_topology(file).traffic
    assert list(traffic) == [("shop", "UK")]
    route53, google, azure, front_door = traffic["shop", "UK"]
    assert route53.where == Route53Records("Z0000", "shop.uk.example.com", 30)
    values = {"role_arn": "arn:aws:iam::000000000000:role/traffic", "external_id": SecretReference("TRAFFIC_ID")}
    assert route53.store == StoreAccess("s3", credentials=Credentials("role", values))
    assert google.where == GoogleUrlMap("example", "predictions", "shop-uk")
    assert isinstance(azure.where, AzureProfile)
    assert front_door.where == FrontDoorRoute("00000000-0000-0000-0000-000000000000", "edges", "door", "shop", "uk")
    assert [one.key for one in (route53, google, azure, front_door)] == [
        f"traffic/{kind}/shop.UK" for kind in ("route53", "google", "azure", "front_door")
    ]


@pytest.mark.parametrize(
    ("old", "new", "line", "told"),
    [
        ("  UK:\n    shop", "  UKK:\n    shop", 9, "traffic.UKK: unknown jurisdiction; did you mean 'UK'?"),
        ("kind: route53", "kind: route35", 11, f"{HERE}[0].kind: unknown service 'route35'; did you mean 'route53'?"),
        ("url_map: pred", "urlmap: pred", 18, f"{HERE}[1].urlmap: unknown key; did you mean 'url_map'?"),
        ("        zone: Z0000\n", "", 11, f"{HERE}[0].zone: this key is missing"),
        (
            "{aws/eu-west-2: edge-aws}",
            "{aws/eu-central-1: edge-aws}",
            20,
            f"{HERE}[1].targets.aws/eu-central-1: 'aws/eu-central-1' lies in EU: requests would leave UK",
        ),
        (
            "{aws/eu-west-2: edge-aws}",
            "{aws/eu-west-3: edge-aws}",
            20,
            f"{HERE}[1].targets.aws/eu-west-3: unknown location; did you mean 'aws/eu-west-2'?",
        ),
        (
            "{method: managed_identity}",
            "{method: sas}",
            28,
            (f"{HERE}[2].credentials.method: unknown method of a service 'azure'; known are "
            "'managed_identity', 'workload_identity'"),
        ),
        (
            "        credentials: {method: workload_identity}\n",
            "",
            16,
            (f"{HERE}[1].credentials: this key is missing: a service 'google' takes "
            "{method: key_file | workload_identity, ...}"),
        ),
        ("        route: uk\n", "", 29, f"{HERE}[3].route: this key is missing"),
        ("endpoint: shop", "endpont: shop", 33, f"{HERE}[3].endpont: unknown key; did you mean 'endpoint'?"),
        (
            "zone: Z0000",
            "zone: Z0000\n        ttl_seconds: 5",
            13,
            f"{HERE}[0].ttl_seconds: must be greater than or equal to 10 (it is 5)",
        ),
        (
            "zone: Z0000",
            'zone: Z0000\n        address: "http://route53.example.com"',
            13,
            f"{HERE}[0].address: must be https://..., or http:// on loopback, without credentials",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line(tmp_path: Path, old: str, new: str, line: int, told: str) -> None:
    """What is wrong about a service stops the start with line and key; a target elsewhere would take data out of the
    jurisdiction, and cannot be written.
    """
    file = tmp_path / "lab.yaml"
    assert old in TOPOLOGY
    file.write_text(TOPOLOGY.replace(old, new, 1))
    with pytest.raises(ConfigurationError) as raised:
        load_topology(file)
    assert str(raised.value).splitlines() == [f"{file}:{line}: {told}"]
