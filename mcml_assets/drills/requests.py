"""Runs that a drill asks for, through the Dagster API that the UI uses, and how they ended. They are ordinary runs.

What a run is asked for is the scenario's business; that it succeeded or failed as it had to, `domain/drill.py`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from mcml_assets.automation import DRILL_TAG, ERROR_TAG
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.drill import Ended
from mcml_assets.domain.errors import ConfigurationError
from mcml_assets.domain.workload import Workload

SECONDS = 30.0
CODE_LOCATION = "mcml_assets"
ASSET_JOB = "__ASSET_JOB"  # Dagster's name for the job of all assets
PRIORITY = "8"  # before what automation requests: the drill waits for it
LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""


@dataclass(frozen=True, slots=True)
class Asked:
    """A run that was asked for: of what, how it must end, and its id."""

    what: str
    fails: bool
    run_id: str


def ask_for(
    assets: Sequence[str], partition: str, workload: Workload, drill: str, settings: Settings, *, fails: bool = False
) -> Asked:
    """Request one run of these assets, with their checks, in one partition.

    Raises `ConfigurationError` when Dagster's webserver does not answer, or refuses.
    """
    import httpx  # noqa: PLC0415 - only drills that ask for runs

    tags = {"dagster/partition": partition, "dagster/priority": PRIORITY, DRILL_TAG: drill}
    params = {
        "selector": {
            "repositoryLocationName": CODE_LOCATION,
            "repositoryName": "__repository__",
            "jobName": ASSET_JOB,
            "assetSelection": [{"path": [workload.name, noun]} for noun in assets],
        },
        "mode": "default",
        "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
    }
    url = f"http://127.0.0.1:{settings.webserver_port}/graphql"
    what = f"{' + '.join(assets)} in {partition}"
    try:
        answer = httpx.post(url, json={"query": LAUNCH, "variables": {"params": params}}, timeout=SECONDS, trust_env=False)
        launched: dict[str, Any] = answer.raise_for_status().json()["data"]["launchRun"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"the run of {what} cannot be asked for: Dagster at {url} does not answer ({type(error).__name__}); "
            "MCML_WEBSERVER_PORT says where it listens"
        ) from error
    if "run" not in launched:
        raise ConfigurationError(
            f"the run of {what} is refused: {launched['__typename']} {launched.get('message', '')}".strip()
        )
    return Asked(what, fails, launched["run"]["runId"])


def endings(asked: Sequence[Asked], instance: dg.DagsterInstance) -> tuple[Ended, ...]:
    """How these runs ended; what goes on has not."""
    runs = {run.run_id: run for run in instance.get_runs(dg.RunsFilter(run_ids=[one.run_id for one in asked]))} if asked else {}
    return tuple(_ending(one, runs.get(one.run_id)) for one in asked)


def _ending(asked: Asked, run: dg.DagsterRun | None) -> Ended:
    if run is None or not run.is_finished:
        return Ended(asked.what, asked.fails, None)
    return Ended(asked.what, asked.fails, run.status is not dg.DagsterRunStatus.SUCCESS, run.tags.get(ERROR_TAG))
