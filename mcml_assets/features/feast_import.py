"""How feast is imported here: fast, and without changing the process around it.

- feast decorates its classes with `typeguard.typechecked`, which parses and recompiles each of them whenever a process
  imports feast: 2.7 of 3.8 seconds. Every run and every model server is a new process, so that is time to fail over.
  The checks guard the arguments of feast's constructors; ours are fixed in `feast_definitions.py` and covered by tests.
- feast switches Prometheus to multi-process mode for the whole process and its children, with a temporary folder that
  outlives a killed process. The model server has metrics of its own, in one process.
- feast turns on the deprecation warnings of every library.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")
PROMETHEUS_FOLDERS = ("PROMETHEUS_MULTIPROCESS_DIR", "PROMETHEUS_MULTIPROC_DIR")
_IMPORTING = Lock()


def import_feast() -> ModuleType:
    """The `feast` module."""
    with _IMPORTING, warnings.catch_warnings(), _no_type_checks(), _no_prometheus_folder():
        import feast  # noqa: PLC0415 - 1 s import, only where features are published or read
        import feast.metrics  # noqa: PLC0415 - would otherwise be imported later, and change the process then
    return feast


@contextmanager
def _no_type_checks() -> Iterator[None]:
    import typeguard  # noqa: PLC0415 - only needed where feast is

    checked = typeguard.typechecked
    typeguard.typechecked = _unchecked  # pyright: ignore[reportAttributeAccessIssue] - what this function is for
    try:
        yield
    finally:
        typeguard.typechecked = checked


def _unchecked(target: T) -> T:
    return target


@contextmanager
def _no_prometheus_folder() -> Iterator[None]:
    """feast keeps its hands off what is already set, and Prometheus decides once, when it is imported."""
    import prometheus_client  # noqa: F401, PLC0415 - before feast says otherwise

    unset = [name for name in PROMETHEUS_FOLDERS if name not in os.environ]
    os.environ |= dict.fromkeys(unset, "")
    try:
        yield
    finally:
        for name in unset:
            os.environ.pop(name, None)
