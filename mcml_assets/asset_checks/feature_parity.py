"""`parity` of features: what locations computed independently is the same, within the declared tolerances.

Equal snapshot ids, or equal digests of the rows, need no data. Only where digests differ are rows compared, and then
the report names columns, counts, the largest difference and a few keys, never one that stands for a person.
"""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg

from mcml_assets.asset_checks.feature_report import differences_table
from mcml_assets.asset_checks.partitioned import partitioned_check
from mcml_assets.asset_checks.survey import survey
from mcml_assets.asset_checks.verdict import CHECK, Verdict, unreadable, verdict_result
from mcml_assets.asset_checks.versions import shared_form, versions_told
from mcml_assets.declaration import asset_key
from mcml_assets.domain.errors import McmlError
from mcml_assets.domain.parity import Holding, Quorum, convene
from mcml_assets.domain.snapshot import Manifest, snapshot_watermark
from mcml_assets.domain.table_difference import TableDifference
from mcml_assets.domain.table_digest import TableDigest, compare_digests
from mcml_assets.domain.workload import Workload
from mcml_assets.features.digests import compare_views, stored_digests, view_digests
from mcml_assets.partitions import by_location
from mcml_assets.resources.stores import CloudStores

NOUN = "feature_snapshot"


def build_feature_parity(workload: Workload) -> dg.AssetChecksDefinition:
    """Features of the same raw data agree, wherever they were computed."""

    @partitioned_check(
        asset_key(workload, NOUN),
        CHECK,
        "The features computed here agree with those computed independently elsewhere: rows, schema, digests of every "
        "column; numbers within the workload's tolerances. Of several, the majority names the odd one out.",
        by_location(workload),
    )
    def parity(context: dg.AssetCheckExecutionContext, stores: CloudStores) -> dg.AssetCheckResult:
        location = context.partition_key
        placement = workload.placement_of(location)
        try:
            here = stores.snapshots(workload, location, NOUN).current()
            raw = stores.snapshots(workload, location, "raw_data").current()
            acting = stores.acting(workload, placement.jurisdiction).location
        except McmlError as error:
            return unreadable(error)
        if here is None:
            return unreadable(f"{location} holds no features")
        found = survey(placement, NOUN, lambda key: stores.snapshots(workload, key, NOUN))
        held = {**found.manifests, location: here}
        with TemporaryDirectory() as scratch:
            comparison = _Comparison(workload, stores, location, held, Path(scratch))
            try:
                quorum = _convene(held, here, found.abstained, comparison)
            except McmlError as error:
                return unreadable(error)
        return verdict_result(
            context,
            workload,
            NOUN,
            Verdict(
                location=location,
                snapshot=here.snapshot_id,
                quorum=quorum,
                contents={key: _shown(manifest, key) for key, manifest in held.items()},
                # Whoever publishes first has nobody to compare with; but not because all others are out of reach.
                alone_is_enough=location == acting or not found.unreachable,
                remedy="Materialize `feature_snapshot` where it is wrong: features are computed anew from the raw data there.",
                problem=_stale(location, here, raw),
                metadata=comparison.metadata(quorum),
            ),
        )

    return parity


def _convene(held: Mapping[str, Manifest], here: Manifest, abstained: Mapping[str, str], comparison: "_Comparison") -> Quorum:
    quorum = convene(_holdings(held), _up_to(here), comparison.agree, abstained)
    if comparison.silent:
        # Whose files could not be read turned out to be no witness.
        heard = {key: manifest for key, manifest in held.items() if key not in comparison.silent}
        quorum = convene(_holdings(heard), _up_to(here), comparison.agree, {**abstained, **comparison.silent})
    return quorum


class _SilentLocation(Exception):
    """Another location's features cannot be read."""

    def __init__(self, location: str, reason: str) -> None:
        super().__init__(location)
        self.location, self.reason = location, reason


def _holdings(held: Mapping[str, Manifest]) -> list[Holding]:
    """A copy repeats whoever computed it, and has no voice of its own."""
    return [Holding(key, _up_to(manifest), manifest.snapshot_id, manifest.producer) for key, manifest in held.items()]


def _up_to(manifest: Manifest) -> str:
    return manifest.watermark or ""


def _shown(manifest: Manifest, location: str) -> str:
    copied = "" if manifest.producer == location else f", computed at {manifest.producer}"
    return f"{manifest.snapshot_id[:12]}{copied}"


def _stale(location: str, here: Manifest, raw: Manifest | None) -> str | None:
    if raw is None or raw.watermark is None or snapshot_watermark(here) >= snapshot_watermark(raw):
        return None
    return f"{location} has stale features: they are of data up to {here.watermark}, and its raw data goes to {raw.watermark}."


class _Comparison:
    """Compares what locations hold, reading as little as will do, and remembers what was found."""

    def __init__(
        self, workload: Workload, stores: CloudStores, location: str, held: Mapping[str, Manifest], scratch: Path
    ) -> None:
        self._workload, self._stores, self._location, self._scratch = workload, stores, location, scratch
        # Of several locations that hold one snapshot this one is read: its bytes are here.
        self._where = {manifest.snapshot_id: key for key, manifest in held.items()} | {held[location].snapshot_id: location}
        self._held = held
        self._files: dict[str, dict[str, Path]] = {}
        self._digests: dict[str, dict[str, TableDigest]] = {}
        self._agreed: dict[tuple[str, str], bool] = {}
        self.differences: dict[str, dict[str, TableDifference]] = {}
        self.bytes_from_elsewhere = 0
        self.silent: dict[str, str] = {}

    def agree(self, one: str, other: str) -> bool:
        """Whether two snapshots hold the same rows, within the tolerances; no, if one of them is `silent`.

        Raises `McmlError` when this location's own files cannot be read, or rows cannot be matched.
        """
        first, second = sorted((one, other), key=lambda content: self._where[content] != self._location)
        if (first, second) not in self._agreed:
            try:
                self._agreed[first, second] = self._same(first, second)
            except _SilentLocation as silent:
                self.silent[silent.location] = silent.reason
                return False
        return self._agreed[first, second]

    def _same(self, one: str, other: str) -> bool:
        form = shared_form(*(self._held[self._where[content]] for content in (one, other)))
        if form is None:
            return self._same_digests(one, other) or self._same_rows(one, other)
        from mcml_assets.comparison.common_form import in_common_form  # noqa: PLC0415 - pyarrow, only where versions differ

        views = [view.name for view in self._workload.features.views if view.name in form]
        first, second = (
            in_common_form(self._fetched(content), form, self._scratch / f"{one[:16]}-{other[:16]}" / content[:16])
            for content in (one, other)
        )
        return self._compared(one, other, compare_views(self._workload, first, second, views))

    def _same_digests(self, one: str, other: str) -> bool:
        first, second = self._digests_of(one), self._digests_of(other)
        return first.keys() == second.keys() and all(
            compare_digests(digest, second[name]) is None for name, digest in first.items()
        )

    def _same_rows(self, one: str, other: str) -> bool:
        return self._compared(one, other, compare_views(self._workload, self._fetched(one), self._fetched(other)))

    def _compared(self, one: str, other: str, found: dict[str, TableDifference]) -> bool:
        if self._where[one] == self._location:
            self.differences[self._where[other]] = found
        return all(difference.agrees for difference in found.values())

    def _digests_of(self, content: str) -> dict[str, TableDigest]:
        if content not in self._digests:
            location = self._where[content]
            # What this location says of itself is computed again, for its files are at hand; the others do the same.
            stored = None if location == self._location else self._stored_digests(location)
            self._digests[content] = stored or view_digests(self._workload, self._fetched(content))
        return self._digests[content]

    def _stored_digests(self, location: str) -> dict[str, TableDigest] | None:
        try:
            return stored_digests(self._held[location])
        except McmlError as error:
            raise _SilentLocation(location, type(error).__name__) from error

    def _fetched(self, content: str) -> dict[str, Path]:
        if content not in self._files:
            location = self._where[content]
            manifest = self._held[location]
            try:
                snapshots = self._stores.snapshots(self._workload, location, NOUN)
                self._files[content] = snapshots.fetch(manifest, self._scratch / content[:16])
            except McmlError as error:
                if location == self._location:
                    raise
                raise _SilentLocation(location, type(error).__name__) from error
            if location != self._location:
                self.bytes_from_elsewhere += manifest.size
        return self._files[content]

    def metadata(self, quorum: Quorum) -> dict[str, Any]:
        """How it was compared, and by how much the worst other location differs."""
        worst = [difference for found in self.differences.values() for difference in found.values()]
        columns = [column for difference in worst for column in difference.columns]
        largest = [column.largest for column in columns if column.largest is not None and column.rows]
        return {
            "compared_by": "rows" if self.differences else "digests" if self._digests else "snapshot ids",
            "bytes_read_from_elsewhere": self.bytes_from_elsewhere,
            "differing_rows": max((difference.differing_rows for difference in worst), default=0),
            "differing_columns": len({column.column for column in columns if column.rows}),
            "tolerated_cells": sum(column.tolerated for column in columns),
            **versions_told(self._held),
            **({"largest_difference": max(largest)} if largest else {}),
            **({"differences": dg.MetadataValue.md(differences_table(self._workload, self.differences))} if worst else {}),
        }
