"""`contract`: the workload's rules about its data, asked of what is about to land, and of what each location stores.

The rules over raw data are the user's, beside `defs.yaml`; those over features follow from the declared views, with the
user's own added. How they are asked is `contracts/`'s business. What is stored is judged by the version of the contract
under which it landed, as its manifest says file by file, whatever is declared by now.

A location's verdict is its own: it is asked of the bytes this location stores, never taken from another's record. But it
follows from the snapshot id and the contract alone, so a location that judged this very snapshot by this very contract
does not read it again; whether the bytes are still those of the snapshot is `integrity`'s question, which reads them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import dagster as dg

from mcml_assets.asset_checks.contract_version import contract_version
from mcml_assets.asset_checks.partitioned import partitioned_check, partitioned_check_spec
from mcml_assets.configuration.contract_files import feature_contract_function
from mcml_assets.contracts.version import JudgedBy, judged_by, judgement_digest, landed_under
from mcml_assets.declaration import asset_key, watermark_of
from mcml_assets.domain.errors import McmlError, ObjectNotFound
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.domain.workload import FeatureView, Workload
from mcml_assets.features.digests import EVENT_TIMESTAMP
from mcml_assets.partitions import by_location
from mcml_assets.resources.stores import CloudStores

if TYPE_CHECKING:
    from mcml_assets.contracts.rules import RuleResult

CHECK = "contract"
# Of the newest results of all locations, how many per location are looked through for this one's own.
REMEMBERED = 4


def contract_check(asset: dg.AssetKey, partitions: dg.PartitionsDefinition) -> dg.AssetCheckSpec:
    """The spec of the check; `landing` yields its result before it commits."""
    return partitioned_check_spec(
        asset,
        CHECK,
        "Every rule of the workload's contract holds for what would be current; else nothing is committed.",
        partitions,
    )


def contract_result(check: dg.AssetCheckSpec, version: str, rules: Sequence["RuleResult"]) -> dg.AssetCheckResult:
    """Each rule with its count; passes only if there is a rule and none is broken."""
    return dg.AssetCheckResult(
        passed=_holds(rules), check_name=check.name, asset_key=check.asset_key, metadata=_told(version, rules)
    )


def unjudged_result(check: dg.AssetCheckSpec, error: Exception) -> dg.AssetCheckResult:
    """What cannot be judged has not been found right."""
    return dg.AssetCheckResult(passed=False, check_name=check.name, asset_key=check.asset_key, metadata=_unjudged(error))


def build_raw_data_contract(workload: Workload) -> dg.AssetChecksDefinition:
    """The rules of the user's contract, asked of the raw data that a location stores."""

    def judged(stores: CloudStores, location: str, manifest: Manifest, files: Mapping[str, Path]) -> Sequence["RuleResult"]:
        from mcml_assets.contracts.of_versions import judge_versions  # noqa: PLC0415 - pandera, only when data is read

        parts = [
            (by, {name: _of_table({path: files[path] for path in paths}, name) for name in manifest.schema})
            for by, paths in zip(_judged_by(workload, manifest), landed_under(manifest).values(), strict=True)
        ]
        return judge_versions(parts, watermark_of(manifest))

    return _build(workload, "raw_data", "Every rule of the workload's contract holds for what is stored here.", judged)


def build_feature_contract(workload: Workload) -> dg.AssetChecksDefinition:
    """The rules that follow from the declared views, and the user's own, asked of the features that a location stores."""

    def judged(stores: CloudStores, location: str, manifest: Manifest, files: Mapping[str, Path]) -> Sequence["RuleResult"]:
        from mcml_assets.contracts.of_features import judge_features  # noqa: PLC0415 - pyarrow and duckdb, when data is read

        raw = stores.snapshots(workload, location, "raw_data").current()
        views = workload.features.views
        if contract_version(manifest) != workload.contract_version:
            # Of features that were computed from data of another version their manifest says what they are.
            views = tuple(_as_stored(view, manifest) for view in views if view.name in manifest.schema)
        tables = {view.name: _of_table(files, view.name) for view in views}
        rules = feature_contract_function(workload, contract_version(manifest))
        return judge_features(workload, views, tables, watermark_of(manifest), watermark_of(raw) if raw else None, rules)

    return _build(
        workload, "feature_snapshot", "Features have the declared form, one row per key and time, and are fresh.", judged
    )


def _build(workload: Workload, noun: str, promise: str, judged: Any) -> dg.AssetChecksDefinition:
    key = asset_key(workload, noun)

    @partitioned_check(key, CHECK, promise, by_location(workload))
    def contract(context: dg.AssetCheckExecutionContext, stores: CloudStores) -> dg.AssetCheckResult:
        location = context.partition_key
        try:
            snapshots = stores.snapshots(workload, location, noun)
            manifest = snapshots.current()
            if manifest is None:
                raise ObjectNotFound(f"{location} holds no {noun} of {workload.name}")
            about = {"snapshot_id": manifest.snapshot_id, "judged_by": _digest(workload, stores, location, noun, manifest)}
            if known := _own_verdict(context, key, location, about, len(workload.locations)):
                return dg.AssetCheckResult(passed=True, metadata={**known, "read": False})
            with TemporaryDirectory() as scratch:
                rules = judged(stores, location, manifest, snapshots.fetch(manifest, Path(scratch)))
        except McmlError as error:
            return dg.AssetCheckResult(passed=False, metadata=_unjudged(error))
        told = _told(contract_version(manifest), rules)
        return dg.AssetCheckResult(passed=_holds(rules), metadata={**told, **about, "read": True})

    return contract


def _of_table(files: Mapping[str, Path], name: str) -> list[Path]:
    return [local for path, local in sorted(files.items()) if path.startswith(f"{name}/")]


def _as_stored(view: FeatureView, manifest: Manifest) -> FeatureView:
    stored = {name: type_ for name, type_ in manifest.schema[view.name].items() if name not in (view.join_key, EVENT_TIMESTAMP)}
    return replace(view, features=stored)


def _judged_by(workload: Workload, manifest: Manifest) -> list[JudgedBy]:
    """The versions that the snapshot's rows landed under, the oldest first."""
    return [judged_by(workload, version, manifest.schema) for version in landed_under(manifest)]


def _digest(workload: Workload, stores: CloudStores, location: str, noun: str, manifest: Manifest) -> str:
    """What besides the snapshot a verdict follows from: contract, declaration, and the watermark that features are held to."""
    if noun == "raw_data":
        older = {version: sorted(paths) for version, paths in landed_under(manifest).items()}
        return judgement_digest(workload, _judged_by(workload, manifest), None, older, None)
    raw = stores.snapshots(workload, location, "raw_data").current()
    # Features follow from their views, whatever columns the raw data has.
    by = JudgedBy(contract_version(manifest), workload.contract, {}, ())
    rules = feature_contract_function(workload, contract_version(manifest))
    return judgement_digest(workload, [by], raw.watermark if raw else None, {}, rules)


def _own_verdict(
    context: dg.AssetCheckExecutionContext, key: dg.AssetKey, location: str, about: Mapping[str, str], locations: int
) -> dict[str, Any] | None:
    """What this location told of the very same question, when its last word was that every rule holds."""
    records = context.instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(key, CHECK), limit=REMEMBERED * locations
    )
    for record in records:
        event = record.event.dagster_event if record.event is not None else None
        if record.partition != location or event is None or event.event_type_value != "ASSET_CHECK_EVALUATION":
            continue
        evaluation = event.asset_check_evaluation_data
        metadata = dict(evaluation.metadata)
        same = all(name in metadata and metadata[name].value == value for name, value in about.items())
        return metadata if evaluation.passed and same else None
    return None


def _holds(rules: Sequence["RuleResult"]) -> bool:
    return bool(rules) and not any(rule.failures for rule in rules)


def _unjudged(error: Exception) -> dict[str, Any]:
    return {"problem": str(error), "error": type(error).__name__}


def _told(version: str, rules: Sequence["RuleResult"]) -> dict[str, Any]:
    return {
        "contract_version": version,
        "rules": len(rules),
        "broken_rules": sum(1 for rule in rules if rule.failures),
        "failures": sum(rule.failures for rule in rules),
        "report": dg.MetadataValue.md(_report(rules)),
    }


def _report(rules: Sequence["RuleResult"]) -> str:
    lines = ["| | table | column | rule | failures | examples | rows |", "|---|---|---|---|---:|---|---|"]
    for rule in sorted(rules, key=lambda rule: -rule.failures):
        cells = [
            rule.table,
            rule.column or "",
            _cell(rule.rule),
            f"{rule.failures:,}",
            *map(_coded, (rule.examples, rule.keys)),
        ]
        lines.append(f"| {'✗' if rule.failures else '✓'} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _coded(texts: Sequence[str]) -> str:
    return ", ".join(f"`{_cell(text)}`" for text in texts)


def _cell(text: str) -> str:
    """Text that ends no cell and no line of a table in Markdown."""
    return text.replace("|", "\\|").replace("\n", " ").replace("`", "'")
