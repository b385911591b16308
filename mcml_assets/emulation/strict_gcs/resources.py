"""What the strict server says about buckets and objects: resources, pages of a listing, and headers of a download."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from mcml_assets.emulation.strict_gcs.generations import Bucket, Generation, Refused, whole_number

MAX_RESULTS = 1000


def bucket_resource(bucket: Bucket, base: str) -> dict[str, Any]:
    """The bucket as `buckets.get` shows it."""
    return {
        "kind": "storage#bucket", "id": bucket.name, "selfLink": f"{base}/storage/v1/b/{bucket.name}",
        "projectNumber": "1", "metageneration": str(bucket.metageneration), "timeCreated": bucket.created,
        "updated": bucket.created, "storageClass": "STANDARD", **bucket.settings,
    }  # fmt: skip


def object_resource(bucket: str, found: Generation, base: str) -> dict[str, Any]:
    """The object as `objects.get` shows it."""
    link = f"{base}/storage/v1/b/{bucket}/o/{quote(found.name, safe='')}"
    resource: dict[str, Any] = {
        "kind": "storage#object", "id": f"{bucket}/{found.name}/{found.number}", "selfLink": link, "bucket": bucket,
        "mediaLink": f"{link.replace('/storage/v1/', '/download/storage/v1/')}?generation={found.number}&alt=media",
        "name": found.name, "generation": str(found.number), "metageneration": str(found.metageneration),
        "contentType": found.content_type, "storageClass": "STANDARD", "size": str(found.content.size),
        "crc32c": found.content.crc32c, "etag": found.etag, "timeCreated": found.created, "updated": found.updated,
        **found.fields,
    }  # fmt: skip
    if found.content.md5 is not None:
        resource["md5Hash"] = found.content.md5
    if found.metadata:
        resource["metadata"] = dict(found.metadata)
    if found.deleted is not None:
        resource["timeDeleted"] = found.deleted
    return resource


def list_page(bucket: Bucket, query: Mapping[str, str], base: str) -> dict[str, Any]:
    """One page of `objects.list`: at most `maxResults` objects and prefixes, 1,000 if absent or more.

    Raises `Refused` 400 for a page token that is none.
    """
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    # Google's own client writes True.
    versions = query.get("versions", "").lower() == "true"
    wanted = whole_number(query, "maxResults")
    limit = min(wanted or MAX_RESULTS, MAX_RESULTS)
    after_name, after_number = _read_token(query["pageToken"]) if query.get("pageToken") else ("", -1)
    items: list[dict[str, Any]] = []
    prefixes: list[str] = []
    last = (after_name, after_number)
    for found in bucket.walk(max(prefix, query.get("startOffset", ""), after_name), versions=versions):
        if not found.name.startswith(prefix) or found.name >= query.get("endOffset", "\U0010ffff" * 2):
            break
        folder = _folder(found.name, prefix, delimiter)
        # A prefix that a former page gave sorts before everything below it, and hides all of that.
        if (found.name, found.number) <= (after_name, after_number) or folder in (after_name, *prefixes[-1:]):
            continue
        if len(items) + len(prefixes) == limit:
            return _page(items, prefixes) | {"nextPageToken": _write_token(*last)}
        if folder is not None:
            prefixes.append(folder)
            last = (folder, -1)
        else:
            items.append(object_resource(bucket.name, found, base))
            last = (found.name, found.number)
    return _page(items, prefixes)


def download_headers(found: Generation) -> dict[str, str]:
    """What accompanies an object's bytes."""
    hashes = f"crc32c={found.content.crc32c}" + (f",md5={found.content.md5}" if found.content.md5 else "")
    return {
        "content-type": found.content_type, "etag": found.etag, "accept-ranges": "bytes", "x-goog-hash": hashes,
        "x-goog-generation": str(found.number), "x-goog-metageneration": str(found.metageneration),
        "x-goog-stored-content-length": str(found.content.size), "x-goog-storage-class": "STANDARD",
    }  # fmt: skip


def read_range(header: str | None, size: int) -> tuple[int, int] | None:
    """First byte and byte after the last of a `Range` header; None when all is wanted. Raises `Refused` 416."""
    if header is None or not header.startswith("bytes=") or "," in header:
        return None
    first, _, last = header.removeprefix("bytes=").partition("-")
    try:
        start = int(first) if first else max(0, size - int(last))
        end = min(int(last) + 1, size) if first and last else size
    except ValueError:
        return None
    if start >= size or start >= end:
        outside = {"content-range": f"bytes */{size}"}
        raise Refused(416, "requestedRangeNotSatisfiable", f"{header} is outside of {size} bytes", outside)
    return start, end


def _folder(name: str, prefix: str, delimiter: str) -> str | None:
    end = name.find(delimiter, len(prefix)) if delimiter else -1
    return name[: end + len(delimiter)] if end >= 0 else None


def _page(items: list[dict[str, Any]], prefixes: list[str]) -> dict[str, Any]:
    page: dict[str, Any] = {"kind": "storage#objects"}
    return page | ({"items": items} if items else {}) | ({"prefixes": prefixes} if prefixes else {})


def _write_token(name: str, number: int) -> str:
    return base64.urlsafe_b64encode(f"{number}:{name}".encode()).decode()


def _read_token(token: str) -> tuple[str, int]:
    try:
        number, _, name = base64.urlsafe_b64decode(token.encode()).decode().partition(":")
        return name, int(number)
    except (ValueError, binascii.Error):
        raise Refused(400, "invalid", f"Invalid page token {token!r}") from None
