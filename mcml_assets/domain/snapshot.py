"""Snapshots: an immutable set of files, the manifest that describes them, and the pointer that names the current one.

The snapshot id is the digest of what the snapshot *says* (files, schema, rows, watermark), so two locations that
hold the same content have the same id, whoever produced it and whenever. It is a SHA-256 always, as is a seal; files are
digested with the algorithm that the manifest names, and the name enters the id. How bytes reach a store, and in which
order, is `snapshots/`'s business; here is only what they mean.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from typing import Any, cast

import orjson

from mcml_assets.domain.digest import DEFAULT_DIGEST, DigestAlgorithm, digest_algorithm
from mcml_assets.domain.errors import ContractViolation, CorruptSnapshot

MANIFEST_FORMAT = 1
SEAL = "sealed_by"
DIGEST = re.compile(r"[0-9a-f]{64}")
FILE_FIELDS = ("path", "size", "digest")
# Segments that lead out of a snapshot, or that another path would do without.
NOT_PLAIN = frozenset(("", ".", ".."))
# Such a segment, or a backslash, in paths that zeros divide.
SUSPICIOUS = re.compile(r"(?:\A|[\0/])\.{0,2}(?:[\0/]|\Z)|\\")
SNAPSHOT_NOUNS = ("landing", "raw_data", "feature_snapshot", "training_run", "model", "canary_training")
"""The assets that have snapshots, and in every location where they have one a pointer.

The canary's is evidence that a failover decides by: a writer of an older epoch, held up since, must not put its own in the
place of newer evidence.
"""
# What mends an object that cannot be read; a manifest is the same in every location that holds its snapshot.
REMEDIES = {
    "manifest": "bring back its former version, from the bucket's versions or a backup, or copy it from another location",
    "pointer": "bring back its former version, from the bucket's versions or a backup",
}
CONTRACT = "contract"
"""The annotation that says under which version of the workload's contract the data was judged."""
OLDER_CONTRACTS = "older_contracts"
"""The annotation with the paths of files that landed under older versions than that, and are judged by those, by version."""


@dataclass(frozen=True, slots=True, order=True)
class SnapshotFile:
    """One file of a snapshot: its path inside the snapshot, its size in bytes, its digest in hex, and the digest's kind."""

    path: str
    size: int
    digest: str
    algorithm: DigestAlgorithm

    @property
    def blob(self) -> str:
        """The name of its bytes among a workload's blobs: they differ where digest or algorithm do."""
        return f"{self.algorithm}/{self.digest[:2]}/{self.digest}"


@dataclass(frozen=True)
class Manifest:
    """What a snapshot holds, and where it came from.

    Content (enters the id): `files`, `digest_algorithm`, which is that of all files, `schema` (table name -> column ->
    Arrow type), `row_count`, `watermark` (ISO 8601: everything the source had up to this time is in here; None where time
    has no meaning).
    Provenance (does not): `parents` (snapshot ids it was made from, by asset), `code_version`, `epoch`, `producer`
    (location key), `created_at` (ISO 8601, UTC), `annotations` (small JSON values for people and later stages).
    """

    files: tuple[SnapshotFile, ...]
    schema: Mapping[str, Mapping[str, str]]
    row_count: int
    watermark: str | None
    parents: Mapping[str, str]
    code_version: str
    epoch: int
    producer: str
    created_at: str
    annotations: Mapping[str, Any] = field(default_factory=dict[str, Any])
    digest_algorithm: DigestAlgorithm = DEFAULT_DIGEST
    format: int = MANIFEST_FORMAT

    def __post_init__(self) -> None:
        """Raise `ValueError` for files that were digested otherwise than the manifest would say."""
        other = {file.algorithm for file in self.files} - {self.digest_algorithm}
        if other:
            raise ValueError(f"a manifest of {self.digest_algorithm} digests cannot name files by their {other.pop()}")

    @cached_property
    def snapshot_id(self) -> str:
        """The hex digest of the content: independent of file order and provenance, different for any other content."""
        # Kept, because it is asked for again and again.
        content = {
            "algorithm": self.digest_algorithm,
            "files": sorted([file.path, file.size, file.digest] for file in self.files),
            "schema": {table: dict(columns) for table, columns in self.schema.items()},
            "row_count": self.row_count,
            "watermark": self.watermark,
        }
        return sha256(_canonical_content(content)).hexdigest()

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)

    @property
    def needs(self) -> frozenset[str]:
        """What must stay stored for its sake: its own id, and the digests of its files."""
        return frozenset({self.snapshot_id, *(file.digest for file in self.files)})

    def file(self, path: str) -> SnapshotFile:
        for file in self.files:
            if file.path == path:
                return file
        raise CorruptSnapshot(f"snapshot {self.snapshot_id[:12]} has no file {path!r}")

    def to_json(self) -> bytes:
        """The stored form; carries the id, so that a damaged manifest is recognised when read."""
        # The files apart, because `asdict` copies every value of them deeply.
        files = [{"path": file.path, "size": file.size, "digest": file.digest} for file in self.files]
        fields = asdict(replace(self, files=()))
        return sealed({"snapshot_id": self.snapshot_id, **fields, "files": files})

    @classmethod
    def from_json(cls, data: bytes) -> "Manifest":
        """Read a stored manifest.

        Raises `CorruptSnapshot` for broken JSON, an unknown format or digest algorithm, a path outside the snapshot, or
        an id that does not match the content.
        """
        document = unsealed(data, "manifest", MANIFEST_FORMAT)
        claimed = document.pop("snapshot_id", None)
        try:
            algorithm = digest_algorithm(document.get("digest_algorithm"))
        except ValueError as error:
            raise CorruptSnapshot(
                f"manifest cannot be checked: {error}; if a newer version of mcml_assets wrote it, upgrade this one; otherwise "
                f"{REMEDIES['manifest']}"
            ) from None
        try:
            files = _files(document.pop("files"), algorithm)
            manifest = cls(files=files, **document)
            actual = manifest.snapshot_id
            _check_names(files)
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise _unreadable("manifest", f"does not have the expected fields: {error}") from error
        except CorruptSnapshot as error:
            raise _unreadable("manifest", f"names what it must not: {error}") from error
        if claimed != actual:
            raise _unreadable("manifest", f"says it is {claimed}, but its content is {actual}")
        return manifest


@dataclass(frozen=True, slots=True)
class Pointer:
    """The `current` pointer of one asset in one location: the snapshot it names, and the epoch it was moved under.

    `fence` is the epoch that a change of acting location put up here, when that is newer: it refuses older writers
    before a newer one has written anything.
    """

    snapshot_id: str
    epoch: int
    committed_at: str
    previous: str | None = None
    format: int = MANIFEST_FORMAT
    fence: int = 0

    @property
    def refuses_below(self) -> int:
        """The oldest epoch whose writers may still move this pointer."""
        return max(self.epoch, self.fence)

    def to_json(self) -> bytes:
        return sealed(asdict(self))

    @classmethod
    def from_json(cls, data: bytes) -> "Pointer":
        """Read a stored pointer. Raises `CorruptSnapshot` for broken JSON, an unknown format or fields that lack."""
        document = unsealed(data, "pointer", MANIFEST_FORMAT)
        try:
            pointer = cls(**document)
            check_digest(pointer.snapshot_id)
        except TypeError as error:
            raise _unreadable("pointer", f"does not have the expected fields: {error}") from error
        except CorruptSnapshot as error:
            raise _unreadable("pointer", f"names what it must not: {error}") from error
        for name, epoch in (("epoch", pointer.epoch), ("fence", pointer.fence)):
            if type(epoch) is not int:
                raise _unreadable("pointer", f"has {name} {epoch!r}, not a whole number")
        return pointer


def snapshot_watermark(manifest: Manifest) -> datetime:
    """Up to when the snapshot's source was complete; times without a zone are UTC by declaration."""
    if manifest.watermark is None:
        raise ContractViolation(f"raw snapshot {manifest.snapshot_id[:12]} has no watermark to compute features as of")
    moment = datetime.fromisoformat(manifest.watermark)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _files(entries: list[dict[str, Any]], algorithm: DigestAlgorithm) -> tuple[SnapshotFile, ...]:
    """The files as they are stored. Raises `KeyError` and `TypeError` for other fields than there should be."""
    if any(len(entry) != len(FILE_FIELDS) for entry in entries):
        raise TypeError(f"a file has other fields than {', '.join(FILE_FIELDS)}")
    return tuple(SnapshotFile(entry["path"], entry["size"], entry["digest"], algorithm) for entry in entries)


def _check_names(files: tuple[SnapshotFile, ...]) -> None:
    """Refuse files whose path or digest must not become part of a key."""
    # All at once first, which takes a third of the time: what looks wrong may be two paths side by side, and is judged below.
    digests = "".join(file.digest for file in files)
    try:
        sound = {len(file.digest) for file in files} <= {64} and bytes.fromhex(digests).hex() == digests
    except ValueError:
        sound = False
    if sound and not SUSPICIOUS.search("\0".join(file.path for file in files)):
        return
    for file in files:
        check_path(file.path)
        check_digest(file.digest)


def check_path(path: str) -> None:
    """Refuse a path that is absolute, climbs out of the snapshot, or is not in its plainest form."""
    if not NOT_PLAIN.isdisjoint(path.split("/")) or "\\" in path:
        raise CorruptSnapshot(f"{path!r} is a path outside its snapshot")


def check_digest(digest: str) -> None:
    """Refuse what is not a digest of 32 bytes in lower-case hex: it becomes part of a key."""
    if not DIGEST.fullmatch(digest):
        raise CorruptSnapshot(f"{digest!r} is no digest of 32 bytes in hex")


def _canonical_content(content: object) -> bytes:
    """`canonical_json` of what an id covers, ten times as fast; a test holds that it is the same."""
    try:
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return canonical_json(content)  # numbers of more than 64 bits


def canonical_json(value: object) -> bytes:
    """One byte string per value: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sealed(document: dict[str, Any]) -> bytes:
    """The document with a digest of all its fields.

    A manifest's id covers its content only, and a pointer has none: without a seal one flipped bit could raise an epoch
    or name another parent, and still be well-formed.
    """
    return canonical_json({**document, SEAL: _seal(document)})


def _seal(document: dict[str, Any]) -> str | None:
    """The digest of all fields; None for text that no stored document can hold, half of a surrogate pair."""
    try:
        return sha256(canonical_json(document)).hexdigest()
    except UnicodeEncodeError:
        return None


def _is_sealed(data: bytes, fields: dict[str, Any], seal: object) -> bool:
    """Whether these are the fields that were sealed."""
    # Without the seal the text is what was digested, if nobody formatted it anew: ten times as fast as writing it again.
    text = data.replace(f',"{SEAL}":"{seal}"'.encode(errors="replace"), b"", 1)
    return seal == sha256(text).hexdigest() or seal == _seal(fields)


def unsealed(data: bytes, what: str, known: int) -> dict[str, Any]:
    """The fields that `sealed` stored, or that were stored before there was a seal, in the `known` format.

    Raises `CorruptSnapshot` for everything else.
    """
    try:
        document = json.loads(data)
    except ValueError as error:
        raise _unreadable(what, f"is not readable JSON: {error}") from error
    if not isinstance(document, dict):
        raise _unreadable(what, "is not a JSON object")
    fields = cast("dict[str, Any]", document)
    seal = fields.pop(SEAL, None)
    found = fields.get("format")
    # Another format may be sealed in another way, and is refused for what it is.
    if found != known:
        said = f"has format {found!r}, this version reads {known}"
        if isinstance(found, int) and found > known:
            raise CorruptSnapshot(f"{what} {said}; a newer version of mcml_assets wrote it: upgrade this one")
        raise _unreadable(what, said)
    if seal is not None and not _is_sealed(data, fields, seal):
        raise _unreadable(what, "is damaged: its fields are not those that were stored")
    return fields


def _unreadable(what: str, why: str) -> CorruptSnapshot:
    return CorruptSnapshot("; ".join([f"{what} {why}", *([REMEDIES[what]] if what in REMEDIES else [])]))
