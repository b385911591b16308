"""What a snapshot id says, and what is refused when a manifest or a pointer is read."""

import json
from dataclasses import asdict, replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from mcml_assets.domain.digest import DEFAULT_DIGEST
from mcml_assets.domain.errors import CorruptSnapshot
from mcml_assets.domain.snapshot import Manifest, Pointer, SnapshotFile, canonical_json, check_path

names = st.text(st.characters(codec="utf-8", exclude_characters="/\\"), min_size=1, max_size=8).filter(
    lambda name: name not in (".", "..")
)
paths = st.lists(names, min_size=1, max_size=3).map("/".join)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
times = st.datetimes().map(lambda time: time.isoformat())
optional_times = st.none() | times
files = st.builds(
    SnapshotFile,
    path=paths,
    size=st.integers(0, 2**50),
    digest=digests,
    algorithm=st.just(DEFAULT_DIGEST),
)
provenance = {
    "parents": st.dictionaries(names, digests, max_size=3),
    "code_version": st.text(st.characters(codec="utf-8"), max_size=10),
    "epoch": st.integers(0, 10**6),
    "producer": st.sampled_from(["aws/eu-west-2", "azure/uksouth"]),
    "created_at": times,
    "annotations": st.dictionaries(names, st.integers() | st.booleans() | st.none() | names, max_size=3),
}
manifests = st.builds(
    Manifest,
    files=st.lists(files, max_size=5, unique_by=lambda file: file.path).map(tuple),
    schema=st.dictionaries(names, st.dictionaries(names, st.sampled_from(["int64", "string"]), max_size=3), max_size=3),
    row_count=st.integers(0, 2**40),
    watermark=optional_times,
    **provenance,
)
pointers = st.builds(
    Pointer,
    snapshot_id=digests,
    epoch=st.integers(0, 10**6),
    committed_at=times,
    previous=st.none() | digests,
)


def stored(manifest: Manifest, **changed: Any) -> bytes:
    """A manifest's stored form, with the id of its content and some top-level fields set to other values."""
    fields = json.loads(manifest.to_json()) | changed
    del fields["sealed_by"]
    return canonical_json(fields)


def a_manifest(*paths: str) -> Manifest:
    return Manifest(
        files=tuple(SnapshotFile(path, 1, "0" * 64, DEFAULT_DIGEST) for path in paths),
        schema={"t": {"c": "int64"}},
        row_count=1,
        watermark="2011-01-01T00:00:00",
        parents={},
        code_version="1",
        epoch=1,
        producer="aws/eu-west-2",
        created_at="2026-01-01T00:00:00+00:00",
    )


@given(manifests, st.randoms(use_true_random=False), st.fixed_dictionaries(provenance))
def test_the_id_ignores_order_and_provenance(manifest: Manifest, random: Any, other: dict[str, Any]):
    """Two locations that hold the same content have the same id, whatever order, place, time and code it came from."""
    shuffled = list(manifest.files)
    random.shuffle(shuffled)
    assert replace(manifest, files=tuple(shuffled), **other).snapshot_id == manifest.snapshot_id


@given(manifests)
def test_the_id_is_that_of_the_canonical_content(manifest: Manifest):
    """The id is the SHA-256 of JSON with sorted keys, no spaces and UTF-8, which anybody can compute again."""
    content = json.loads(manifest.to_json())
    files = sorted([file["path"], file["size"], file["digest"]] for file in content["files"])
    named = {name: content[name] for name in ("schema", "row_count", "watermark")}
    said = canonical_json({"algorithm": content["digest_algorithm"], "files": files, **named})
    assert sha256(said).hexdigest() == manifest.snapshot_id


@given(manifests, manifests)
def test_the_id_names_one_content(one: Manifest, other: Manifest):
    """Different files, schema, row count or watermark give a different id."""

    def content(manifest: Manifest) -> object:
        named = {(file.path, file.size, file.digest) for file in manifest.files}
        return named, manifest.schema, manifest.row_count, manifest.watermark

    assume(content(one) != content(other))
    assert one.snapshot_id != other.snapshot_id


@given(manifests, digests, paths)
def test_every_content_field_enters_the_id(manifest: Manifest, digest: str, path: str):
    """Changing any one fact of the content changes the id."""
    added = SnapshotFile(path, 1, digest, DEFAULT_DIGEST)
    changed = [
        replace(manifest, row_count=manifest.row_count + 1),
        replace(manifest, watermark=None if manifest.watermark else "2011-01-01T00:00:00"),
        replace(manifest, schema={**manifest.schema, "another table": {}}),
        replace(manifest, schema={**manifest.schema, "another table": {"column": "int64"}}),
        replace(manifest, files=(*manifest.files, added)),
        replace(manifest, files=(*manifest.files, replace(added, size=2))),
        replace(manifest, files=(*manifest.files, replace(added, path=f"{path}x"))),
        replace(manifest, files=(*manifest.files, replace(added, digest=digest[::-1] + "0"))),
    ]
    ids = [manifest.snapshot_id, *(other.snapshot_id for other in changed)]
    assert len(set(ids)) == len(ids)


@given(manifests)
def test_manifests_round_trip(manifest: Manifest):
    """A stored manifest is read back as it was, and stored again as the same bytes."""
    data = manifest.to_json()
    assert Manifest.from_json(data) == manifest
    assert Manifest.from_json(data).to_json() == data


@given(pointers)
def test_pointers_round_trip(pointer: Pointer):
    """A stored pointer is read back as it was."""
    assert Pointer.from_json(pointer.to_json()) == pointer


@given(manifests, st.data())
def test_damage_is_refused_or_harmless(manifest: Manifest, data: st.DataObject):
    """A manifest with any byte changed or its end missing is refused, unless its content reads the same."""
    whole = manifest.to_json()
    position = data.draw(st.integers(0, len(whole) - 1))
    damaged = data.draw(
        st.sampled_from([
            whole[:position],
            whole[:position] + data.draw(st.binary(min_size=1, max_size=1)) + whole[position + 1 :],
        ])
    )  # fmt: skip
    try:
        read = Manifest.from_json(damaged)
    except CorruptSnapshot:
        return
    assert read.snapshot_id == manifest.snapshot_id


def test_every_flipped_bit_is_noticed():
    """A bit that flips anywhere in a stored pointer or manifest, in its epoch or its provenance as well, is noticed."""
    pointer = Pointer("a1" * 32, 13, "2026-01-01T00:00:00+00:00", "b2" * 32)
    for document, read in ((pointer.to_json(), Pointer.from_json), (a_manifest("a").to_json(), Manifest.from_json)):
        for bit in range(len(document) * 8):
            damaged = bytearray(document)
            damaged[bit // 8] ^= 1 << bit % 8
            with pytest.raises(CorruptSnapshot):
                read(bytes(damaged))


def test_what_was_stored_before_there_was_a_seal_is_read():
    """A pointer or manifest without a seal is read by its other marks."""
    pointer, manifest = Pointer("a1" * 32, 13, "2026-01-01T00:00:00+00:00"), a_manifest("a")
    assert Pointer.from_json(canonical_json(asdict(pointer))) == pointer
    assert Manifest.from_json(stored(manifest)) == manifest


@given(st.binary() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(lambda v: json.dumps(v).encode()))
@example(b"")
@example(b"null")
@example(b"{}")
@example(b'{"format":1}')
@example(b'{"format":1,"snapshot_id":7,"epoch":1,"committed_at":"","previous":null}')
@example(b'{"format":1,"files":[7]}')
@example(b"\xff\xfe")
@example(b'{"format":1,"sealed_by":"","epoch":"\\ud800"}')
def test_what_is_no_manifest_is_refused(data: bytes):
    """Bytes that are no manifest or pointer are refused as corrupt, by no other error, with what mends it."""
    for read in (Manifest.from_json, Pointer.from_json):
        with pytest.raises(CorruptSnapshot, match=r"bring back its former version|upgrade this one"):
            read(data)


def test_a_wrong_id_is_refused():
    """A manifest whose id is not that of its content is refused, naming both."""
    manifest = a_manifest("a")
    for wrong in ("0" * 64, None, 7):
        with pytest.raises(CorruptSnapshot, match=rf"says it is {wrong}, but its content is {manifest.snapshot_id}"):
            Manifest.from_json(stored(manifest, snapshot_id=wrong))
    with pytest.raises(CorruptSnapshot, match="but its content is"):
        Manifest.from_json(stored(manifest, row_count=2))


@pytest.mark.parametrize(
    ("other", "remedy"),
    [(2, "upgrade this one"), (0, "bring back its former version"), ("1", "bring back"), (None, "bring back")],
)
def test_another_format_is_refused(other: object, remedy: str):
    """A manifest or pointer of a format this version does not know is refused, naming both formats and the way out."""
    with pytest.raises(CorruptSnapshot, match=rf"manifest has format .*, this version reads 1; .*{remedy}"):
        Manifest.from_json(stored(a_manifest("a"), format=other))
    pointer = Pointer("0" * 64, 1, "2026-01-01T00:00:00+00:00")
    with pytest.raises(CorruptSnapshot, match=rf"pointer has format .*, this version reads 1; .*{remedy}"):
        Pointer.from_json(canonical_json({**asdict(pointer), "format": other}))


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/passwd", "a/..", "..", "", ".", "./a", "a//b", "a/", "a\\..\\b"])
def test_paths_out_of_the_snapshot_are_refused(path: str):
    """A path that leaves the snapshot's folder, or could be written another way, is refused although its id is right."""
    with pytest.raises(CorruptSnapshot, match="outside its snapshot; bring back its former version"):
        Manifest.from_json(a_manifest("fine", path).to_json())


@given(st.lists(paths | st.sampled_from(["a\0", "\0/b", "\0", "..."]), unique=True, max_size=5))
def test_plain_paths_are_accepted_beside_each_other(several: list[str]):
    """Whatever paths of plain parts a manifest names, and however they look side by side, it is read."""
    manifest = a_manifest(*several)
    assert Manifest.from_json(manifest.to_json()) == manifest


@given(paths)
def test_plain_paths_are_accepted(path: str):
    """Every path of plain parts is a path of a snapshot."""
    check_path(path)


def test_digests_that_are_none_are_refused():
    """What becomes a key in a bucket must be a digest: nothing else passes, with a right id or not."""
    for digest in ("../../other", "0" * 63, "0" * 64 + "\n", "A" * 64, "g" * 64, "0" * 62 + " 0"):
        damaged = replace(a_manifest(), files=(SnapshotFile("a", 1, digest, DEFAULT_DIGEST),))
        with pytest.raises(CorruptSnapshot, match="is no digest of 32 bytes in hex; bring back its former version"):
            Manifest.from_json(damaged.to_json())
        with pytest.raises(CorruptSnapshot, match="is no digest of 32 bytes in hex; bring back its former version"):
            Pointer.from_json(Pointer(digest, 1, "2026-01-01T00:00:00+00:00").to_json())


def test_a_missing_file_is_named():
    """Asking a manifest for a file it does not hold raises an error with the snapshot and the path."""
    manifest = a_manifest("a", "b")
    assert manifest.file("b").path == "b"
    assert manifest.size == 2
    with pytest.raises(CorruptSnapshot, match=rf"{manifest.snapshot_id[:12]} has no file 'c'"):
        manifest.file("c")
