"""What Dagster loads: `workspace.yaml` and `[tool.dg.project]` name this module."""

import dagster as dg

from mcml_assets.build import build_definitions


@dg.definitions
def defs() -> dg.Definitions:
    """Everything declared under `mcml_assets/defs`, on this machine's settings."""
    return build_definitions()
