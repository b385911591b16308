"""What a workload says about code and time: the users' functions must exist, and the cron expression must fire.

Functions are found by parsing, never by importing: a definition must load without running what users wrote.
"""

import ast
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from mcml_assets.configuration.problems import Problem
from mcml_assets.configuration.workload_model import WorkloadModel
from mcml_assets.configuration.yaml_lines import KeyPath
from mcml_assets.domain.topology import did_you_mean

# Parameters and first line of the docstring of each function of a file.
Functions: TypeAlias = dict[str, tuple[tuple[str, ...], str]]

CHECKED_ASSETS = ("raw_data", "feature_snapshot")
PLATFORM_CHECKS = (
    "contract", "contract_version", "integrity", "parity", "online_parity", "drift", "replication_lag", "quality", "health",
    "evidence", "agreement", "readiness",
)  # fmt: skip
MACROS = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
LONGEST_DAY = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
# Name, first and last number, and names that stand for numbers (from the first on).
FIELDS = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, MONTHS),
    ("weekday", 0, 7, WEEKDAYS),
)


def function_problems(references: dict[KeyPath, str], directory: Path) -> Iterator[Problem]:
    """Files and functions (`features.py:features`, by the key that names them) that are not beside `defs.yaml`."""
    found: dict[str, Functions | str] = {}
    for path, reference in references.items():
        file, _, name = reference.partition(":")
        if file not in found:
            found[file] = _functions(directory / file)
        functions = found[file]
        if isinstance(functions, str):
            yield Problem(path, functions)
        elif name not in functions:
            yield Problem(path, f"{file} has no function {name!r}{did_you_mean(name, functions)}")


def check_problems(model: WorkloadModel, directory: Path) -> Iterator[Problem]:
    """Checks of a user's own that ask for something else than one checked asset, or take a name that is taken."""
    taken: dict[str, str] = {}
    for index, reference in enumerate(model.checks):
        at, name = ("checks", index), reference.partition(":")[2]
        signature = function_signature(directory, reference)
        if signature is None:
            continue  # that there is no such function is told elsewhere
        parameters, _ = signature
        if len(parameters) != 1 or parameters[0] not in CHECKED_ASSETS:
            found = f"{name}({', '.join(parameters)})"
            hint = did_you_mean(parameters[0], CHECKED_ASSETS) if len(parameters) == 1 else ""
            wanted = " or ".join(f"{name}({asset})" for asset in CHECKED_ASSETS)
            yield Problem(at, f"a check takes what it checks and nothing else: {wanted}, it is {found}{hint}")
        if name in PLATFORM_CHECKS:
            yield Problem(at, f"{name!r} is the name of a check of the platform: give yours another")
        elif name in taken:
            yield Problem(at, f"{reference} and {taken[name]} would be checks of one name")
        taken[name] = reference


def function_signature(directory: Path, reference: str) -> tuple[tuple[str, ...], str] | None:
    """The parameters of a function beside `defs.yaml`, and the first line of its docstring; None when it is not there."""
    file, _, name = reference.partition(":")
    functions = _functions(directory / file)
    return None if isinstance(functions, str) else functions.get(name)


def cron_problems(at: KeyPath, written: str) -> Iterator[Problem]:
    """A cron expression that cannot be read, or names a day that no month has."""
    expression = written.strip().lower()
    if expression.startswith("@"):
        if expression not in MACROS:
            yield Problem(at, f"unknown cron word {written!r}{did_you_mean(expression, MACROS)}")
        return
    words = expression.split()
    if len(words) != len(FIELDS):
        yield Problem(at, f"{written!r} has {len(words)} fields; cron has five, such as '0 * * * *'")
        return
    values = [_values(word, first, last, names) for word, (_, first, last, names) in zip(words, FIELDS, strict=True)]
    for word, (name, first, last, _), numbers in zip(words, FIELDS, values, strict=True):
        if numbers is None:
            yield Problem(at, f"{word!r} is no {name}: numbers from {first} to {last}, as in '*', '5', '1-5', '*/2', '1,3'")
    if all(values):
        days, months = values[2] or (), values[3] or ()
        if words[4] == "*" and min(days) > max(LONGEST_DAY[month - 1] for month in months):
            yield Problem(at, f"{written!r} never comes: no such month has a day {min(days)}")


def _functions(file: Path) -> Functions | str:
    """The functions at the top level of a file, or what is wrong with the file."""
    try:
        stamp = file.stat().st_mtime_ns
    except OSError:
        beside = [other.name for other in file.parent.glob("*.py")]
        return f"there is no file {file.name!r} beside defs.yaml{did_you_mean(file.name, beside)}"
    return _parsed_functions(file, stamp)


@lru_cache(maxsize=512)  # parsing is half of loading a workload, and Dagster loads each at least twice
def _parsed_functions(file: Path, stamp: int) -> Functions | str:
    try:
        tree = ast.parse(file.read_bytes())
    except OSError as error:
        return f"{file.name} cannot be read: {error.strerror}"
    except (SyntaxError, ValueError) as error:
        where = f" at line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        return f"{file.name} is not valid Python{where}: {getattr(error, 'msg', error)}"
    return {
        node.name: (_parameters(node.args), (ast.get_docstring(node) or "").partition("\n")[0])
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }


def _parameters(given: ast.arguments) -> tuple[str, ...]:
    plain = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return (*plain, *(f"*{one.arg}" for one in (given.vararg, given.kwarg) if one is not None))


def _values(word: str, first: int, last: int, names: tuple[str, ...]) -> set[int] | None:
    """The numbers that one field stands for; None when it cannot be read."""
    numbers: set[int] = set()
    for item in word.split(","):
        spread, slash, step = item.partition("/")
        start, dash, end = spread.partition("-")
        low = first if spread == "*" else _number(start, first, names)
        # '5/10' counts from 5 to the end of the field, a plain '5' is itself.
        high = last if spread == "*" or (slash and not dash) else _number(end, first, names) if dash else low
        width = (int(step) if step.isascii() and step.isdigit() else 0) if slash else 1
        if low is None or high is None or width < 1 or not first <= low <= high <= last:
            return None
        numbers.update(range(low, high + 1, width))
    return numbers


def _number(word: str, first: int, names: tuple[str, ...]) -> int | None:
    if word in names:
        return names.index(word) + first
    return int(word) if word.isascii() and word.isdigit() else None
