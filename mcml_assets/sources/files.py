"""Parquet files of a source: what they must look like, and how ours are written.

Imports pyarrow: import it inside functions. Which rows go into a file is `parquet.py`'s business.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mcml_assets.domain.contract import fits
from mcml_assets.domain.errors import ConfigurationError, ContractViolation
from mcml_assets.domain.topology import did_you_mean
from mcml_assets.domain.workload import Source

UTC_TIMESTAMP = "timestamp[us, tz=UTC]"


def arrow_schema(columns: Mapping[str, str]) -> pa.Schema:
    """The Arrow schema of declared columns (`int64`, `double`, `timestamp[us, tz=UTC]`), in their order."""
    return pa.schema([(name, _declared_type(type_)) for name, type_ in columns.items()])


def check_source(source: Source) -> None:
    """Whether the source's file is there, and has exactly the declared columns.

    Raises `ConfigurationError` when there is no such file, `ContractViolation` as `check_columns` does.
    """
    if not source.path.is_file():
        beside = [file.name for file in source.path.parent.glob("*.parquet")]
        raise ConfigurationError(
            f"source {source.name!r}: there is no file {source.path}{did_you_mean(source.path.name, beside)}"
        )
    check_columns(source, source.path, f"source {source.name!r}: {source.path.name}")


def check_columns(source: Source, file: Path, what: str) -> None:
    """Whether a Parquet file has the declared columns, in any order, with their types; `what` names it in messages.

    Raises `ContractViolation` that says expected and found for every column at fault, or that it is no Parquet file.
    """
    try:
        found = {field.name: _plain(field.type) for field in pq.read_schema(file)}
    except (pa.ArrowInvalid, OSError) as error:
        raise ContractViolation(
            f"{what}: expected a Parquet file, found {file.stat().st_size} bytes that are truncated or another format"
        ) from error
    expected = {field.name: field.type for field in arrow_schema(source.columns)}
    unexpected = [name for name in found if name not in expected]
    faults = []
    for name, type_ in expected.items():
        if name not in found:
            near = did_you_mean(name, unexpected)
            faults.append(f"column {name!r} ({type_}) is missing{near if 'did you mean' in near else ''}")
        elif found[name] != type_:
            faults.append(f"column {name!r}: expected {type_}, found {found[name]}")
    faults += [f"column {name!r} ({found[name]}) is not declared" for name in unexpected]
    if faults:
        raise ContractViolation("\n".join(f"{what}: {fault}" for fault in faults))


def cut_off(source: Source, folder: Path) -> Source:
    """The source as a transfer leaves it that broke off: the first half of its file, below `folder`."""
    half = folder / source.name / source.path.name
    half.parent.mkdir(parents=True, exist_ok=True)
    with source.path.open("rb") as whole:
        half.write_bytes(whole.read(source.path.stat().st_size // 2))
    return replace(source, path=half)


def landed_form(source: Source, file: Path) -> dict[str, pa.DataType]:
    """Those of the source's declared columns that a landed file has, with the types it has them in.

    What landed under an older version of the contract may lack columns, have more, or have narrower types. Raises
    `ContractViolation` for a column that cannot be brought into the declared type, and for what is no Parquet file.
    """
    what = f"source {source.name!r}: what has landed in {file.name}"
    try:
        found = {field.name: _plain(field.type) for field in pq.read_schema(file)}
    except (pa.ArrowInvalid, OSError) as error:
        raise ContractViolation(
            f"{what}: expected a Parquet file, found {file.stat().st_size} bytes of another kind"
        ) from error
    declared = {field.name: field.type for field in arrow_schema(source.columns)}
    faults = [
        f"{what}: column {name!r} is {found[name]}, and cannot be brought into the declared {type_}"
        for name, type_ in declared.items()
        if name in found and not fits(str(found[name]), str(type_))
    ]
    if faults:
        raise ContractViolation(
            "\n".join(faults)
            + "\nwith a new first number of `contract_version`, `on_breaking_contract: retake` takes all rows "
            "from the source again"
        )
    return {name: found[name] for name in declared if name in found}


def write_parquet(table: pa.Table, file: Path) -> None:
    """Write rows so that the same rows always give the same bytes, with this version of pyarrow."""
    file.parent.mkdir(parents=True, exist_ok=True)
    # One chunk: where the reader's threads happened to cut the table must not show in the pages.
    pq.write_table(table.combine_chunks(), file, version="2.6", compression="zstd", compression_level=3, row_group_size=131_072)


def _declared_type(declared: str) -> pa.DataType:
    return pa.timestamp("us", "UTC") if declared == UTC_TIMESTAMP else pa.type_for_alias(declared)


def _plain(found: pa.DataType) -> pa.DataType:
    """The type without what only its place in memory makes of it: large and dictionary-encoded strings are strings."""
    if pa.types.is_dictionary(found):
        found = found.value_type
    if pa.types.is_large_string(found) or pa.types.is_string_view(found):
        return pa.string()
    if pa.types.is_large_binary(found) or pa.types.is_binary_view(found):
        return pa.binary()
    return found
