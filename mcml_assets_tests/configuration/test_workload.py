"""What a person may write in `defs.yaml`, and what they are told, where, when it is wrong."""

import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest

from mcml_assets.configuration.workload import find_workload_files, load_workload, load_workloads
from mcml_assets.domain.drift import DEFAULT_DRIFT
from mcml_assets.domain.error_budget import DEFAULT_OBJECTIVES
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.quality import DEFAULT_QUALITY
from mcml_assets.domain.workload import Classification, FunctionReference, JurisdictionColumn, Role
from mcml_assets_tests.configuration.mistakes import MISTAKES
from mcml_assets_tests.configuration.workload_files import SOUND, local_topology, marked_lines, write_workload

TOPOLOGY = local_topology()
STANDBY = "{location: gcp/europe-west2, standby: warm}\n"


@pytest.mark.parametrize(("change", "told"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_its_line_and_the_nearest_choice(tmp_path: Path, change: tuple[str, str], told: str) -> None:
    """One mistake is one line: the file, the line, the key, what is wrong and what is near to it."""
    file = write_workload(tmp_path / "churn", change)
    (line,) = marked_lines(file)
    assert problems_of(file) == [f"{file}:{line}: {told}"]


def test_a_lock_in_refuses_every_location_in_another_cloud(tmp_path: Path) -> None:
    """A standby where the workload cannot run would never take over, so it cannot be declared."""
    file = write_workload(
        tmp_path / "churn",
        ("lock_in: null", "lock_in: {cloud: aws, reason: a chip}"),
        ("azure/westeurope", "azure/westeurope #!"),
        (STANDBY, STANDBY.replace("\n", " #!\n")),
    )
    why = "is not in 'aws', the cloud that lock_in says the workload cannot leave"
    first, second = marked_lines(file)
    assert problems_of(file) == [
        f"{file}:{first}: placements.UK[1].location: 'gcp/europe-west2' {why}; did you mean 'aws/eu-west-2'?",
        f"{file}:{second}: placements.EU[0].location: 'azure/westeurope' {why}; known are 'aws/eu-central-1'",
    ]


def test_a_compute_profile_must_be_had_in_every_location(tmp_path: Path) -> None:
    """A workload that could not run at a standby is not placed there."""
    file = write_workload(tmp_path / "churn", ("compute_profile: small", "compute_profile: smal #!"))
    (line,) = marked_lines(file)
    told = problems_of(file)
    assert [problem.split(": ", 2)[2] for problem in told] == [
        f"{key} has no compute profile 'smal'; did you mean 'small'?"
        for key in ("aws/eu-central-1", "aws/eu-west-2", "azure/westeurope", "gcp/europe-west2")
    ]
    assert {problem.split(": ")[0] for problem in told} == {f"{file}:{line}"}


def test_all_mistakes_of_a_file_are_told_at_once_by_line(tmp_path: Path) -> None:
    """Nobody mends one mistake only to be told the next: shapes, misspelt keys and rules are judged together."""
    file = write_workload(
        tmp_path / "churn",
        ("managed_services: []", "managed_service: [] #!"),
        ("rto_seconds: 60", "rto_seconds: 0 #!"),
        ("location: aws/eu-west-2", "location: aws/eu-west-3 #!"),
        ("golden_predictions: 16", "golden_prediction: 16 #!"),
        ("train.py:train", "train.py:trein #!"),
        ('cron: "0 * * * *"', "cron: hourly #!"),
    )
    told = [problem.removeprefix(f"{file}:").split(": ")[:2] for problem in problems_of(file)]
    keys = ["placements.UK[0].location", "rto_seconds", "managed_service", "cron", "training.train"]
    assert told == [
        [str(line), key] for line, key in zip(marked_lines(file), [*keys, "serving.golden_prediction"], strict=True)
    ]


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("type: [mcml_assets\nattributes:\n  name: x\n", 2, "malformed YAML: "),
        ("type: mcml_assets.Workload\nattributes:\n\tname: x\n", 3, "malformed YAML: "),
        ("type: mcml_assets.Workload\n---\ntype: mcml_assets.Workload\n", 2, "malformed YAML: "),
        ("- a\n", 1, "the file must hold a mapping of keys to values"),
        ("", 1, "the file must hold a mapping of keys to values"),
        ("type: mcml_assets.Workload\nattributes: nothing\n", 2, "attributes: must be a "),
    ],
)
def test_a_file_that_is_no_workload_at_all_is_told_with_its_line(tmp_path: Path, text: str, line: int, told: str) -> None:
    """The parser's complaint comes with the line, in one line."""
    file = tmp_path / "defs.yaml"
    file.write_text(text)
    (problem,) = problems_of(file)
    assert problem.startswith(f"{file}:{line}: {told}")


def test_a_file_that_is_not_text_is_told(tmp_path: Path) -> None:
    """A binary file in the place of `defs.yaml` is a configuration error and no crash."""
    file = tmp_path / "defs.yaml"
    file.write_bytes(b"type: x\nname: \xff\xfe\n")
    assert problems_of(file) == [f"{file}:2: the file is not UTF-8 text"]


def test_a_function_file_that_is_no_python_is_told_with_its_line(tmp_path: Path) -> None:
    """A syntax error in a user's file is found when the workload loads, not when its first run fails."""
    file = write_workload(tmp_path / "churn")
    (file.parent / "features.py").write_text("def features(tables, as_of):\n    return {\n")
    (problem,) = problems_of(file)
    assert "features.function: features.py is not valid Python at line 2" in problem


def test_a_sound_workload_says_what_was_written(tmp_path: Path) -> None:
    """What is written becomes frozen facts: roles by order, paths beside the file, locations of the topology."""
    directory = tmp_path / "churn"
    workload = load_workload(write_workload(directory), TOPOLOGY)
    assert workload.classification is Classification.CONFIDENTIAL
    assert [(placed.key, placed.role) for placed in workload.locations] == [
        ("aws/eu-west-2", Role.PRIMARY),
        ("gcp/europe-west2", Role.WARM),
        ("azure/westeurope", Role.PRIMARY),
        ("aws/eu-central-1", Role.COLD),
    ]
    visits, shops = workload.sources
    assert visits.path == directory / "data/visits.parquet"
    assert visits.placed_by == JurisdictionColumn("country", {"UK": ("United Kingdom",), "EU": ("France", "Italy")})
    assert (visits.event_time, visits.first_batch_days, visits.batch_days) == ("time", 180, 30)
    assert (shops.event_time, shops.placed_by) == (None, None)
    assert workload.training.target == FunctionReference(directory / "train.py", "target")
    assert (workload.features.first_after_days, workload.features.every_days) == (30, 30)
    assert [(view.name, view.join_key_from, view.ttl_days) for view in workload.features.views] == [
        ("customer", None, 45),
        ("shop", "customer", None),
    ]
    with pytest.raises(FrozenInstanceError):
        workload.rto_seconds = 1  # pyright: ignore[reportAttributeAccessIssue] - that it cannot be set is the point


def test_what_may_be_left_out_has_a_plain_default(tmp_path: Path) -> None:
    """Lists default to none, golden predictions and thresholds to the documented figures."""
    file = write_workload(
        tmp_path / "churn",
        ("  personal_columns: [customer]\n", ""),
        ("  lock_in: null\n", ""),
        ("    golden_predictions: 16\n    golden_tolerance: 1.0e-9\n    timeout_seconds: 2\n", ""),
        ("  thresholds: {quality: {min_improvement: 0.0, reason: it must beat guessing}}\n", ""),
        ("    as_of: {first_after_days: 30, every_days: 30}\n", ""),
    )
    workload = load_workload(file, TOPOLOGY)
    assert (workload.personal_columns, workload.lock_in, workload.thresholds.quality) == ((), None, DEFAULT_QUALITY)
    assert workload.thresholds.drift == DEFAULT_DRIFT
    assert (workload.serving.golden_predictions, workload.serving.golden_tolerance) == (16, 1e-9)
    assert (workload.features.first_after_days, workload.features.every_days) == (None, None)


def test_objectives_are_what_was_written_and_the_rest_as_documented(tmp_path: Path) -> None:
    """An objective that is not declared has its default, beside one that is."""
    written = ("compute_profile: small\n", "compute_profile: small\n    objectives: {latency: {milliseconds: 80}}\n")
    workload = load_workload(write_workload(tmp_path / "churn", written), TOPOLOGY)
    assert workload.serving.objectives == replace(DEFAULT_OBJECTIVES, latency_milliseconds=80)


def test_a_missing_source_file_does_not_unload_the_workload(tmp_path: Path) -> None:
    """Its landing will fail and say so; endpoints, replication and failover of the workload go on meanwhile."""
    file = write_workload(tmp_path / "churn")
    assert not (file.parent / "data").exists()
    assert load_workload(file, TOPOLOGY).name == "churn"


def test_users_code_is_not_run_when_a_workload_loads(tmp_path: Path) -> None:
    """Functions are found by parsing: a file that fails when it is run loads, and is run in its own time."""
    file = write_workload(tmp_path / "churn")
    assert (file.parent / "features.py").read_text().startswith("raise RuntimeError")
    assert load_workload(file, TOPOLOGY).features.function.name == "features"


def test_one_broken_workload_hides_no_other(tmp_path: Path) -> None:
    """Every sound workload loads; every broken file gives one error."""
    write_workload(tmp_path / "a" / "churn")
    broken = write_workload(tmp_path / "b" / "fraud", ("rto_seconds: 60", "rto_seconds: 0"))
    malformed = tmp_path / "c" / "defs.yaml"
    malformed.parent.mkdir()
    malformed.write_text("type: [\n")
    write_workload(tmp_path / "d" / "returns")
    workloads, errors = load_workloads(tmp_path, TOPOLOGY)
    assert [workload.name for workload in workloads] == ["churn", "returns"]
    assert [str(error).split(":")[0] for error in errors] == [str(broken), str(malformed)]


def test_of_two_workloads_with_one_name_the_first_is_kept(tmp_path: Path) -> None:
    """The second is an error that names both files: their assets would have the same keys."""
    first = write_workload(tmp_path / "a" / "churn")
    second = write_workload(tmp_path / "b" / "churn", ("name: churn", "name: churn #!"))
    workloads, errors = load_workloads(tmp_path, TOPOLOGY)
    assert [workload.directory for workload in workloads] == [first.parent]
    (line,) = marked_lines(second)
    assert [str(error) for error in errors] == [
        f"{second}:{line}: name: 'churn' is already the name of the workload in {first}: choose another"
    ]


def test_other_components_beside_workloads_are_left_alone(tmp_path: Path) -> None:
    """A `defs.yaml` of another component is none of ours; one whose type is misspelt is."""
    ours = write_workload(tmp_path / "churn")
    for name, type_ in (("notes", "dagster.DefsFolderComponent"), ("typo", "mcml_asets.Workload")):
        file = tmp_path / name / "defs.yaml"
        file.parent.mkdir()
        file.write_text(f"type: {type_}\n")
    assert find_workload_files(tmp_path) == [ours, tmp_path / "typo" / "defs.yaml"]


def test_loading_workloads_imports_nothing_heavy() -> None:
    """Every run starts a process that loads definitions: import time is failover time."""
    heavy = ["dagster", "pandas", "pyarrow", "duckdb", "pandera", "feast", "mlflow", "sklearn", "numpy", "rich"]
    code = (
        "import sys, mcml_assets.configuration.topology, mcml_assets.configuration.workload\n"
        "import mcml_assets.configuration.matrix, mcml_assets.configuration.user_code\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_sound_file_of_these_tests_is_sound(tmp_path: Path) -> None:
    """Each mistake above is the only one, because without it there is none."""
    file = write_workload(tmp_path / "churn")
    assert file.read_text() == SOUND
    assert load_workload(file, TOPOLOGY).jurisdictions == ("UK", "EU")


def problems_of(file: Path) -> list[str]:
    """What loading the file says, line by line."""
    with pytest.raises(ConfigurationError) as raised:
        load_workload(file, TOPOLOGY)
    return str(raised.value).splitlines()
