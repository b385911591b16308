"""A workload's `defs.yaml`, read, judged and turned into `domain.workload.Workload`.

All that is wrong with a file is told at once, each with its line. The keys are declared in `workload_model.py`, the
rules are in `placement_rules.py`, `data_rules.py` and `code_rules.py`. This is on the path of every start: it imports
pydantic and yaml, and nothing that is heavy.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from functools import reduce
from pathlib import Path

from pydantic import ValidationError

from mcml_assets.configuration.code_rules import check_problems, cron_problems, function_problems
from mcml_assets.configuration.contract_files import contract_problems
from mcml_assets.configuration.data_rules import (
    division_problems,
    personal_column_problems,
    segment_problems,
    source_problems,
    tolerance_problems,
    view_problems,
)
from mcml_assets.configuration.placement_rules import (
    canary_problems,
    capability_problems,
    compute_problems,
    equivalence_problems,
    lock_in_problems,
    placement_problems,
    traffic_problems,
)
from mcml_assets.configuration.problems import Problem, configuration_error, shape_problems
from mcml_assets.configuration.workload_facts import workload_facts
from mcml_assets.configuration.workload_model import WorkloadFileModel, WorkloadModel
from mcml_assets.configuration.yaml_lines import KeyPath, read_yaml
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.topology import Topology, did_you_mean
from mcml_assets.domain.workload import Workload

__all__ = ["WorkloadModel", "find_workload_files", "load_workload", "load_workloads"]

COMPONENT = "mcml_assets.Workload"
FILE_NAME = "defs.yaml"
WITHIN: KeyPath = ("attributes",)


def load_workload(path: Path, topology: Topology, *, exported: bool = True) -> Workload:
    """The workload that a `defs.yaml` declares. Unless `exported` is false, its contract must be the one it has exported.

    Raises `ConfigurationError` with one line `<file>:<line>: <key>: <what is wrong>; did you mean '...'?` per problem,
    in the order of the lines.
    """
    path = path.absolute()
    document = read_yaml(path)
    try:
        model = WorkloadFileModel.model_validate(document.data).attributes
        problems = []
    except ValidationError as error:
        problems = shape_problems(error, WorkloadFileModel)
        model = _sound_sections(document.data.get("attributes"), problems)
    broken_rules = [*_broken_rules(model, path, topology)]
    if exported and model.model_fields_set.issuperset(("name", "sources", "contract")):
        broken_rules += contract_problems(model, path.parent)
    problems += [Problem((*WITHIN, *broken.path), broken.text) for broken in broken_rules]
    if problems:
        raise configuration_error(document, problems, WITHIN)
    return workload_facts(model, path.parent, topology)


def find_workload_files(defs: Path) -> list[Path]:
    """Every `defs.yaml` below the folder that declares a workload, by path.

    Other components may live there too. A file whose `type` comes near ours, or which has none, is taken for a
    workload, so that a slip of the pen is told and not passed over.
    """
    return [file for file in sorted(defs.rglob(FILE_NAME)) if _declares_workload(file)]


def load_workloads(defs: Path, topology: Topology) -> tuple[list[Workload], list[ConfigurationError]]:
    """All workloads below the folder, and one error for each file that is wrong: a broken one hides no other.

    Of two workloads with one name the first by path is kept.
    """
    workloads: dict[str, Workload] = {}
    errors: list[ConfigurationError] = []
    for path in find_workload_files(defs):
        try:
            workload = load_workload(path, topology)
        except ConfigurationError as error:
            errors.append(error)
            continue
        if workload.name in workloads:
            other = workloads[workload.name].directory / FILE_NAME
            problem = Problem(
                (*WITHIN, "name"), f"{workload.name!r} is already the name of the workload in {other}: choose another"
            )
            errors.append(configuration_error(read_yaml(path.absolute()), [problem], WITHIN))
        else:
            workloads[workload.name] = workload
    return list(workloads.values()), errors


def _declares_workload(path: Path) -> bool:
    try:
        declared = re.search(r"^type:\s*['\"]?([A-Za-z_][\w.]*)", path.read_text(encoding="utf-8"), re.MULTILINE)
    except (OSError, UnicodeDecodeError):
        return True
    return declared is None or "did you mean" in did_you_mean(declared[1], (COMPONENT,))


def _sound_sections(attributes: object, shape: list[Problem]) -> WorkloadModel:
    """Those sections of a broken file that have the right shape once unknown keys are out, for the rules to judge.

    Only they are in the result's `model_fields_set`; to read any other section is an error.
    """
    model = WorkloadModel.model_construct()
    if not isinstance(attributes, dict):
        return model
    written = deepcopy(attributes)
    for path in (problem.path for problem in shape if problem.unknown_key and problem.path[0] in WITHIN):
        parent = reduce(lambda node, step: node[step], path[1:-1], written)
        parent.pop(path[-1], None)
    for section in WorkloadModel.model_fields.keys() & written.keys():
        with suppress(ValidationError):
            setattr(model, section, written[section])
    return model


def _broken_rules(model: WorkloadModel, path: Path, topology: Topology) -> Iterator[Problem]:
    """What the rules say; a rule is asked only when all sections that it reads have the right shape."""

    def sound(*sections: str) -> bool:
        return model.model_fields_set.issuperset(sections)

    if sound("name") and model.name != path.parent.name:
        yield Problem(("name",), f"{model.name!r} must be the name of its folder, {path.parent.name!r}")
    if sound("placements"):
        yield from placement_problems(model, topology)
    if sound("name", "placements"):
        yield from traffic_problems(model, topology)
    if sound("placements", "lock_in"):
        yield from lock_in_problems(model, topology)
    if sound("placements", "serving"):
        yield from compute_problems(model, topology, "serving", model.serving.compute_profile)
        yield from capability_problems(model, topology)
        yield from canary_problems(model)
    if sound("placements", "features"):
        yield from compute_problems(model, topology, "features", model.features.compute_profile)
    if sound("placements", "training"):
        yield from compute_problems(model, topology, "training", model.training.compute_profile)
        yield from equivalence_problems(model, topology)
    if sound("cron"):
        yield from cron_problems(("cron",), model.cron)
    if sound("canary") and model.canary is not None:
        yield from cron_problems(("canary", "cron"), model.canary.cron)
    if sound("sources"):
        yield from source_problems(model)
    # With a misspelt jurisdiction each source would be told that it divides its rows wrongly, and it does not.
    if sound("sources", "placements") and model.placements.keys() <= set(topology.jurisdictions):
        yield from division_problems(model)
    if sound("sources", "personal_columns"):
        yield from personal_column_problems(model)
    if sound("features"):
        yield from view_problems(model)
    if sound("features", "tolerances"):
        yield from tolerance_problems(model)
    if sound("features", "thresholds"):
        yield from segment_problems(model)
    references: dict[KeyPath, str] = {}
    if sound("contract"):
        references["contract",] = model.contract
    if sound("features"):
        references["features", "function"] = model.features.function
        if model.features.contract is not None:
            references["features", "contract"] = model.features.contract
    if sound("training"):
        references["training", "train"] = model.training.train
        references["training", "target"] = model.training.target
    if sound("checks"):
        references |= {("checks", index): check for index, check in enumerate(model.checks)}
        yield from check_problems(model, path.parent)
    yield from function_problems(references, path.parent)
