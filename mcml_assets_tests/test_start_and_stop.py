"""What starting and stopping on one machine promises, without starting the whole platform."""

import socket
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from mcml_assets import development
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.instance.orphaned_runs import fail_orphaned_runs


def test_a_taken_port_names_the_setting_and_a_way_out() -> None:
    """The message says which port, what for, and which setting changes it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"port {port}.*the Dagster UI.*MCML_WEBSERVER_PORT={port + 1}"):
            development.require_free_port(port, "MCML_WEBSERVER_PORT", "the Dagster UI")


def test_runs_of_a_platform_that_was_killed_are_failed_so_that_they_are_retried() -> None:
    """A run left STARTED would hold its partition; after the next start it is a failure, which run retries take up."""
    instance = dg.DagsterInstance.ephemeral()
    job = dg.define_asset_job("job", [dg.AssetKey("asset")])
    definitions = dg.Definitions(assets=[dg.AssetSpec("other"), dg.asset(name="asset")(lambda: None)], jobs=[job])
    left = instance.create_run_for_job(definitions.resolve_job_def("job"), status=dg.DagsterRunStatus.STARTED)
    done = definitions.resolve_job_def("job").execute_in_process(instance=instance)
    assert fail_orphaned_runs(instance) == [left.run_id]
    run = instance.get_run_by_id(left.run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.FAILURE
    kept = instance.get_run_by_id(done.run_id)
    assert kept is not None
    assert kept.status is dg.DagsterRunStatus.SUCCESS


def test_the_command_line_starts_without_heavy_libraries(tmp_path: Path) -> None:
    """`mcml matrix` and `mcml status` load no Dagster, pandas or model library, so they answer at once."""
    code = (
        "import sys; from typer.testing import CliRunner; from mcml_assets.cli import app; "
        "[CliRunner().invoke(app, [command]) for command in ('matrix', 'status')]; "
        "print([name for name in ('dagster', 'pandas', 'mlflow', 'feast', 'kserve', 'sklearn') if name in sys.modules])"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], env={"MCML_HOME": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert finished.stdout.splitlines()[-1] == "[]"
