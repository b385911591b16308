"""The Dagster component behind `type: mcml_assets.Workload`; its attributes are judged in `configuration/`."""

import dagster as dg
from pydantic import BaseModel

from mcml_assets.build import build_workload
from mcml_assets.configuration.settings import Settings
from mcml_assets.configuration.topology import load_topology
from mcml_assets.configuration.workload import WorkloadModel, load_workload
from mcml_assets.domain.workload import Workload as WorkloadFacts


class Workload(dg.Component):
    """One machine learning use case: from its source to an answering endpoint in every location it is placed in."""

    def __init__(self, facts: WorkloadFacts) -> None:
        self.facts = facts

    @classmethod
    def get_model_cls(cls) -> type[WorkloadModel]:
        """The attributes of `defs.yaml`, for `dg check yaml` and editors."""
        return WorkloadModel

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> "Workload":
        """Read the whole file again, because only the file knows the line of each mistake."""
        topology = load_topology(Settings().topology_file)
        return cls(load_workload(context.path / "defs.yaml", topology))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The workload's assets and checks."""
        return build_workload(self.facts)
