"""YAML read together with the line of every key and list item, so that an error can say where it is.

Knows nothing of what the files mean: a topology and a workload are read the same way.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from mcml_assets.domain.errors import ConfigurationError

# libyaml is about eight times faster; PyYAML is built without it on some platforms.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """One YAML file: its path, its data as plain Python, and the nodes that remember the lines."""

    path: Path
    data: dict[str, Any]
    root: MappingNode

    def line(self, path: KeyPath) -> int:
        """The line (from 1) of the key or list item at `path`; of its nearest parent when there is no such key."""
        node: Node | None = self.root
        line = 1
        for step in path:
            found = _child(node, step)
            if found is None:
                break
            line, node = found
        return line


def read_yaml(path: Path) -> YamlDocument:
    """The one document in the file, which must be a mapping.

    Raises `ConfigurationError` with one line `<file>:<line>: ...` per problem: a file that cannot be read, YAML that
    cannot be parsed, and a key written twice, of which YAML itself would silently keep the last.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path}:1: the file cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{path}:{line}: the file is not UTF-8 text") from error
    try:
        loader = LOADER(text)
        root = loader.get_single_node()
        if not isinstance(root, MappingNode):
            raise ConfigurationError(f"{path}:1: the file must hold a mapping of keys to values")
        # Before construction, which moves the pairs of a merge key (`<<`) into the mapping that names it.
        repeated = [f"{path}:{line}: {text}" for line, text in _repeated_keys(root, (), set())]
        data = loader.construct_document(root)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}:{_error_line(error)}: malformed YAML: {_error_text(error)}") from error
    if repeated:
        raise ConfigurationError("\n".join(repeated))
    return YamlDocument(path, data, root)


def key_path(path: KeyPath) -> str:
    """A path as people read it: `placements.UK[1].location`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.lstrip(".")


def _child(node: Node | None, step: str | int) -> tuple[int, Node] | None:
    if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        item = node.value[step]
        return item.start_mark.line + 1, item
    if isinstance(node, MappingNode):
        # From the end: what a merge key (`<<`) brings in stands first, and what overrides it last.
        for key, value in reversed(node.value):
            if isinstance(key, ScalarNode) and key.value == str(step):
                return key.start_mark.line + 1, value
    return None


def _repeated_keys(node: Node, path: KeyPath, seen: set[int]) -> Iterator[tuple[int, str]]:
    """Line and message for every key that its mapping already has; an alias is looked at once, where its anchor is."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            yield from _repeated_keys(item, (*path, index), seen)
    elif isinstance(node, MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in lines:
                yield line, f"{key_path((*path, name))}: the key is already written on line {lines[name]}"
            lines.setdefault(name, line)
            yield from _repeated_keys(value, (*path, name), seen)


def _error_line(error: yaml.YAMLError) -> int:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return mark.line + 1 if mark is not None else 1


def _error_text(error: yaml.YAMLError) -> str:
    parts = [getattr(error, "context", None), getattr(error, "problem", None)]
    return ", ".join(part for part in parts if part) or " ".join(str(error).split())
