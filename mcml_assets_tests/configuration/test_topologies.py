"""The topologies that come with the platform: they load, agree with each other, and hold no secret."""

import re

import pytest

from mcml_assets.configuration.settings import TOPOLOGIES
from mcml_assets.configuration.topology import load_topology
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
