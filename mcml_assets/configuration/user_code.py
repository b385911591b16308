"""Loads the plain functions that users write beside `defs.yaml`, from their files.

A file is a module of its own under a name no other file has, so two workloads may both have a `features.py`. It is
run here for the first time; whether the function exists at all was judged when the workload was loaded.
"""

import sys
import traceback
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.topology import did_you_mean
from mcml_assets.domain.workload import FunctionReference


def load_function(reference: FunctionReference) -> Callable[..., Any]:
    """The user's function. A file is run once, and again when it has changed.

    Raises `ConfigurationError` naming file and function: when the file is missing, when running it fails (with the
    user's own exception and the line it came from), when it has no such function.
    """
    try:
        stat = reference.file.stat()
    except OSError as error:
        raise ConfigurationError(f"{reference.file}: cannot load {reference.name!r}: {error.strerror}") from error
    module = _module(reference.file.absolute(), stat.st_mtime_ns, stat.st_size)
    function = getattr(module, reference.name, None)
    if not callable(function):
        functions = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        what = "is not a function" if hasattr(module, reference.name) else "does not exist"
        raise ConfigurationError(
            f"{reference.file}: function {reference.name!r} {what}{did_you_mean(reference.name, functions)}"
        )
    return function


@lru_cache(maxsize=512)
def _module(file: Path, stamp: int, size: int) -> ModuleType:
    # The folder is part of the name through its digest; sys.modules is where dataclasses and pickle look for it.
    name = f"mcml_user_code_{sha256(str(file).encode()).hexdigest()[:12]}_{file.stem}"
    module = ModuleType(name)
    module.__file__ = str(file)
    sys.modules[name] = module
    try:
        # Compiled from the source each time: importlib's cached bytecode tells changes by the second only.
        exec(compile(file.read_bytes(), str(file), "exec"), module.__dict__)  # noqa: S102 - the user's code, on purpose
    except Exception as error:
        sys.modules.pop(name, None)
        frames = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
        line = error.lineno if isinstance(error, SyntaxError) else frames[-1] if frames else 1
        raise ConfigurationError(f"{file}:{line}: the file cannot be run: {type(error).__name__}: {error}") from error
    return module
