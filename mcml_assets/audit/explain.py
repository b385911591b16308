"""Where an answer came from: from a prediction id back to the batch that landed, and the same score once more.

Read from the buckets, from the spool on this machine, and from nobody's memory. Printing is `commands/prediction.py`'s
business; what a prediction log holds `serving/prediction_log/`'s.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mcml_assets.clouds.interfaces import ObjectStore
from mcml_assets.clouds.registry import open_store
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import CorruptSnapshot, LocationUnavailable, McmlError, ObjectNotFound, TransientError
from mcml_assets.domain.prediction import PredictionRow, keyed_digest, predicted_at
from mcml_assets.domain.snapshot import CONTRACT, Manifest, canonical_json
from mcml_assets.domain.topology import Topology
from mcml_assets.domain.workload import Workload
from mcml_assets.serving.folder import DataPlaneFolder
from mcml_assets.serving.prediction_log.log import PredictionLog
from mcml_assets.serving.prediction_log.shipper import waiting_rows
from mcml_assets.snapshots.store import SnapshotStore

if TYPE_CHECKING:
    from mcml_assets.serving.package import ModelPackage


@dataclass(frozen=True, slots=True)
class Step:
    """One snapshot on the way back: which asset's, where it was found, and what its manifest tells."""

    asset: str
    snapshot_id: str
    found_in: str
    produced_in: str
    created_at: str
    epoch: int
    code_version: str
    watermark: str | None
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Explanation:
    """An answer and its origin, newest first: model, its training's features, raw data, landing.

    `served_from` is the snapshot whose features were scored. `problems` says what of the way could not be walked.
    """

    row: PredictionRow
    logged_in: str
    served_from: Step | None
    steps: tuple[Step, ...]
    contract_version: str | None
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Replay:
    """The score given again from the archived package and features; `difference` is absolute, `tolerance` the package's."""

    score: float
    logged: float
    difference: float
    tolerance: float
    same: bool


class Archive:
    """The prediction logs and snapshots of all workloads, asked location by location."""

    def __init__(self, workloads: Sequence[Workload], topology: Topology, settings: Settings) -> None:
        self.workloads = {workload.name: workload for workload in workloads}
        self.topology, self.settings = topology, settings

    def bucket(self, location: str) -> ObjectStore:
        """The bucket of a location."""
        return open_store(self.topology.location(location), self.settings)

    def prediction_log(self, workload: Workload, location: str) -> PredictionLog:
        """The log of a workload in a location."""
        return PredictionLog(self.bucket(location), workload.name)

    def snapshots(self, workload: Workload, location: str, asset: str) -> SnapshotStore:
        """The snapshots of an asset in a location."""
        return SnapshotStore(self.bucket(location), workload.name, asset)

    def find(self, identifier: str) -> tuple[list[PredictionRow], str]:
        """All rows of one answer, and where they are: in a location's log, or still in the spool of this machine.

        Raises `ConfigurationError` for what is no id, `ObjectNotFound` when every log was read and none has it, and
        `LocationUnavailable` when one that could have it does not answer.
        """
        since = predicted_at(identifier)
        waiting = [row for row in waiting_rows(DataPlaneFolder.of(self.settings), {}) if row.prediction_id == identifier]
        places = [(workload, placed.key) for workload in self.workloads.values() for placed in workload.locations]
        if waiting:
            # What was shipped a moment ago may still be in its file.
            places = [(self.workloads[waiting[0].workload], waiting[0].location)]
        silent: list[LocationUnavailable] = []
        for workload, location in places:
            try:
                entries = self.prediction_log(workload, location).rows(since)
                found = [entry.row for entry in entries if entry.row.prediction_id == identifier]
            except LocationUnavailable as error:
                silent.append(error)
                continue
            if found:
                return found, location
        if waiting:
            return waiting, f"the spool of this machine, on its way to {waiting[0].location}"
        if silent:
            raise silent[0]
        raise ObjectNotFound(f"no prediction log of {', '.join(self.workloads)} holds {identifier}, made {since.isoformat()}")

    def explain(self, row: PredictionRow, logged_in: str) -> Explanation:
        """Walk from the answer to the landing; a part that cannot be read is a problem and ends nothing else."""
        workload = self.workloads[row.workload]
        problems: list[str] = []
        steps: list[Step] = []
        served_from = self._step(workload, row, "feature_snapshot", row.feature_snapshot, problems)
        model = self._step(workload, row, "model", row.model_digest, problems)
        parents: Mapping[str, str] = model.facts["parents"] if model else {}
        steps += [model] if model else []
        for asset in ("feature_snapshot", "raw_data", "landing"):
            # The landing's snapshot is the one that raw data copied.
            wanted = parents.get("raw_data" if asset == "landing" else asset)
            if wanted is None:
                if model is not None:
                    problems.append(f"the model does not say which {asset} it was trained on")
                continue
            step = self._step(workload, row, asset, wanted, problems)
            steps += [step] if step else []
        landing = next((step for step in steps if step.asset == "landing"), None)
        contract = landing.facts.get(CONTRACT) if landing else None
        return Explanation(row, logged_in, served_from, tuple(steps), contract, tuple(problems))

    def replay(self, row: PredictionRow) -> Replay:
        """Score the same features with the same package again.

        Raises `ObjectNotFound` or `LocationUnavailable` when package, features or the digests' key cannot be had,
        `CorruptSnapshot` when no row of the snapshot is the one that was scored, `ModelRejected` when the package does
        not load here.
        """
        import pandas as pd  # noqa: PLC0415 - only when a score is given again

        from mcml_assets.serving.package import load_model, read_package  # noqa: PLC0415 - the same

        workload = self.workloads[row.workload]
        with TemporaryDirectory() as scratch:
            folder = Path(scratch)
            self._fetch(workload, row, "model", row.model_digest, folder / "model")
            package = read_package(folder / "model", digest=row.model_digest)
            manifest = self._fetch(workload, row, "feature_snapshot", row.feature_snapshot, folder / "features")
            features = self._features(workload, row, package, manifest, folder / "features")
            frame = pd.DataFrame([features], columns=pd.Index(list(package.schema.model_inputs)), dtype=object)
            score = float(load_model(package)(frame)[0])
        difference = abs(score - row.score)
        return Replay(score, row.score, difference, package.golden.tolerance, difference <= package.golden.tolerance)

    def _features(
        self, workload: Workload, row: PredictionRow, package: "ModelPackage", manifest: Manifest, folder: Path
    ) -> dict[str, Any]:
        """The features of the snapshot that the row tells of: looked up, or found by their digest where no id was kept."""
        from mcml_assets.features.archived import archived_features  # noqa: PLC0415 - pyarrow, only when replayed

        files = {file.path: folder / file.path for file in manifest.files}
        key = b"" if row.inputs == "kept" else self.prediction_log(workload, row.location).key(row.writer)

        def recorded(value: object) -> str:
            return canonical_json(value).decode() if row.inputs == "kept" else keyed_digest(key, value)

        moment = datetime.fromisoformat(manifest.watermark or row.time)
        # Times without a zone are UTC by declaration.
        watermark = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        for entity, features in archived_features(workload, files, watermark):
            if recorded(entity) == row.entity:
                inputs = {name: features[name] for name in package.schema.model_inputs}
                if recorded(inputs) == row.features:
                    return inputs
                raise CorruptSnapshot(f"feature snapshot {row.feature_snapshot[:12]} has other features than were scored")
        raise CorruptSnapshot(f"feature snapshot {row.feature_snapshot[:12]} has no entity that was scored")

    def _step(self, workload: Workload, row: PredictionRow, asset: str, snapshot_id: str, problems: list[str]) -> Step | None:
        try:
            manifest, where = self._manifest(workload, row, asset, snapshot_id)
        except McmlError as error:
            problems.append(f"{asset} {snapshot_id[:12]}: {error}")
            return None
        facts = {**manifest.annotations, "rows": manifest.row_count, "parents": dict(manifest.parents)}
        return Step(
            asset, snapshot_id, where, manifest.producer, manifest.created_at, manifest.epoch, manifest.code_version,
            manifest.watermark, facts,
        )  # fmt: skip

    def _manifest(self, workload: Workload, row: PredictionRow, asset: str, snapshot_id: str) -> tuple[Manifest, str]:
        """The manifest, and the first location that has it: the one that answered, then the others of its placement."""
        problem: McmlError = ObjectNotFound(f"{workload.name} is placed nowhere in {row.jurisdiction}")
        for where in self._places(workload, row):
            try:
                return self.snapshots(workload, where, asset).manifest(snapshot_id), where
            except (ObjectNotFound, LocationUnavailable, TransientError) as error:
                problem = error
        raise problem

    def _fetch(self, workload: Workload, row: PredictionRow, asset: str, snapshot_id: str, folder: Path) -> Manifest:
        problem: McmlError = ObjectNotFound(f"{workload.name} is placed nowhere in {row.jurisdiction}")
        for where in self._places(workload, row):
            try:
                manifest = self.snapshots(workload, where, asset).manifest(snapshot_id)
                self.snapshots(workload, where, asset).fetch(manifest, folder)
                return manifest
            except (ObjectNotFound, LocationUnavailable, TransientError, CorruptSnapshot) as error:
                problem = error
        raise problem

    @staticmethod
    def _places(workload: Workload, row: PredictionRow) -> list[str]:
        placed = [location.key for location in workload.placement(row.jurisdiction).locations]
        return sorted(placed, key=lambda key: key != row.location)
