"""mcml_assets: a Dagster platform that keeps machine learning serving when a cloud region goes dark.

The package holds nothing itself. `mcml_assets.Workload`, the component that `defs.yaml` names, is looked up on
demand: model servers and the command line import this package too, and must not pay for Dagster.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcml_assets.component import Workload

__all__ = ["Workload"]


def __getattr__(name: str) -> Any:
    if name == "Workload":
        from mcml_assets.component import Workload  # noqa: PLC0415 - the reason is above

        return Workload
    raise AttributeError(f"module 'mcml_assets' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]  # `dg` finds components by listing the module
