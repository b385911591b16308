"""How bytes come into the strict server: media, multipart and resumable uploads, digested as they arrive."""

import base64
import hashlib
import json
import os
import re
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import google_crc32c

from mcml_assets.emulation.strict_gcs.generations import Content, Preconditions, Refused

CHUNK_MULTIPLE = 256 * 1024


class Intake:
    """Bytes on their way into one file of `folder`; `finish` says what they are, `drop` forgets them."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / secrets.token_hex(16)
        self.size = 0
        self._md5, self._crc32c = hashlib.md5(usedforsecurity=False), google_crc32c.Checksum()
        self._file = self.path.open("wb")

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        self._file.write(data)
        self._md5.update(data)
        self._crc32c.update(data)
        self.size += len(data)

    def finish(self, promised: Mapping[str, Any], *, composite: bool = False) -> Content:
        """What arrived. Raises `Refused` 400, and drops it, when it is not what the client's checksums promised.

        A composite object has no MD5.
        """
        self._file.close()
        md5 = base64.b64encode(self._md5.digest()).decode()
        content = Content(self.path, self.size, None if composite else md5, base64.b64encode(self._crc32c.digest()).decode())
        for name, found in (("md5Hash", md5), ("crc32c", content.crc32c)):
            if promised.get(name, found) != found:
                self.path.unlink()
                raise Refused(400, "invalid", f"Provided {name} {promised[name]!r} does not match calculated {found!r}")
        return content

    def drop(self) -> None:
        """Forget what arrived."""
        self._file.close()
        self.path.unlink(missing_ok=True)


@dataclass(slots=True)
class Session:
    """A resumable upload: what the object will be, and the bytes so far."""

    bucket: str
    name: str
    resource: Mapping[str, Any]
    conditions: Preconditions
    intake: Intake
    done: dict[str, Any] | None = field(default=None)


@dataclass(frozen=True, slots=True)
class Chunk:
    """What a `Content-Range` says: where the chunk starts and ends (inclusive), and the total; None where unknown.

    `start` is None in a question about what has arrived (`bytes */total`).
    """

    start: int | None
    end: int | None
    total: int | None


def read_chunk_range(header: str | None, length: int) -> Chunk:
    """The range of a PUT; without the header the body is all of it. Raises `Refused` 400."""
    if header is None:
        return Chunk(0, length - 1, length)
    matched = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", header.strip())
    if matched is None:
        raise Refused(400, "invalid", f"Failed to parse Content-Range header {header!r}")
    start, end, total = (None if part in (None, "*") else int(part) for part in matched.groups())
    if start is not None and end is not None and end - start + 1 != length:
        raise Refused(400, "invalid", f"Content-Range {header!r} does not fit {length} bytes")
    return Chunk(start, end, total)


async def take_chunk(session: Session, chunk: Chunk, body: AsyncIterator[bytes]) -> bool:
    """Append a chunk to the session, and say whether the object is complete. Raises `Refused` 400.

    Bytes that arrived before the connection broke stay; bytes that are there already are passed over.
    """
    intake = session.intake
    if chunk.start is not None:
        if chunk.start > intake.size:
            raise Refused(400, "invalid", f"the chunk starts at {chunk.start}, only {intake.size} bytes have arrived")
        position, length = chunk.start, chunk.end - chunk.start + 1 if chunk.end is not None else 0
        last = chunk.total is not None and chunk.start + length == chunk.total
        if not last and length % CHUNK_MULTIPLE:
            raise Refused(400, "invalid", f"a chunk that is not the last must be a multiple of {CHUNK_MULTIPLE} bytes")
        async for data in body:
            intake.write(data[max(0, intake.size - position) :])
            position += len(data)
    return chunk.total is not None and intake.size == chunk.total


def split_multipart(content_type: str, body: bytes) -> tuple[dict[str, Any], str | None, bytes]:
    """The resource, the media's type and the media of a `multipart/related` body. Raises `Refused` 400.

    Cut by hand: Python's mail parser changes line ends, and so loses bytes of the media.
    """
    matched = re.search(r'boundary="?([^";]+)"?', content_type)
    if matched is None:
        raise Refused(400, "badContent", "multipart/related without a boundary")
    boundary = b"--" + matched[1].encode()
    opened, closed = body.find(boundary), body.rfind(b"\r\n" + boundary + b"--")
    middle = body.find(b"\r\n" + boundary, opened + len(boundary))
    if opened < 0 or not opened < middle < closed:
        raise Refused(400, "badContent", "Malformed multipart body.")
    _, resource = _part(body[opened + len(boundary) : middle])
    kind, media = _part(body[middle + 2 + len(boundary) : closed])
    try:
        return json.loads(resource), kind, media
    except ValueError as error:
        raise Refused(400, "parseError", f"Parse Error: {error}") from error


def _part(part: bytes) -> tuple[str | None, bytes]:
    head, separator, content = part.partition(b"\r\n\r\n")
    if not separator:
        raise Refused(400, "badContent", "Malformed multipart body.")
    kind = re.search(rb"(?im)^content-type:[ \t]*([^\r\n]+)", head)
    return kind[1].decode().strip() if kind else None, content


def linked(content: Content, folder: Path) -> Content:
    """The same bytes under a file of their own, so that either may be deleted: a copy that moves nothing."""
    path = folder / secrets.token_hex(16)
    os.link(content.path, path)
    return Content(path, content.size, content.md5, content.crc32c)
