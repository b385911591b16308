"""The topologies that come with the platform: they load, agree with each other, and hold no secret."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from mcml_assets.configuration.settings import TOPOLOGIES
from mcml_assets.configuration.topology import load_topology
from mcml_assets.domain.compute_access import ClusterCompute, in_order
from mcml_assets.domain.topology import SecretReference
from mcml_assets.emulation.accounts import PROBES, S3_BUCKET_ACTIONS, S3_OBJECT_ACTIONS, S3_PROBE_ACTIONS

PROFILES = ("local", "emulated", "production")


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_loads_without_any_variable_being_set(profile: str):
    """A topology is read without its secrets, which are asked for where a store is opened."""
    assert load_topology(TOPOLOGIES / f"{profile}.yaml").profile == profile


def test_all_profiles_have_the_same_locations():
    """Going from a laptop to real accounts changes how a location is reached, not which there are and where they lie."""
    topologies = [load_topology(TOPOLOGIES / f"{profile}.yaml") for profile in PROFILES]
    facts = [
        {(one.key, one.jurisdiction, one.egress_price, one.currency) for one in topology.locations.values()}
        for topology in topologies
    ]
    assert facts[0] == facts[1] == facts[2]
    assert len(facts[0]) == 9


def test_production_names_no_secret_and_no_endpoint_of_its_own():
    """Real clouds are reached at their own addresses with TLS, each location by an identity that no other one has."""
    production = load_topology(TOPOLOGIES / "production.yaml")
    identities = []
    for location in production.locations.values():
        store = location.store
        assert (store.endpoint, store.allow_http) == (None, False)
        assert store.credentials.method in ("role", "workload_identity", "managed_identity")
        identities.append(tuple(sorted((name, str(value)) for name, value in store.credentials.values.items())))
        for value in store.credentials.values.values():
            assert isinstance(value, SecretReference) or re.match(r"arn:aws:iam::0{12}:|[\w-]+@example\.", value)
    assert len(set(identities)) == 9
    text = (TOPOLOGIES / "production.yaml").read_text()
    assert not re.search(r"AKIA|PRIVATE KEY|AccountKey=|sig=|[A-Za-z0-9+]{40,}", text)


def test_every_variable_is_used_by_one_location_only():
    """No two locations share a variable, so no two share credentials."""
    for profile in ("emulated", "production"):
        named = [
            value.variable
            for location in load_topology(TOPOLOGIES / f"{profile}.yaml").locations.values()
            for value in location.store.credentials.values.values()
            if isinstance(value, SecretReference)
        ]
        assert len(named) == len(set(named)) > 0


def test_what_production_asks_for_on_s3_is_what_the_emulated_locations_have():
    """The permissions that production.yaml lists are exactly those with which the emulated locations are proved to work."""
    text = (TOPOLOGIES / "production.yaml").read_text()
    granted = text.split("# Trust policy of the role")[0]
    listed = set(re.findall(r"s3:[A-Za-z]+", granted))
    assert listed == {*S3_BUCKET_ACTIONS, *S3_OBJECT_ACTIONS, *S3_PROBE_ACTIONS}
    assert f"<bucket>/{PROBES}" in granted


def test_the_compute_block_that_production_shows_can_be_copied_as_it_is(tmp_path: Path):
    """Its three parts, put where the text says, are a topology that loads, with every key of a cluster in use."""
    text = (TOPOLOGIES / "production.yaml").read_text()
    shown = text[text.index("# Where heavy work runs.") : text.index("# Where endpoints run,")]
    common, of_cloud, of_region = re.findall(r"(?:^#   .*\n)+", shown, re.MULTILINE)
    own = re.search(r"^compute_profiles:\n(?:  .*\n)+", text, re.MULTILINE)
    assert own is not None
    # From the end to the beginning, so that what comes first in the file stays where it was.
    offered = "        compute_profiles: [small, medium]\n"
    assert text.index("      eu-west-2:") < text.index(offered) < text.index("      eu-central-1:")
    text = text.replace(offered, _uncommented(of_region, 8), 1)
    text = text.replace("    store: {kind: s3}\n", "    store: {kind: s3}\n" + _uncommented(of_cloud, 4), 1)
    text = text.replace(own.group(), _uncommented(common, 0), 1)
    (tmp_path / "production.yaml").write_text(text)
    where = load_topology(tmp_path / "production.yaml").location("aws/eu-west-2")
    assert isinstance(where.compute, ClusterCompute)
    assert None not in {field.name: getattr(where.compute, field.name) for field in fields(where.compute)}.values()
    gpu = where.compute_profiles["gpu"]
    assert [profile.name for profile in in_order("gpu", where.compute_profiles)] == ["gpu", "large", "medium"]
    assert (gpu.accelerator, where.compute_profiles["spot"].spot) == ("l4", True)
    assert gpu.node_selector


def _uncommented(block: str, indentation: int) -> str:
    return "".join(" " * indentation + line.removeprefix("#   ") for line in block.splitlines(keepends=True))
