"""Data of two versions of a contract is compared in what both have, and a difference there is still a difference."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from mcml_assets.asset_checks.versions import shared_form, versions_told
from mcml_assets.comparison.common_form import in_common_form
from mcml_assets.comparison.digest import digest_files
from mcml_assets.domain.contract import Form
from mcml_assets.domain.errors import ContractViolation, CorruptSnapshot
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.domain.table_digest import TableDigest

OLD: Form = {"sales": {"id": "int32", "price": "float", "note": "string"}}
NEW: Form = {"sales": {"id": "int64", "price": "double", "shop": "string"}, "shops": {"name": "string"}}
IDS, PRICES = [1, 2, 3], [0.1, 2.5, None]


def manifest(schema: Form, version: str) -> Manifest:
    return Manifest((), schema, 0, None, {}, "", 1, "aws/eu-west-2", "", {"contract": version})


def digest(folder: Path, form: Form, **columns: Any) -> TableDigest:
    """The digest of these sales in a form."""
    file = folder / "stored.parquet"
    parquet.write_table(pa.table(columns), file)
    return digest_files([*in_common_form({"sales/a.parquet": file}, form, folder / "common").values()])


def older(**changes: Any) -> dict[str, Any]:
    sound = {"id": pa.array(IDS, pa.int32()), "price": pa.array(PRICES, pa.float32()), "note": pa.array(["a", "b", "c"])}
    return sound | changes


def newer(**changes: Any) -> dict[str, Any]:
    return {"id": pa.array(IDS), "price": pa.array(PRICES), "shop": pa.array(["x", "y", "z"])} | changes


def test_the_form_is_the_older_ones_part_of_both() -> None:
    """What only one has is left out, and numbers are as long as the older version has them, whoever asks."""
    one, other = manifest(OLD, "1.9"), manifest(NEW, "1.10")
    assert shared_form(one, other) == shared_form(other, one) == {"sales": {"id": "int32", "price": "float"}}
    assert versions_told({"here": other, "there": one}) == {"compared_in_version": "1.9", "versions": "1.9, 1.10"}


def test_one_version_or_one_form_needs_no_other() -> None:
    """A rule that changed changes no data; two forms under one version are no matter of versions, and stay a difference."""
    assert shared_form(manifest(OLD, "1.0"), manifest(OLD, "2.0")) is None
    assert shared_form(manifest(OLD, "1.0"), manifest(NEW, "1.0")) is None
    assert versions_told({"here": manifest(OLD, "1.0")}) == {}


def test_the_same_rows_agree_and_a_changed_one_does_not(tmp_path: Path) -> None:
    """0.1 widened from a shorter number and 0.1 itself are one price there; the next price, and a row less, are found."""
    form = shared_form(manifest(OLD, "1.0"), manifest(NEW, "1.1"))
    assert form is not None
    there = digest(tmp_path, form, **older())
    assert digest(tmp_path, form, **newer()) == there
    assert digest(tmp_path, form, **newer(price=pa.array([0.1, 2.6, None]))) != there
    assert digest(tmp_path, form, **{name: column[:2] for name, column in newer().items()}) != there
    assert digest(tmp_path, form, **newer(id=pa.array([2, 1, 3]))) != there


def test_what_the_older_version_cannot_say_is_an_error(tmp_path: Path) -> None:
    """A number too long for it never passes for another one, and what is no Parquet is told as that."""
    form: Form = {"sales": {"id": "int32"}}
    with pytest.raises(ContractViolation, match=r"sales/a\.parquet holds a value that the older version"):
        digest(tmp_path, form, **newer(id=pa.array([1, 2, 2**32 + 3])))
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 of another kind")
    with pytest.raises(CorruptSnapshot):
        in_common_form({"sales/a.parquet": tmp_path / "bad.parquet"}, form, tmp_path / "common")
