"""Rollouts that a drill meets: whether one stands between two of its steps, and how it ended. Reads the data plane's records.

What a rollout is, `domain/rollout.py` says; the objective about it is `domain/drill.py`'s.
"""

from dataclasses import dataclass

from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.drill import RolledOut
from mcml_assets.domain.errors import McmlError
from mcml_assets.domain.rollout import Phase, Rollout
from mcml_assets.serving.folder import DataPlaneFolder
from mcml_assets.serving.manifest import endpoint_name
from mcml_assets.serving.rollout.record import read_record


@dataclass(frozen=True, slots=True)
class Rollouts:
    """The rollouts of one endpoint."""

    settings: Settings
    workload: str
    location: str

    def between_steps(self) -> Rollout | None:
        """The rollout by which a new version answers a part of the requests and waits for its next step; else None."""
        record = self._record()
        if record is None or record.phase is not Phase.SHIFTING or record.step + 1 >= len(record.plan.steps.percents):
            return None
        return record

    def since(self, met: Rollout) -> RolledOut:
        """How far that rollout, or one to a newer version that took its place, has come."""
        record = self._record()
        done = record is not None and record.phase is Phase.DONE and record.version >= met.version
        return RolledOut(
            self.location, met.version, met.share, record.sentence() if record is not None else "no record tells", done
        )

    def _record(self) -> Rollout | None:
        try:
            return read_record(DataPlaneFolder.of(self.settings), endpoint_name(self.workload, self.location))
        except McmlError:
            return None  # nothing readable is no rollout, and in the end none that was done
