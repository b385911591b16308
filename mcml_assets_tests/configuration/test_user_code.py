"""Users' functions, loaded from their files."""

import os
from pathlib import Path

import pytest

from mcml_assets.configuration.user_code import load_function
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.workload import FunctionReference


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import nothing_of_this_name\n", ":1: the file cannot be run: ModuleNotFoundError: No module named"),
        ("x = 1\n\n\ndef f():\n    return 1 / 0\n\n\nf()\n", ":5: the file cannot be run: ZeroDivisionError: division by zero"),
        ("def features(:\n    pass\n", ":1: the file cannot be run: SyntaxError: "),
        ("def featurs():\n    pass\n", ": function 'features' does not exist; did you mean 'featurs'?"),
        ("features = 3\n", ": function 'features' is not a function"),
    ],
)
def test_what_cannot_be_loaded_says_why(tmp_path: Path, code: str, told: str) -> None:
    """The error names the file, the line where there is one, and the user's own exception."""
    file = tmp_path / "features.py"
    file.write_text(code)
    with pytest.raises(ConfigurationError) as raised:
        load_function(FunctionReference(file, "features"))
    assert str(raised.value).startswith(f"{file}{told}")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """The error names file and function."""
    with pytest.raises(ConfigurationError, match=r"gone\.py: cannot load 'features': No such file"):
        load_function(FunctionReference(tmp_path / "gone.py", "features"))


def test_a_file_is_run_once_and_again_when_it_changed(tmp_path: Path) -> None:
    """Functions of one file share their module; an edit takes effect without a restart."""
    file = tmp_path / "train.py"
    file.write_text("runs = []\n\n\ndef train():\n    runs.append(1)\n    return len(runs)\n")
    reference = FunctionReference(file, "train")
    assert [load_function(reference)(), load_function(reference)()] == [1, 2]
    before = file.stat().st_mtime_ns
    file.write_text("runs = []\n\n\ndef train():\n    runs.append(1)\n    return -len(runs)\n")
    os.utime(file, ns=(before + 1, before + 1))
    assert load_function(reference)() == -1


def test_two_workloads_may_have_files_of_one_name(tmp_path: Path) -> None:
    """Each `features.py` is a module of its own, and dataclasses in it work."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "features.py").write_text(
            f"from dataclasses import dataclass\n\n\n@dataclass\nclass Who:\n    name: str = '{name}'\n\n\n"
            "def features():\n    return Who().name\n"
        )
    functions = [load_function(FunctionReference(tmp_path / name / "features.py", "features")) for name in ("a", "b")]
    assert [function() for function in functions] == ["a", "b"]
