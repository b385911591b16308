"""Whether a body has the types of Azure's own client, which Azure generates from its published descriptions."""

from enum import Enum
from types import ModuleType
from typing import Any, get_args, get_origin

from typing_extensions import get_type_hints, is_typeddict

Enumerations = dict[str, type[Enum]]


def enumerations(models: ModuleType) -> Enumerations:
    """The enumerations of a client, by name. Its types name them, and their module does not import them."""
    return {name: one for name, one in vars(models).items() if isinstance(one, type) and issubclass(one, Enum)}


def problems(value: Any, kind: Any, where: str, known: Enumerations) -> list[str]:
    """Where a value has not this type, unknown fields and unknown values of enumerations included."""
    if is_typeddict(kind):
        if not isinstance(value, dict):
            return [f"{where} is no object"]
        hints = get_type_hints(kind, localns=known)
        found = [f"{where} has an unknown field {name!r}" for name in value.keys() - hints.keys()]
        for name in value.keys() & hints.keys():
            found += problems(value[name], hints[name], f"{where}.{name}", known)
        return found
    arguments = get_args(kind)
    if get_origin(kind) is list:
        if not isinstance(value, list):
            return [f"{where} is no list"]
        return [each for index, one in enumerate(value) for each in problems(one, arguments[0], f"{where}[{index}]", known)]
    if get_origin(kind) is dict:
        return [] if isinstance(value, dict) and all(isinstance(one, arguments[1]) for one in value.values()) else [where]
    if arguments:
        named = [one for one in arguments if isinstance(one, type) and issubclass(one, Enum)]
        if named:
            return [] if value in [member.value for member in named[0]] else [f"{where} may not be {value!r}"]
        return [] if any(not problems(value, one, where, known) for one in arguments) else [f"{where} has another type"]
    return [] if isinstance(value, kind) else [f"{where} has another type than {kind.__name__}"]
