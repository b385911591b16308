"""Importing feast leaves the process as it was."""

import subprocess
import sys

PROBE = """
import os, sys, tempfile, warnings
import typeguard
from pathlib import Path
from mcml_assets.features.feast_import import import_feast

tempfile.tempdir = sys.argv[1]
before = dict(os.environ), list(warnings.filters), typeguard.typechecked
feast = import_feast()
assert (dict(os.environ), list(warnings.filters), typeguard.typechecked) == before
assert list(Path(sys.argv[1]).iterdir()) == []
from prometheus_client import values
assert values.ValueClass is values.MutexValue
print(feast.__version__)
"""


def test_importing_feast_changes_nothing_else(tmp_path):
    """No environment variable, warning filter, temporary folder, or mode of the model server's metrics is feast's to set."""
    done = subprocess.run([sys.executable, "-c", PROBE, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("0.67")
