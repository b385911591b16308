"""Checks that users write: one function beside `defs.yaml`, which becomes a blocking check of every location.

    def no_negative_baskets(feature_snapshot):
        return (feature_snapshot["customer"]["basket_size"] > 0).all()

The parameter's name says what is checked and is handed over: the tables of `raw_data` by source, or of `feature_snapshot`
by view, as pandas frames. What it returns is True, False, or a sentence that says what is wrong.
"""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING

import dagster as dg

from mcml_assets.asset_checks.partitioned import partitioned_check
from mcml_assets.configuration.user_code import load_function
from mcml_assets.declaration import asset_key
from mcml_assets.domain.errors import ConfigurationError, McmlError, ObjectNotFound
from mcml_assets.domain.workload import Classification, UserCheck, Workload
from mcml_assets.partitions import by_location
from mcml_assets.resources.stores import CloudStores

if TYPE_CHECKING:
    import pandas as pd


def build_user_checks(workload: Workload) -> list[dg.AssetChecksDefinition]:
    """One check per declared function, on the asset that its parameter names."""
    return [_build(workload, check) for check in workload.checks]


def _build(workload: Workload, check: UserCheck) -> dg.AssetChecksDefinition:
    name = check.function.name

    @partitioned_check(
        asset_key(workload, check.asset), name, check.description or f"{check.function} holds here.", by_location(workload)
    )
    def user_check(context: dg.AssetCheckExecutionContext, stores: CloudStores) -> dg.AssetCheckResult:
        location = context.partition_key
        began = perf_counter()
        try:
            snapshots = stores.snapshots(workload, location, check.asset)
            manifest = snapshots.current()
            if manifest is None:
                raise ObjectNotFound(f"{location} holds no {check.asset} of {workload.name}")
            with TemporaryDirectory() as scratch:
                answer = _asked(workload, check, _frames(workload, check, snapshots.fetch(manifest, Path(scratch))))
        except McmlError as error:
            # What cannot be asked has not been found right.
            return dg.AssetCheckResult(passed=False, metadata={"problem": str(error), "error": type(error).__name__})
        metadata = {"snapshot": manifest.snapshot_id[:12], "seconds": perf_counter() - began}
        if answer is None:
            return dg.AssetCheckResult(passed=True, metadata=metadata)
        return dg.AssetCheckResult(passed=False, metadata={**metadata, "problem": answer})

    return user_check


def _frames(workload: Workload, check: UserCheck, files: Mapping[str, Path]) -> "dict[str, pd.DataFrame]":
    import pandas as pd  # noqa: PLC0415 - only when data is read

    declared = workload.sources if check.asset == "raw_data" else workload.features.views
    frames: dict[str, pd.DataFrame] = {}
    for table in declared:
        parts = [pd.read_parquet(file) for path, file in sorted(files.items()) if path.startswith(f"{table.name}/")]
        if not parts:
            raise ObjectNotFound(f"{check.asset} has no file of {table.name!r}")
        frames[table.name] = pd.concat(parts, ignore_index=True)
    return frames


def _asked(workload: Workload, check: UserCheck, frames: "dict[str, pd.DataFrame]") -> str | None:
    """What is wrong by the user's function; None when nothing is. Raises `ConfigurationError` for any other answer."""
    # What a user's code says of restricted data may quote it.
    restricted = workload.classification is Classification.RESTRICTED
    try:
        answer = load_function(check.function)(frames)
    except McmlError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the user's code raises, it becomes one typed error
        detail = "its message is withheld: the workload is restricted" if restricted else str(error)
        raise ConfigurationError(f"{check.function} failed with {type(error).__name__}: {detail}") from None
    if hasattr(answer, "item") and getattr(answer, "ndim", 0) == 0:
        answer = answer.item()  # what numpy and pandas give for True and False
    if isinstance(answer, str) and answer:
        return "withheld: the workload is restricted" if restricted else answer
    if isinstance(answer, bool):
        return None if answer else f"{check.function} does not hold"
    hint = "; has it no `return`?" if answer is None else ""
    raise ConfigurationError(
        f"{check.function} must return True, False or a sentence that says what is wrong, it returned "
        f"{type(answer).__name__}{hint}"
    )
