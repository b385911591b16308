"""The one place that declares partitioned asset checks.

They are preview in this Dagster, and there is no other way: an unpartitioned blocking check would release, or hold,
every location at once.
"""

import warnings
from collections.abc import Callable
from typing import Any

import dagster as dg


def partitioned_check_spec(
    asset: dg.AssetKey, name: str, description: str, partitions: dg.PartitionsDefinition, *, blocking: bool = True
) -> dg.AssetCheckSpec:
    """A check whose result the asset itself yields, partition by partition; it blocks unless told otherwise."""
    with _preview_accepted():
        return dg.AssetCheckSpec(name, asset=asset, description=description, blocking=blocking, partitions_def=partitions)


def partitioned_check(
    asset: dg.AssetKey, name: str, description: str, partitions: dg.PartitionsDefinition, *, blocking: bool = True
) -> Callable[[Callable[..., dg.AssetCheckResult]], dg.AssetChecksDefinition]:
    """Decorator of a check that runs after the asset, and can be run again by itself; it blocks unless told otherwise."""

    def declare(function: Callable[..., Any]) -> dg.AssetChecksDefinition:
        with _preview_accepted():
            return dg.asset_check(
                asset=asset, name=name, description=description, blocking=blocking, partitions_def=partitions
            )(function)

    return declare


def _preview_accepted() -> warnings.catch_warnings:
    return warnings.catch_warnings(action="ignore", category=dg.PreviewWarning)
