"""Reads a Dockerfile, and runs its steps in a plain folder, where no engine can be had.

Steps run as the caller, in this machine's system instead of the base image's: an absolute path of the image, in a
command or a variable, is replaced by the same path below the folder. What changes the image's system (users, packages) is
not run; `run_stage` gives such steps back, so that a test can say what it did not cover.
"""

import fnmatch
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

# What only a base image's own root may do.
SYSTEM = re.compile(r"\b(groupadd|useradd|apt-get|install -d -o)\b")
STEP_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction and its argument, continuation lines joined, comments dropped."""

    instruction: str
    argument: str


@dataclass(slots=True)
class Stage:
    """The steps after one `FROM`, in order; `name` is what later stages copy from it by."""

    base: str
    name: str
    steps: list[Step] = field(default_factory=list[Step])

    def arguments(self, instruction: str) -> list[str]:
        return [step.argument for step in self.steps if step.instruction == instruction]


def read_stages(file: Path) -> list[Stage]:
    """The stages of a Dockerfile; `ARG`s before the first `FROM` are left out."""
    lines = [line for line in file.read_text().splitlines() if not line.lstrip().startswith("#")]
    stages: list[Stage] = []
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        instruction, _, argument = line.strip().partition(" ")
        if instruction == "FROM":
            base, _, name = argument.partition(" AS ")
            stages.append(Stage(base, name))
        elif instruction and stages:
            stages[-1].steps.append(Step(instruction, re.sub(r"\s+", " ", argument).strip()))
    return stages


def context_files(root: Path, ignore: Path) -> list[str]:
    """The files of `root`, as git lists them, that the ignore file lets into a build; the last pattern that fits decides."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - the developer's git
        cwd=root, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    patterns = [line for line in ignore.read_text().splitlines() if line and not line.startswith("#")]
    return [name for name in listed if _kept(name, patterns) and (root / name).is_file()]


def _kept(name: str, patterns: list[str]) -> bool:
    kept = True
    above = [name, *(str(parent) for parent in Path(name).parents if str(parent) != ".")]
    for pattern in patterns:
        wanted = pattern.removeprefix("!")
        alike = [wanted, wanted.removeprefix("**/")] if wanted.startswith("**/") else [wanted]
        if any(fnmatch.fnmatchcase(part, each) for part in above for each in alike):
            kept = pattern.startswith("!")
    return kept


def run_stage(stage: Stage, root: Path, context: Path, files: list[str], overrides: dict[str, str]) -> list[Step]:
    """Run the stage's steps with `root` as its file system, and give back those that were not run.

    `overrides` win over the stage's `ENV`. Raises `CalledProcessError` when a step fails.
    """
    folder, left = root, []
    environment = {"PATH": os.environ["PATH"], "HOME": str(root)} | overrides
    for step in stage.steps:
        match step.instruction:
            case "WORKDIR":
                folder = root / step.argument.lstrip("/")
                folder.mkdir(parents=True, exist_ok=True)
            case "ENV":
                for name, value in re.findall(r"(\w+)=(\S+)", step.argument):
                    environment.setdefault(name, _moved(value, root))
            case "COPY" if not step.argument.startswith("--from"):
                *sources, target = step.argument.split()
                for source in sources:
                    _copy(context, source, folder / target, files)
            case "RUN" if not SYSTEM.search(step.argument):
                command = ["/bin/sh", "-eu", "-c", _moved(step.argument, root)]
                subprocess.run(command, cwd=folder, env=environment, check=True, timeout=STEP_SECONDS)
            case _:
                left.append(step)
    return left


def _moved(text: str, root: Path) -> str:
    """The text with the image's own folders below `root`."""
    return re.sub(r"(?<![\w./-])/(?=(build|opt|var/lib/mcml)\b)", f"{root}/", text)


def _copy(context: Path, source: str, target: Path, files: list[str]) -> None:
    inside = [name for name in files if name == source or name.startswith(f"{source}/")]
    assert inside, f"COPY {source}: nothing of this name is in the build's context"
    for name in inside:
        to = target / Path(name).name if name == source else target / Path(name).relative_to(source)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(context / name, to)
