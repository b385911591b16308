"""From what pydantic refuses, and what our own rules refuse, to one line per problem: file, line, key, nearest choice.

Serves topologies and workloads alike; what is right or wrong in either is said by their models and rules.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mcml_assets.configuration.yaml_lines import KeyPath, YamlDocument, key_path
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.topology import did_you_mean


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: the path of the key in the document, and what to say about it.

    With an `unknown_key` the rest of the document still has a meaning: leaving it out mends the shape.
    """

    path: KeyPath
    text: str
    unknown_key: bool = False


def configuration_error(document: YamlDocument, problems: Iterable[Problem], within: KeyPath = ()) -> ConfigurationError:
    """The error that says all problems, in the order of their lines.

    `within` is the part of the document that people think in (`attributes`): it is left out of the key paths.
    """
    lines = []
    for problem in problems:
        inside = problem.path[: len(within)] == within and len(problem.path) > len(within)
        shown = key_path(problem.path[len(within) :] if inside else problem.path)
        line = document.line(problem.path)
        lines.append((line, f"{document.path}:{line}: {shown}: {problem.text}"))
    return ConfigurationError("\n".join(text for _, text in sorted(set(lines))))


def shape_problems(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """What pydantic refuses, in our words and with the nearest valid choice.

    A misspelt key that is required would be two errors, one unknown and one missing key; it is told once.
    """
    details = error.errors(include_url=False)
    missing = {_path(detail) for detail in details if detail["type"] == "missing"}
    problems = []
    for detail in details:
        if detail["type"] != "extra_forbidden":
            continue
        *parent, name = _path(detail)
        nearest = did_you_mean(str(name), _keys(_declared(model, tuple(parent))))
        problems.append(Problem((*parent, name), f"unknown key{nearest}", unknown_key=True))
        missing -= {path for path in missing if list(path[:-1]) == parent and f"did you mean {path[-1]!r}?" in nearest}
    for detail in details:
        path = _path(detail)
        if detail["type"] == "missing" and path in missing:
            problems.append(Problem(path, "this key is missing"))
        elif detail["type"] not in ("missing", "extra_forbidden"):
            problems.append(Problem(path, _explanation(detail, _declared(model, path))))
    return problems


def _path(detail: ErrorDetails) -> KeyPath:
    # pydantic marks an error of a mapping's key (not its value) by a last step '[key]'.
    return tuple(step for step in detail["loc"] if step != "[key]")


def _explanation(detail: ErrorDetails, declared: Any) -> str:
    value, kind = detail["input"], detail["type"]
    if kind in ("literal_error", "enum"):
        return f"unknown value {value!r}{did_you_mean(str(value), _choices(declared))}"
    if kind in ("too_short", "string_too_short"):
        return "is empty: at least one is needed" if kind == "too_short" else "is empty"
    if kind == "string_type" and value is None:
        return "must be text, but there is no value"
    if kind == "string_type" and not isinstance(value, list | dict):
        return f"must be text, but YAML reads it as {value!r}: put it in quotes"
    if kind == "string_pattern_mismatch":
        return f"{value!r} does not match {detail.get('ctx', {}).get('pattern')}"
    message = detail["msg"].replace("Input should be", "must be").replace("Value error, ", "")
    shown = f" (it is {value!r})" if isinstance(value, int | float | str) else ""
    return message[0].lower() + message[1:] + shown


def _declared(annotation: Any, path: KeyPath) -> Any:
    """The annotation that the model declares at `path`; None where it declares nothing."""
    for step in path:
        annotation = _plain(annotation)
        arguments = get_args(annotation)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            field = annotation.model_fields.get(str(step))
            annotation = field.annotation if field is not None else None
        elif get_origin(annotation) in (dict, list) and arguments:
            annotation = arguments[-1]
        else:
            return None
    return _plain(annotation)


def _plain(annotation: Any) -> Any:
    """The annotation without `Annotated` and `| None`."""
    while get_origin(annotation) in (Annotated, Union, UnionType):
        arguments = [argument for argument in get_args(annotation) if argument is not type(None)]
        annotation = arguments[0]
    return annotation


def _keys(annotation: Any) -> list[str]:
    return list(annotation.model_fields) if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []


def _choices(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        return [str(choice) for choice in get_args(annotation)]
    return [str(member.value) for member in annotation] if isinstance(annotation, type(Enum)) else []
