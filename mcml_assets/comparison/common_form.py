"""Parquet files in the form that two versions of a contract have in common, so that data of both can be compared.

What that form is, `domain/contract.py` says. Imports pyarrow: import it inside functions.
"""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mcml_assets.domain.contract import Form
from mcml_assets.domain.errors import ContractViolation, CorruptSnapshot

BATCH_ROWS = 65_536


def in_common_form(files: Mapping[str, Path], form: Form, folder: Path) -> dict[str, Path]:
    """The files of the form's tables with its columns and types only, written below `folder` under the same paths.

    `files` is path in the snapshot (`<table>/<name>.parquet`) -> file. A column that a file is too old for is null.
    Raises `ContractViolation` when a value has no counterpart in the form, as a number too long for the older type.
    """
    written: dict[str, Path] = {}
    for path, file in files.items():
        columns = form.get(path.partition("/")[0])
        if columns is not None:
            written[path] = _write(path, file, _schema(columns), folder / path)
    return written


def _schema(columns: Mapping[str, str]) -> pa.Schema:
    zoned = "timestamp[us, tz=UTC]"
    types = {name: pa.timestamp("us", "UTC") if type_ == zoned else pa.type_for_alias(type_) for name, type_ in columns.items()}
    return pa.schema(list(types.items()))


def _write(path: str, file: Path, schema: pa.Schema, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        parquet = pq.ParquetFile(file)
        known = [name for name in schema.names if name in parquet.schema_arrow.names]
        with pq.ParquetWriter(target, schema) as writer:
            for batch in parquet.iter_batches(BATCH_ROWS, columns=known):
                columns = [
                    batch[field.name].cast(field.type) if field.name in known else pa.nulls(len(batch), field.type)
                    for field in schema
                ]
                writer.write_batch(pa.record_batch(columns, schema=schema))
    except pa.ArrowInvalid as error:
        if "Parquet" in str(error):
            raise CorruptSnapshot(f"{path} cannot be read as Parquet: {type(error).__name__}") from error
        raise ContractViolation(f"{path} holds a value that the older version of the contract has no form for") from error
    except OSError as error:
        raise CorruptSnapshot(f"{path} cannot be read as Parquet: {type(error).__name__}") from error
    return target
