"""What loading the code location promises: nothing heavy is imported, no workload is special, a broken one hides no other."""

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

import mcml_assets
from mcml_assets import build
from mcml_assets.build import DEFS, build_definitions, build_resources, build_workload, load_workload_definitions
from mcml_assets.configuration.settings import PROJECT_ROOT, Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.configuration.workload import load_workload

PACKAGE = Path(mcml_assets.__file__).parent
HEAVY = [
    "azure", "boto3", "duckdb", "feast", "google.cloud", "kserve", "matplotlib", "mlflow", "numpy", "obstore",
    "kubernetes", "pandas", "pandera", "pyarrow", "ray", "sklearn",
]  # fmt: skip
NOUNS = [
    "canary_training", "drill_result", "endpoint", "feature_snapshot", "landing", "model", "raw_data", "resilience_scorecard",
    "traffic_route", "training_run",
]  # fmt: skip


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_definitions(Settings())


def test_loading_imports_nothing_heavy() -> None:
    """Every run starts a process that loads the definitions, so no data or cloud library may be imported by that."""
    code = (
        "import json, sys; from mcml_assets.definitions import defs; defs().get_repository_def(); "
        f"print(json.dumps([name for name in {HEAVY} if name in sys.modules]))"
    )
    finished = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(finished.stdout.splitlines()[-1]) == []


@pytest.mark.parametrize("workload", ["online_retail", "credit_scoring"])
def test_every_workload_has_every_noun(definitions: dg.Definitions, workload: str) -> None:
    """Each workload gets the same assets, all in its own group."""
    graph = definitions.get_repository_def().asset_graph
    nouns = sorted(key.path[1] for key in graph.executable_asset_keys if key.path[0] == workload)
    assert nouns == NOUNS


def test_every_asset_is_described_and_owned(definitions: dg.Definitions) -> None:
    """In the UI each asset says what it is, what its grain and guarantee are, who owns it, and of which kind it is."""
    for spec in definitions.resolve_all_asset_specs():
        assert spec.description, spec.key
        assert spec.owners, spec.key
        assert spec.kinds, spec.key
        if spec.key.path[1] in NOUNS:
            assert ("One partition per" if spec.partitions_def is not None else "One for") in spec.description, spec.key
            assert "Guarantee:" in spec.description, spec.key


def test_every_check_is_partitioned_like_its_asset(definitions: dg.Definitions) -> None:
    """An unpartitioned blocking check would release or hold every location at once; there is none."""
    graph = definitions.get_repository_def().asset_graph
    checks = list(graph.asset_check_keys)
    assert checks
    for check in checks:
        assert graph.get(check).partitions_def == graph.get(check.asset_key).partitions_def, check


def test_the_platform_names_no_workload() -> None:
    """Adding a workload touches only its own folder: outside `defs/` no code knows a workload's name."""
    names = {folder.name for folder in DEFS.iterdir() if (folder / "defs.yaml").exists()}
    assert len(names) >= 2
    found = [
        f"{file.relative_to(PACKAGE)}:{line}: {text!r}"
        for file in PACKAGE.rglob("*.py")
        if DEFS not in file.parents
        for line, text in _code_strings(file)
        if any(name in text for name in names)
    ]
    assert found == []


def test_a_new_workload_needs_only_its_folder(tmp_path: Path) -> None:
    """A folder with `defs.yaml` and its functions, put anywhere, becomes a complete set of assets."""
    folder = tmp_path / "repeat_buyers"
    shutil.copytree(DEFS / "online_retail", folder, ignore=shutil.ignore_patterns("__pycache__"))
    declaration = folder / "defs.yaml"
    declaration.write_text(declaration.read_text().replace("name: online_retail", "name: repeat_buyers"))
    topology = load_topology(Settings().topology_file)
    workload = build_workload(load_workload(declaration, topology))
    specs = dg.Definitions.merge(build_resources(Settings()), workload).resolve_all_asset_specs()
    assert sorted(spec.key.path[1] for spec in specs) == sorted([*NOUNS, "transactions"])
    assert {spec.group_name for spec in specs} == {"repeat_buyers"}


def test_a_broken_workload_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code location loads, the sound workload is whole, and the broken one shows its file, key and line."""
    project = tmp_path / "project"
    shutil.copytree(DEFS, project / "defs", ignore=shutil.ignore_patterns("__pycache__"))
    declaration = project / "defs" / "online_retail" / "defs.yaml"
    declaration.write_text(declaration.read_text().replace("rpo_seconds: 3600", "rpo_seconds: 0"))
    monkeypatch.setattr(build, "DEFS", project / "defs")
    definitions = dg.Definitions.merge(build_resources(Settings()), load_workload_definitions(Settings()))
    specs = {spec.key: spec for spec in definitions.resolve_all_asset_specs()}
    assert dg.AssetKey(["credit_scoring", "endpoint"]) in specs
    assert dg.AssetKey(["online_retail", "endpoint"]) not in specs
    problem = specs[dg.AssetKey(["online_retail", "configuration"])].description or ""
    line = 1 + declaration.read_text().splitlines().index("  rpo_seconds: 0")
    assert f"defs.yaml:{line}: " in problem
    assert "rpo_seconds" in problem


def test_dg_accepts_the_project() -> None:
    """`dg check yaml` finds nothing wrong, and `dg list defs` lists the assets."""
    dg_command = str(Path(sys.executable).with_name("dg"))
    checked = subprocess.run([dg_command, "check", "yaml"], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    listed = subprocess.run(
        [dg_command, "list", "defs", "--json"], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False
    )
    assert listed.returncode == 0, listed.stderr
    assert "online_retail/endpoint" in listed.stdout


def _code_strings(file: Path) -> list[tuple[int, str]]:
    """String constants of a module that are not docstrings, with their lines."""
    tree = ast.parse(file.read_text())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    ]
