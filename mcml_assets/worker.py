"""`python -m mcml_assets.worker`: one piece of heavy work, in a process or pod of its own.

It is told by Pipes what to do, works on its location's bucket, and answers with one message through that bucket: what it
made, or the typed error that stopped it. It moves no pointer: the run that asked for it does, when the register agrees.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dagster_pipes import PipesContext, PipesEnvVarParamsLoader, open_dagster_pipes

from mcml_assets.assets.canary_work import canary_task
from mcml_assets.assets.feature_work import compute_task
from mcml_assets.assets.training_work import train_task
from mcml_assets.compute.channel import BucketMessageWriter
from mcml_assets.compute.work import FAILURE, RESULT, failure
from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.workload import load_workload
from mcml_assets.domain.errors import McmlError
from mcml_assets.resources.stores import CloudStores

TASKS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "feature_snapshot": compute_task,
    "training_run": train_task,
    "canary_training": canary_task,
}


def work(pipes: PipesContext, stores: CloudStores) -> dict[str, Any]:
    """Do what the extras name, and return the message that tells of it."""
    told = pipes.extras
    try:
        workload = load_workload(Path(told["workload"]) / "defs.yaml", stores.topology)
        task = TASKS[told["noun"]]
        return {RESULT: task(workload, stores, told["location"], told["task"], told["profile"], told["wanted"], pipes.run_id)}
    except McmlError as error:
        return {FAILURE: failure(error)}


def main() -> None:
    """Work once; anything but a typed error ends the process with a traceback, which whoever asked takes for transient."""
    stores = CloudStores.from_settings(Settings())
    loader = PipesEnvVarParamsLoader()
    location = loader.load_messages_params()["location"]
    with open_dagster_pipes(params_loader=loader, message_writer=BucketMessageWriter(stores.bucket(location))) as pipes:
        pipes.report_custom_message(work(pipes, stores))


if __name__ == "__main__":
    main()
