"""The model package that a location holds, as a folder on this machine, and what it answers.

What is in it is `serving/package.py`'s business.
"""

from datetime import datetime
from typing import TYPE_CHECKING

from mcml_assets.domain.errors import ContractViolation, McmlError, ModelRejected
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.domain.workload import Workload
from mcml_assets.resources.stores import CloudStores

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mcml_assets.serving.package import ModelPackage
    from mcml_assets.training.candidate import Candidate
    from mcml_assets.training.judgement import Served

HELD_OUT_FROM = "held_out_from"
"""The annotation of a package that tells when the rows begin that its model was not trained on (ISO 8601)."""


def held_package(workload: Workload, stores: CloudStores, location: str, manifest: Manifest) -> "ModelPackage":
    """The package's folder in this location, fetched and verified; the same folder for the same package."""
    from mcml_assets.serving.package import held_package_folder, read_package  # noqa: PLC0415 - only who serves or judges

    folder = held_package_folder(stores.settings.location_folder(location), workload.name, manifest.snapshot_id)
    stores.snapshots(workload, location, "model").fetch(manifest, folder)
    return read_package(folder, digest=manifest.snapshot_id)


def scores_of(package: "ModelPackage", rows: "pd.DataFrame") -> "np.ndarray":
    """What a package's model gives for rows of features: the probability of class 1, of shape (rows,).

    Raises what `load_model` does, and `ModelRejected` when the model breaks on these rows, whatever its library raises.
    """
    from mcml_assets.serving.package import load_model  # noqa: PLC0415 - only who judges

    predict = load_model(package)
    try:
        return predict(rows)
    except McmlError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a model's library raises
        # Its message may quote values, and so may the error itself.
        raise ModelRejected(
            f"version {package.description.version} gives no score for these {len(rows)} rows ({type(error).__name__}): they "
            "hold values that it cannot take"
        ) from None


def served_answers(workload: Workload, stores: CloudStores, location: str, candidate: "Candidate") -> "Served | None":
    """What the model that this location serves gives for a candidate's held-out rows; None while it serves none.

    A model that cannot be asked any more, because features were renamed or its pickle is another version's, is told as such:
    the candidate is what replaces it. Raises `McmlError` when the package cannot be read, which no new model mends.
    """
    from mcml_assets.training.judgement import Served  # noqa: PLC0415 - pandas, the same

    manifest = stores.snapshots(workload, location, "model").current()
    if manifest is None:
        return None
    since = manifest.annotations.get(HELD_OUT_FROM)
    held_out_from = datetime.fromisoformat(since) if since is not None else None
    package = held_package(workload, stores, location, manifest)
    try:
        scores = scores_of(package, candidate.x_test)
    except (ContractViolation, ModelRejected) as error:
        return Served(package.description.version, None, held_out_from, str(error))
    return Served(package.description.version, scores, held_out_from)
