"""All rows that a feature snapshot's files hold of one view, in the view's declared form. Imports pyarrow: import it inside
functions.

Whether they keep the rules of the contract is `contracts/`'s business; here they are rows that can be used at all.
"""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mcml_assets.domain.errors import ContractViolation, CorruptSnapshot
from mcml_assets.domain.workload import FeatureView
from mcml_assets.features.frames import EVENT_TIMESTAMP, TIMESTAMP_TYPE


def stored_rows(view: FeatureView, files: Mapping[str, Path]) -> pa.Table:
    """Key, time and features of a view; `files` is path in the snapshot (`<view>/<date>.parquet`) -> file.

    Raises `CorruptSnapshot` when the view has no file or one is no Parquet, `ContractViolation` when a file has not the
    declared columns, or values that are not of their types.
    """
    parts = {path: file for path, file in sorted(files.items()) if path.split("/")[0] == view.name}
    if not parts:
        raise CorruptSnapshot(f"the feature snapshot has no file of view {view.name!r}; it has {sorted(files)}")
    types = {view.join_key: pa.type_for_alias(view.join_key_type), EVENT_TIMESTAMP: TIMESTAMP_TYPE}
    schema = pa.schema(types | {name: pa.type_for_alias(type_) for name, type_ in view.features.items()})
    return pa.concat_tables([_declared(path, file, schema) for path, file in parts.items()])


def _declared(path: str, file: Path, schema: pa.Schema) -> pa.Table:
    try:
        table = pq.ParquetFile(file).read()
    except (pa.ArrowInvalid, OSError) as error:
        raise CorruptSnapshot(f"{path} cannot be read as Parquet: {type(error).__name__}") from error
    if missing := [name for name in schema.names if name not in table.column_names]:
        raise ContractViolation(f"{path} has no column {', '.join(map(repr, missing))}; it has {table.column_names}")
    columns: list[pa.ChunkedArray] = []
    for field in schema:
        try:
            columns.append(table[field.name].cast(field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            # Arrow's message may quote a value, and so may the error that this one came from.
            raise ContractViolation(
                f"{path}: column {field.name!r} is declared {field.type}, and holds {table[field.name].type} of other values"
            ) from None
    return pa.table(columns, schema=schema)
