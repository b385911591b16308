"""Promises of `mcml caller`: a token is shown once, what it may ask is listed, and it can be taken back."""

import json
from pathlib import Path

import jwt
import pytest
from typer.testing import CliRunner, Result

from mcml_assets.cli import app


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["caller", *arguments])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MCML_EDGE_CALLERS", str(tmp_path / "callers"))
    return tmp_path / "callers"


def test_a_caller_comes_and_goes(folder: Path) -> None:
    """The token names its caller and is in no later output; after a revoke nobody is listed."""
    added = json.loads(run("add", "billing", "-w", "online_retail", "-j", "UK", "--days", "7", "--json").stdout)
    claims = jwt.decode(added["token"], options={"verify_signature": False})
    assert (claims["sub"], claims["aud"]) == ("billing", "mcml")
    listed = json.loads(run("list", "--json").stdout)
    (caller,) = listed["callers"]
    assert (listed["open"], listed["problems"]) == (False, [])
    assert caller == {key: value for key, value in added.items() if key != "token"}
    assert (caller["workloads"], caller["jurisdictions"], caller["state"]) == (["online_retail"], ["UK"], "current")
    assert "billing" in run("list").output
    assert run("revoke", "billing").exit_code == 0
    assert json.loads(run("list", "--json").stdout)["callers"] == []
    assert list(folder.glob("*")) == []


def test_the_token_alone_is_on_standard_output(folder: Path) -> None:
    """So that a script can take it: what people read beside it goes to standard error."""
    said = run("add", "billing", "-w", "*", "-j", "*")
    assert said.stdout.count("\n") == 1
    assert jwt.get_unverified_header(said.stdout.strip())["alg"] == "EdDSA"
    assert "shown once" in said.stderr
    assert str(folder) in "".join(said.stderr.split("\n"))


def test_a_certificate_gets_no_token(folder: Path) -> None:
    """A caller with a certificate is named by the URI in it; a word is no such name, and nothing is kept of it."""
    added = json.loads(run("add", "spiffe://mcml/batch", "-w", "*", "-j", "EU", "--certificate", "--json").stdout)
    assert (added["token"], added["expires"], added["credential"]) == (None, None, "certificate")
    refused = run("add", "batch", "-w", "*", "-j", "EU", "--certificate")
    assert refused.exit_code == 2
    assert "name: 'batch' cannot be the name of a caller with a certificate" in " ".join(refused.stderr.split())
    assert [file.name for file in folder.glob("*")] == ["spiffe-mcml-batch.yaml"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["add", "a", "-w", "online_retial", "-j", "UK"], "'online_retial' is no workload; did you mean 'online_retail'?"),
        (["add", "a", "-w", "online_retail", "-j", "GB"], "'GB' is no jurisdiction"),
        (["revoke", "billng"], "'billng' is no caller in"),
    ],
)
def test_a_typing_error_is_told(folder: Path, arguments: list[str], told: str) -> None:
    """A name that there is not is an error, where it would else forbid in silence."""
    assert run("add", "billing", "-w", "*", "-j", "*").exit_code == 0
    said = run(*arguments)
    assert (said.exit_code, told in " ".join(said.stderr.split())) == (2, True), said.stderr


def test_a_broken_file_is_listed_as_such(folder: Path) -> None:
    """The listing says which file is wrong and where, shows the others, and exits with 1."""
    assert run("add", "billing", "-w", "*", "-j", "*").exit_code == 0
    (folder / "other.yaml").write_text("name: other\n")
    said = run("list", "--json")
    listed = json.loads(said.stdout)
    assert said.exit_code == 1
    assert [caller["name"] for caller in listed["callers"]] == ["billing"]
    assert f"{folder / 'other.yaml'}:1: credential: this key is missing" in listed["problems"][0]


def test_an_open_edge_says_so() -> None:
    """Without the setting there are no callers, and the listing says that the edge asks nobody."""
    assert "The edge is open" in run("list").stdout
    assert json.loads(run("list", "--json").stdout) == {"open": True, "callers": [], "problems": []}
    said = run("add", "billing", "-w", "*", "-j", "*")
    assert said.exit_code == 2
    assert "MCML_EDGE_CALLERS" in said.stderr
