"""Entering model packages into a location's registry: the registered model `<workload>.<region>` in its cloud's MLflow.

Training runs are tracked in `tracking.py`; whether a package deserves to be registered is decided by who calls this.
MLflow is
imported inside functions.
"""

from collections.abc import Mapping

from mcml_assets.domain.workload import Workload
from mcml_assets.training.tracking_database import database_file, ensure_database, locked, open_client

CURRENT = "current"
DIGEST_TAG = "mcml.digest"


def register_version(
    uri: str,
    *,
    workload: Workload,
    region: str,
    source: str,
    version: int,
    digest: str,
    snapshots: Mapping[str, str],
    mlflow_run_id: str,
) -> str:
    """Enter a model package into a location's registry and make it `current`; returns the registry's version number.

    `source` is the MLflow model folder inside the location's own copy of the package, `digest` the package's. A digest
    is registered once: for a known one only the alias moves, so a repeated call changes nothing and a rollback is a
    call. The run that trained the model may be in another cloud's MLflow, so it is a tag and not a link.
    """
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - 1.2 s, only when something is registered

    ensure_database(uri)
    client = open_client(uri)
    name = f"{workload.name}.{region}"
    with locked(database_file(uri)):
        try:
            client.get_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            client.create_registered_model(name, description=workload.description)
        versions = client.search_model_versions(f"name = '{name}'")
        known = next((known for known in versions if known.tags.get(DIGEST_TAG) == digest), None)
        if known is None:
            tags = {
                "mcml.version": str(version),
                DIGEST_TAG: digest,
                "mcml.mlflow_run_id": mlflow_run_id,
                **{f"mcml.snapshot.{asset}": snapshot for asset, snapshot in snapshots.items()},
            }
            known = client.create_model_version(name, source, tags=tags)
        client.set_registered_model_alias(name, CURRENT, str(known.version))
    return str(known.version)
