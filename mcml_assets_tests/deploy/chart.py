"""The chart, rendered by Helm itself, with the least values that a cluster needs.

`python -m mcml_assets_tests.deploy.chart FILE` writes every cloud's objects, for scanners.
"""

import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import helm_python as helm
import yaml

from mcml_assets.configuration.settings import PROJECT_ROOT

CHART = PROJECT_ROOT / "deploy" / "helm" / "mcml"
CLOUDS = ("aws", "gcp", "azure")
NAMESPACE, RELEASE, ENDPOINTS = "mcml", "mcml", "mcml-eu-west-2"
TOPOLOGY = (PROJECT_ROOT / "mcml_assets" / "topologies" / "production.yaml").read_text()
# Of the form that each cloud's identities have.
IDENTITIES = {
    "aws": "arn:aws:iam::000000000000:role/mcml-{}",
    "gcp": "mcml-{}@example.iam.gserviceaccount.com",
    "azure": "00000000-0000-0000-0000-{:0>12}",
}
Object = dict[str, Any]


def values(cloud: str, **changed: Any) -> Object:
    """What a person writes for a cluster of this cloud."""
    identity = IDENTITIES[cloud]
    written = {
        "image": {"repository": "registry.example.com/mcml-assets"},
        "topology": TOPOLOGY,
        "computeLogs": {"bucket": "example-logs", "account": "examplelogs"},
        "identities": {name: identity.format(name) for name in ("controlPlane", "runs", "edge")},
        "endpoints": [{"namespace": ENDPOINTS, "serviceAccount": "mcml-server", "identity": identity.format("server")}],
    }
    of_cloud = yaml.safe_load((CHART / f"values-{cloud}.yaml").read_text())
    return _merged(_merged(of_cloud, written), changed)


@cache
def rendered(cloud: str, role: str = "active") -> tuple[Object, ...]:
    """Every object of the release."""
    return tuple(render(values(cloud, controlPlane={"role": role})))


def render(given: Object) -> Iterator[Object]:
    """Every object for these values. Raises `HelmError` when Helm refuses them."""
    files = helm.Chart.load(CHART).render(given, name=RELEASE, namespace=NAMESPACE)
    for name, content in files.items():
        if not name.endswith(".txt"):
            yield from (found for found in yaml.safe_load_all(content) if found)


def named(objects: tuple[Object, ...], kind: str, name: str) -> Object:
    """The one object of this kind and name."""
    (found,) = (one for one in objects if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return found


def pods(objects: tuple[Object, ...]) -> Mapping[str, Object]:
    """The pods' templates, by component."""
    templates = [one["spec"]["template"] for one in objects if one["kind"] == "Deployment"]
    return {one["metadata"]["labels"]["app.kubernetes.io/component"]: one for one in templates}


def _merged(under: Object, over: Mapping[str, Any]) -> Object:
    both = dict(under)
    for key, value in over.items():
        both[key] = _merged(both[key], value) if isinstance(value, dict) and isinstance(both.get(key), dict) else value
    return both


if __name__ == "__main__":
    every = [one for cloud in CLOUDS for one in render(values(cloud))]
    Path(sys.argv[1]).write_text(yaml.safe_dump_all(every))
