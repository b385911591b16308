"""Promises of callers' files: a mistake is told with file, line and key, and Envoy accepts whatever may be written."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.serving.edge.access import access_files
from mcml_assets.serving.edge.callers import (
    Caller,
    file_name,
    new_token,
    read_caller,
    read_callers,
    revoke_caller,
    write_caller,
)
from mcml_assets.serving.edge.entrance import Entrance, Identity
from mcml_assets.serving.edge.listener import bootstrap
from mcml_assets.serving.edge.tls import tls_files
from mcml_assets_tests.serving.edge.certificates import Authority
from mcml_assets_tests.serving.edge.test_render import addresses, edge_files, route, validate

NOW = datetime(2026, 7, 1, tzinfo=UTC)
SOUND = """name: anna
credential: token
public_key: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo
expires: 2027-01-01T00:00:00+00:00
workloads: [shop]
jurisdictions: [UK]
requests_per_second: 10
"""
MISTAKES = [
    ("public_key: 11qY", "public_kye: 11qY", ":3: public_kye: unknown key; did you mean 'public_key'?"),
    ("credential: token", "credential: tokn", ":2: credential: unknown value 'tokn'; did you mean 'token'?"),
    ("name: anna", "name: Anna", ":1: name: 'Anna' cannot be the name of a caller with a token"),
    ("HURo", "HUR", ":3: public_key: must be an Ed25519 public key"),
    ("expires: 2027-01-01T00:00:00+00:00\n", "", ":1: expires: a token must have a time when it expires"),
    ("T00:00:00+00:00", "T00:00:00", ":4: expires: "),
    ("workloads: [shop]", "workloads: []", ":5: workloads: is empty: at least one is needed"),
    ("jurisdictions: [UK]\n", "", ":1: jurisdictions: this key is missing"),
    ("requests_per_second: 10", "requests_per_second: 0", ":7: requests_per_second: "),
    ("credential: token", "credential: certificate", ":1: name: 'anna' cannot be the name of a caller with a certificate"),
]

names = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)
uris = st.from_regex(r"spiffe://[a-z0-9./-]{1,20}", fullmatch=True)


def caller(folder: Path, name: str = "anna", **changes: Any) -> Caller:
    token = ":" not in name
    fields: dict[str, Any] = {
        "name": name,
        "credential": "token" if token else "certificate",
        "public_key": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" if token else None,
        "expires": NOW + timedelta(days=1) if token else None,
        "workloads": ("shop",),
        "jurisdictions": ("UK",),
        "requests_per_second": 10,
        "synthetic": False,
        "file": folder / file_name(name),
    }
    return Caller(**(fields | changes))


@pytest.mark.parametrize(("right", "wrong", "told"), MISTAKES)
def test_a_mistake_is_told_where_it_is(tmp_path: Path, right: str, wrong: str, told: str) -> None:
    """Each mistake names file, line and key, and what would be right."""
    file = tmp_path / "anna.yaml"
    file.write_text(SOUND)
    assert read_caller(file).name == "anna"
    assert right in SOUND
    file.write_text(SOUND.replace(right, wrong))
    with pytest.raises(ConfigurationError) as raised:
        read_caller(file)
    assert f"{file}{told}" in str(raised.value)


def test_two_callers_of_one_name_are_nobody(tmp_path: Path) -> None:
    """Of two files that claim one name neither counts, and both are named; the others are read."""
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(SOUND)
    write_caller(tmp_path, caller(tmp_path, "bob"))
    callers, errors = read_callers(tmp_path)
    assert [one.name for one in callers] == ["bob"]
    assert "one.yaml" in str(errors[0])
    assert "two.yaml" in str(errors[0])


@given(name=st.one_of(names, uris), workloads=st.lists(names, min_size=1, max_size=3), rate=st.integers(1, 1_000_000))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, name: str, workloads: list[str], rate: int) -> None:
    """A caller comes back from its file as it was, and is gone after it was revoked."""
    folder = tmp_path_factory.mktemp("callers")
    one = caller(folder, name, workloads=tuple(sorted(set(workloads))), requests_per_second=rate)
    write_caller(folder, one)
    assert read_callers(folder) == ((one,), ())
    with pytest.raises(ConfigurationError, match="is a caller already"):
        write_caller(folder, one)
    assert revoke_caller(folder, name) == one
    assert read_callers(folder) == ((), ())


def test_a_token_can_be_made_once_only(tmp_path: Path) -> None:
    """What is kept verifies the token and can make no other: no private key is in the file, nor the token."""
    token, public_key = new_token("anna", NOW + timedelta(days=1))
    kept = write_caller(tmp_path, caller(tmp_path, public_key=public_key)).read_text()
    assert public_key in kept
    assert not any(part in kept for part in token.split("."))
    assert new_token("anna", NOW + timedelta(days=1))[1] != public_key


def in_one_piece(folder: Path, identity: Identity, callers: list[Caller]) -> dict[str, Any]:
    """The whole configuration with callers and certificates in it: `--mode validate` does not read watched files."""
    config = bootstrap(folder, Entrance(20000, 20001, identity, folder / "callers"))
    access, tls = (
        {path.stem: json.loads(content)["resources"][0] for path, content in files.items()}
        for files in (access_files(folder, callers, NOW), tls_files(folder, identity))
    )
    (chain,) = config["static_resources"]["listeners"][0]["filter_chains"]
    for each in chain["filters"][0]["typed_config"]["http_filters"]:
        if each.pop("config_discovery", None):
            each["typed_config"] = access[each["name"]]["typed_config"]
    context = chain["transport_socket"]["typed_config"]["common_tls_context"]
    del context["tls_certificate_sds_secret_configs"], context["validation_context_sds_secret_config"]
    context["tls_certificates"] = [tls["certificate"]["tls_certificate"]]
    context["validation_context"] = tls["client_authority"]["validation_context"]
    return config


def test_envoy_accepts_an_edge_that_asks_who_calls(tmp_path: Path) -> None:
    """Envoy finds nothing wrong with callers of both kinds over TLS, nor with nobody at all; with a damaged key it would."""
    authority = Authority(tmp_path)
    own = authority.issue("edge")
    identity = Identity(own.certificate, own.key, authority.file)
    for path, content in edge_files(tmp_path, [route()], addresses(20100)).items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    everybody = [caller(tmp_path, "anna"), caller(tmp_path, "spiffe://mcml/batch"), caller(tmp_path, "any", workloads=("*",))]
    for callers in (everybody, []):
        said = validate(tmp_path, in_one_piece(tmp_path, identity, callers))
        assert said.returncode == 0, said.stderr
    said = validate(tmp_path, in_one_piece(tmp_path, identity, [caller(tmp_path, public_key="abc")]))
    assert said.returncode != 0


def test_a_new_route_touches_no_caller_and_a_new_caller_no_route(tmp_path: Path) -> None:
    """Routes and callers stand in files of their own, and the order of callers does not matter."""
    callers = [caller(tmp_path, "anna"), caller(tmp_path, "bob")]
    files = access_files(tmp_path, callers, NOW)
    assert files == access_files(tmp_path, callers[::-1], NOW)
    assert not set(files) & set(edge_files(tmp_path, [route()], addresses(20100)))


def test_an_expired_caller_is_left_out(tmp_path: Path) -> None:
    """From the second on at which it expires a caller is in no file of Envoy's, though its own file is still there."""
    last = caller(tmp_path, "spiffe://mcml/batch", expires=NOW)
    before, after = (b"".join(access_files(tmp_path, [last], NOW + timedelta(seconds=shift)).values()) for shift in (-1, 0))
    assert b"spiffe://mcml/batch" in before
    assert b"spiffe://mcml/batch" not in after


def test_no_name_of_a_workload_is_taken_for_a_pattern(tmp_path: Path) -> None:
    """A dot in a name stands for itself: who may ask about `a.b` may not ask about `axb`."""
    (content,) = (
        content
        for path, content in access_files(tmp_path, [caller(tmp_path, workloads=("a.b",))], NOW).items()
        if path.stem == "permissions"
    )
    policies = json.loads(content)["resources"][0]["typed_config"]["rules"]["policies"]
    (permission,) = policies["caller anna"]["permissions"]
    assert permission["url_path"]["path"]["safe_regex"]["regex"] == r"/(UK)/v2/models/(a\.b)/infer"
