"""`mcml contract` as a person meets it: a version is exported once, a change is named, and a stale export stops the load."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from mcml_assets import build, cli
from mcml_assets.build import DEFS
from mcml_assets.configuration.contract_files import contract_from_odcs, read_contract
from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.configuration.workload import load_workload
from mcml_assets.contracts.odcs import contract_of, to_odcs
from mcml_assets.domain.errors import ConfigurationError

NAME = "credit_scoring"


@pytest.fixture
def credit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a workload that has exported its first version."""
    folder = tmp_path / "defs" / NAME
    shutil.copytree(DEFS / NAME, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(build, "DEFS", tmp_path / "defs")
    return folder


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


def mcml(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(cli.app, ["contract", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def load(folder: Path) -> str:
    """What loading says; empty when nothing is wrong."""
    try:
        load_workload(folder / "defs.yaml", load_topology(Settings().topology_file))
    except ConfigurationError as error:
        return str(error)
    return ""


def line_of(folder: Path, text: str) -> int:
    lines = (folder / "defs.yaml").read_text().splitlines()
    return 1 + next(number for number, line in enumerate(lines) if text in line)


@pytest.mark.parametrize("name", ["credit_scoring", "online_retail"])
def test_the_examples_are_exported_as_they_are(name: str) -> None:
    """The committed file says what the code says, and reading it gives the same contract again."""
    workload = load_workload(DEFS / name / "defs.yaml", load_topology(Settings().topology_file))
    contract = contract_of(workload)
    file = DEFS / name / "contracts" / "1.0.odcs.yaml"
    assert read_contract(file) == contract
    assert yaml.safe_load(file.read_text()) == to_odcs(contract, workload)
    assert contract_from_odcs(json.loads(json.dumps(to_odcs(contract, workload)))) == contract


def test_other_tools_can_read_an_export() -> None:
    """Keys, types, limits and references stand where the standard puts them; a personal column is marked."""
    document = yaml.safe_load((DEFS / NAME / "contracts" / "1.0.odcs.yaml").read_text())
    assert (document["apiVersion"], document["kind"], document["status"]) == ("v3.1.0", "DataContract", "active")
    loans = {column["name"]: column for column in document["schema"][0]["properties"]}
    assert loans["zipcode"]["relationships"] == [{"type": "foreignKey", "to": "zipcodes.zipcode"}]
    assert loans["person_age"]["logicalTypeOptions"] == {"minimum": 18, "maximum": 150}
    assert loans["dob_ssn"]["classification"] == "personal"
    assert (loans["loan_id"]["required"], loans["loan_id"]["unique"], loans["loan_id"]["logicalType"]) == (
        True,
        True,
        "integer",
    )


def test_a_changed_contract_is_refused_at_load_until_it_is_exported(credit: Path) -> None:
    """Loading names file, line and command; the command names the version that the change needs, and then both agree."""
    edit(credit / "contract.py", "pa.Check.in_range(18, 150)", "pa.Check.in_range(21, 150)")
    told = load(credit)
    assert (
        f"defs.yaml:{line_of(credit, 'contract: contract.py')}: contract: contract.py or the sources' columns changed" in told
    )
    assert f"run `mcml contract export {NAME}`" in told
    refused = mcml("export", NAME, code=2)
    assert "needs version 1.1, not 1.0" in " ".join(refused.split())
    edit(
        credit / "defs.yaml",
        "  contract: contract.py:contract\n",
        '  contract: contract.py:contract\n  contract_version: "1.1"\n',
    )
    exported = json.loads(mcml("export", NAME, "--json"))
    assert [(row["column"], row["breaking"]) for row in exported["changes"]] == [("person_age", False)]
    assert load(credit) == ""
    assert json.loads(mcml("diff", NAME, "1.0", "1.1", "--json")) == exported["changes"]


def test_a_breaking_change_needs_a_new_first_number(credit: Path) -> None:
    """Under 1.1 it is refused by the command, and at load where somebody wrote the file by hand; under 2.0 it is taken."""
    edit(credit / "contract.py", "pa.Check.in_range(18, 150)", "pa.Check.in_range(16, 150)")
    edit(
        credit / "defs.yaml",
        "  contract: contract.py:contract\n",
        '  contract: contract.py:contract\n  contract_version: "1.1"\n',
    )
    assert "needs version 2.0, not 1.1" in " ".join(mcml("export", NAME, code=2).split())
    by_hand = (credit / "contracts" / "1.0.odcs.yaml").read_text().replace("version: '1.0'", "version: '1.1'")
    (credit / "contracts" / "1.1.odcs.yaml").write_text(by_hand.replace("min_value: 18", "min_value: 16"))
    told = load(credit)
    assert (
        f"defs.yaml:{line_of(credit, 'contract_version')}: contract_version: contracts/1.1.odcs.yaml: loans.person_age" in told
    )
    assert "needs version 2.0, not 1.1" in told
    (credit / "contracts" / "1.1.odcs.yaml").unlink()
    edit(credit / "defs.yaml", '"1.1"', '"2.0"')
    assert "run `mcml contract export" in load(credit)
    mcml("export", NAME)
    assert load(credit) == ""
    assert "breaking" in mcml("diff", NAME, "1.0", code=1)


def test_a_comment_changes_no_promise(credit: Path) -> None:
    """Exporting again under the same version is enough."""
    (credit / "contract.py").write_text((credit / "contract.py").read_text() + "\n# A word.\n")
    assert load(credit)
    mcml("export", NAME)
    assert load(credit) == ""


def test_a_mistake_is_told_in_words(credit: Path) -> None:
    """An unknown workload or version, a file that is no export, and a newer version than is declared."""
    assert f"did you mean '{NAME}'" in mcml("diff", "credit_scorin", code=2)
    assert "is not exported" in mcml("diff", NAME, "7.0", code=2)
    exported = credit / "contracts" / "1.0.odcs.yaml"
    (credit / "contracts" / "2.0.odcs.yaml").write_text("schema: 3\n")
    told = load(credit)
    assert "2.0 is exported" in told
    assert "not what `mcml contract export` writes" in told
    (credit / "contracts" / "2.0.odcs.yaml").unlink()
    exported.unlink()
    assert "has exported no contract yet" in mcml("diff", NAME, code=2)
    assert load(credit) == ""


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (
            "def mine(features):\n    return True\n",
            "mine(raw_data) or mine(feature_snapshot), it is mine(features); did you mean",
        ),
        ("def mine():\n    return True\n", "it is mine()"),
        ("def mine(raw_data, *more):\n    return True\n", "it is mine(raw_data, *more)"),
        ("def parity(raw_data):\n    return True\n", "'parity' is the name of a check of the platform"),
    ],
)
def test_a_check_of_ones_own_with_a_wrong_form_is_refused_at_load(credit: Path, code: str, told: str) -> None:
    """File, line, and how it should look."""
    (credit / "checks.py").write_text(code)
    name = code.split("(")[0].removeprefix("def ")
    edit(
        credit / "defs.yaml",
        "  contract: contract.py:contract\n",
        f"  contract: contract.py:contract\n  checks: [checks.py:{name}]\n",
    )
    found = load(credit)
    assert f"defs.yaml:{line_of(credit, 'checks:')}: checks[0]: " in found
    assert told in found
