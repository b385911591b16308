"""The strict server's HTTP surface: which request means which change of which bucket. Starlette, in one thread.

Served: token exchange, buckets (insert, get, list, patch, delete), objects (insert by media, multipart and resumable upload,
get, list, patch, delete, copy, rewrite, compose). Everything else is 501, never a guess.
"""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from mcml_assets.emulation.strict_gcs import uploads
from mcml_assets.emulation.strict_gcs.generations import Bucket, Preconditions, Refused, whole_number
from mcml_assets.emulation.strict_gcs.resources import (
    bucket_resource,
    download_headers,
    list_page,
    object_resource,
    read_range,
)
from mcml_assets.emulation.strict_gcs.tokens import Tokens

SERVER = "mcml-strict-gcs"
DOWNLOAD_CHUNK = 1024 * 1024
MAX_NAME_BYTES = 1024
# What a client may set of a bucket; anything else is refused, because it would have no effect.
BUCKET_SETTINGS = {
    "name",
    "location",
    "storageClass",
    "versioning",
    "iamConfiguration",
    "labels",
    "lifecycle",
    "softDeletePolicy",
}
Handler = Callable[..., Awaitable[Response]]


class StrictGcs:
    """The service over a folder for content; buckets and objects live as long as this object does."""

    def __init__(self, folder: Path, tokens: Tokens | None) -> None:
        self.folder = folder
        self.buckets: dict[str, Bucket] = {}
        self._tokens = tokens
        self._sessions: dict[str, uploads.Session] = {}
        self._routes: list[tuple[str, re.Pattern[str], Handler, bool]] = [
            (method, re.compile(pattern), handler, owner)
            for method, pattern, handler, owner in (
                ("POST", r"/storage/v1/b", self._insert_bucket, True),
                ("GET", r"/storage/v1/b", self._list_buckets, True),
                ("GET", r"/storage/v1/b/([^/]+)", self._get_bucket, False),
                ("PATCH", r"/storage/v1/b/([^/]+)", self._patch_bucket, True),
                ("DELETE", r"/storage/v1/b/([^/]+)", self._delete_bucket, True),
                ("GET", r"/storage/v1/b/([^/]+)/o", self._list_objects, False),
                ("GET", r"(?:/download)?/storage/v1/b/([^/]+)/o/([^/]+)", self._get_object, False),
                ("PATCH", r"/storage/v1/b/([^/]+)/o/([^/]+)", self._patch_object, False),
                ("DELETE", r"/storage/v1/b/([^/]+)/o/([^/]+)", self._delete_object, False),
                ("POST", r"/storage/v1/b/([^/]+)/o/([^/]+)/(copy|rewrite)To/b/([^/]+)/o/([^/]+)", self._copy_object, False),
                ("POST", r"/storage/v1/b/([^/]+)/o/([^/]+)/compose", self._compose_object, False),
                ("POST", r"/upload/storage/v1/b/([^/]+)/o", self._upload, False),
                ("PUT", r"/upload/storage/v1/b/([^/]+)/o", self._resume, False),
                ("DELETE", r"/upload/storage/v1/b/([^/]+)/o", self._cancel, False),
            )
        ]

    def make_bucket(self, name: str, settings: dict[str, Any]) -> Bucket:
        """Make a bucket. Raises `Refused` 409 for one that exists, 400 for settings that this server does not keep."""
        if unknown := settings.keys() - BUCKET_SETTINGS:
            raise Refused(400, "invalid", f"bucket settings that this server does not keep: {', '.join(sorted(unknown))}")
        if name in self.buckets:
            raise Refused(409, "conflict", f"The bucket {name} exists already")
        bucket = self.buckets[name] = Bucket(name, settings)
        return bucket

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; this object is the ASGI application."""
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except Refused as refused:
            response = _refusal(refused)
        except ClientDisconnect:
            return
        response.headers["server"] = SERVER
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        # The raw path: a slash that belongs to an object's name arrives as %2F.
        path = request.scope["raw_path"].decode("ascii")
        if request.method == "GET" and path == "/":
            return Response("OK")
        if request.method == "POST" and path == "/token":
            form = dict(parse_qsl((await request.body()).decode()))
            return JSONResponse(self._exchange(form))
        for method, pattern, handler, owner in self._routes:
            matched = pattern.fullmatch(path)
            if matched is not None and method == request.method:
                names = [unquote(part) for part in matched.groups()]
                # The bucket, and for a copy the bucket that is written to.
                for bucket in names[0:1] + names[3:4]:
                    self._require(request, bucket, owner=owner)
                if not names:
                    self._require(request, "*", owner=owner)
                return await handler(request, *names)
        raise Refused(501, "notImplemented", f"{request.method} {path} is not served here")

    def _exchange(self, form: dict[str, str]) -> dict[str, Any]:
        if self._tokens is None:
            raise Refused(501, "notImplemented", "this server has no accounts")
        return self._tokens.exchange(form)

    def _require(self, request: Request, bucket: str, *, owner: bool) -> None:
        if self._tokens is not None:
            self._tokens.require(request.headers.get("authorization"), bucket, owner=owner)

    def _bucket(self, name: str) -> Bucket:
        if name not in self.buckets:
            raise Refused(404, "notFound", "The specified bucket does not exist.")
        return self.buckets[name]

    async def _insert_bucket(self, request: Request) -> Response:
        settings = await _document(request)
        if "name" not in settings:
            raise Refused(400, "required", "Required parameter: name")
        return JSONResponse(bucket_resource(self.make_bucket(settings["name"], settings), _base(request)))

    async def _list_buckets(self, request: Request) -> Response:
        items = [bucket_resource(self.buckets[name], _base(request)) for name in sorted(self.buckets)]
        return JSONResponse({"kind": "storage#buckets", "items": items})

    async def _get_bucket(self, request: Request, name: str) -> Response:
        return JSONResponse(bucket_resource(self._bucket(name), _base(request)))

    async def _patch_bucket(self, request: Request, name: str) -> Response:
        bucket, change = self._bucket(name), await _document(request)
        if unknown := change.keys() - BUCKET_SETTINGS:
            raise Refused(400, "invalid", f"bucket settings that this server does not keep: {', '.join(sorted(unknown))}")
        bucket.settings = {**bucket.settings, **change}
        bucket.metageneration += 1
        return JSONResponse(bucket_resource(bucket, _base(request)))

    async def _delete_bucket(self, request: Request, name: str) -> Response:
        if not self._bucket(name).empty:
            raise Refused(409, "conflict", "The bucket you tried to delete is not empty.")
        del self.buckets[name]
        return Response(status_code=204)

    async def _list_objects(self, request: Request, bucket: str) -> Response:
        return JSONResponse(list_page(self._bucket(bucket), request.query_params, _base(request)))

    async def _get_object(self, request: Request, bucket: str, name: str) -> Response:
        query = request.query_params
        found = self._bucket(bucket).get(name, whole_number(query, "generation"), Preconditions.of(query))
        if query.get("alt") != "media":
            return JSONResponse(object_resource(bucket, found, _base(request)), headers={"etag": found.etag})
        headers = download_headers(found)
        part = read_range(request.headers.get("range"), found.content.size)
        start, end = part or (0, found.content.size)
        headers["content-length"] = str(end - start)
        if part is not None:
            headers["content-range"] = f"bytes {start}-{end - 1}/{found.content.size}"
        # Opened now: a deletion while the answer is on its way does not cut it short.
        file = found.content.path.open("rb")
        return StreamingResponse(_streamed(_read(file, start, end)), 206 if part else 200, headers)

    async def _patch_object(self, request: Request, bucket: str, name: str) -> Response:
        query, change = request.query_params, await _document(request)
        number, conditions = whole_number(query, "generation"), Preconditions.of(query)
        changed = self._bucket(bucket).patch(name, number, change, conditions)
        return JSONResponse(object_resource(bucket, changed, _base(request)))

    async def _delete_object(self, request: Request, bucket: str, name: str) -> Response:
        query = request.query_params
        self._bucket(bucket).delete(name, whole_number(query, "generation"), Preconditions.of(query))
        return Response(status_code=204)

    async def _copy_object(self, request: Request, bucket: str, name: str, kind: str, to_bucket: str, to_name: str) -> Response:
        query, resource = request.query_params, await _document(request)
        number = whole_number(query, "sourceGeneration")
        source = self._bucket(bucket).get(name, number, Preconditions.of(query, "ifSource"))
        target = self._bucket(to_bucket)
        kept = {"contentType": source.content_type, "metadata": source.metadata, **source.fields}
        conditions = Preconditions.of(query)
        conditions.check(target.find(to_name), reading=False)
        _object_name(to_name)
        stored = target.put(to_name, uploads.linked(source.content, self.folder), {**kept, **resource}, conditions)
        copied = object_resource(to_bucket, stored, _base(request))
        if kind == "copy":
            return JSONResponse(copied)
        size = str(source.content.size)
        rewritten = {"kind": "storage#rewriteResponse", "done": True, "totalBytesRewritten": size, "objectSize": size}
        return JSONResponse(rewritten | {"resource": copied})

    async def _compose_object(self, request: Request, bucket: str, name: str) -> Response:
        document, holder = await _document(request), self._bucket(bucket)
        intake = uploads.Intake(self.folder)
        try:
            for part in document.get("sourceObjects", ()):
                conditions = Preconditions.of(part.get("objectPreconditions", {}))
                found = holder.get(part["name"], whole_number(part, "generation"), conditions)
                for data in _read(found.content.path.open("rb"), 0, found.content.size):
                    intake.write(data)
            content = intake.finish({}, composite=True)
            conditions = Preconditions.of(request.query_params)
            stored = holder.put(_object_name(name), content, document.get("destination", {}), conditions)
        except Refused:
            intake.drop()
            raise
        return JSONResponse(object_resource(bucket, stored, _base(request)))

    async def _upload(self, request: Request, bucket: str) -> Response:
        query, kind = request.query_params, request.query_params.get("uploadType")
        self._bucket(bucket)
        if kind == "resumable":
            return await self._begin(request, bucket)
        if kind not in ("media", "multipart"):
            raise Refused(400, "invalidParameter", f"Invalid uploadType {kind!r}")
        intake = uploads.Intake(self.folder)
        try:
            content_type = request.headers.get("content-type", "")
            if kind == "multipart":
                resource, media_type, media = uploads.split_multipart(content_type, await request.body())
                resource = {"contentType": media_type, **resource}
                intake.write(media)
            else:
                resource = {"contentType": content_type}
                async for data in request.stream():
                    intake.write(data)
            name = _object_name(query.get("name") or resource.get("name"))
            stored = self._store(bucket, name, intake, resource, Preconditions.of(query))
        except (Refused, ClientDisconnect):
            intake.drop()
            raise
        return JSONResponse(object_resource(bucket, stored, _base(request)))

    def _store(
        self, bucket: str, name: str, intake: uploads.Intake, resource: dict[str, Any], conditions: Preconditions
    ) -> Any:
        content = intake.finish(resource)
        return self._bucket(bucket).put(name, content, resource, conditions)

    async def _begin(self, request: Request, bucket: str) -> Response:
        query, resource = request.query_params, await _document(request)
        name, conditions = _object_name(query.get("name") or resource.get("name")), Preconditions.of(query)
        # Asked now, so that nothing is sent in vain, and again when the last byte is here.
        conditions.check(self._bucket(bucket).find(name), reading=False)
        resource.setdefault("contentType", request.headers.get("x-upload-content-type"))
        intake = uploads.Intake(self.folder)
        key = intake.path.name
        self._sessions[key] = uploads.Session(bucket, name, resource, conditions, intake)
        location = f"{_base(request)}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={key}"
        return Response(headers={"location": location, "x-guploader-uploadid": key})

    async def _resume(self, request: Request, bucket: str) -> Response:
        session = self._session(request, bucket)
        if session.done is not None:
            return JSONResponse(session.done)
        length = int(request.headers.get("content-length", "0"))
        chunk = uploads.read_chunk_range(request.headers.get("content-range"), length)
        if not await uploads.take_chunk(session, chunk, request.stream()):
            arrived = {"range": f"bytes=0-{session.intake.size - 1}"} if session.intake.size else {}
            return Response(status_code=308, headers=arrived)
        try:
            stored = self._store(bucket, session.name, session.intake, dict(session.resource), session.conditions)
        except Refused:
            session.intake.drop()
            del self._sessions[request.query_params["upload_id"]]
            raise
        session.done = object_resource(bucket, stored, _base(request))
        return JSONResponse(session.done)

    async def _cancel(self, request: Request, bucket: str) -> Response:
        session = self._session(request, bucket)
        if session.done is None:
            session.intake.drop()
        del self._sessions[request.query_params["upload_id"]]
        return Response(status_code=499)

    def _session(self, request: Request, bucket: str) -> uploads.Session:
        session = self._sessions.get(request.query_params.get("upload_id", ""))
        if session is None or session.bucket != bucket:
            raise Refused(404, "notFound", "No such upload session")
        return session


def _object_name(name: object) -> str:
    if not isinstance(name, str) or not name:
        raise Refused(400, "required", "Required parameter: name")
    if len(name.encode()) > MAX_NAME_BYTES or name in (".", "..") or re.search(r"[\r\n]", name):
        raise Refused(400, "invalid", f"{name!r} is not a valid object name")
    return name


async def _document(request: Request) -> dict[str, Any]:
    body = await request.body()
    try:
        document = json.loads(body) if body else {}
    except ValueError as error:
        raise Refused(400, "parseError", f"Parse Error: {error}") from error
    if not isinstance(document, dict):
        raise Refused(400, "parseError", "the body must be one JSON object")
    return document


def _read(file: Any, start: int, end: int) -> Iterator[bytes]:
    with file:
        file.seek(start)
        while start < end and (data := file.read(min(DOWNLOAD_CHUNK, end - start))):
            start += len(data)
            yield data


async def _streamed(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def _base(request: Request) -> str:
    return f"http://{request.headers['host']}"


def _refusal(refused: Refused) -> Response:
    if refused.status == 304:
        return Response(status_code=304)
    message = str(refused)
    if refused.reason in ("invalid_grant", "unsupported_grant_type"):
        return JSONResponse({"error": refused.reason, "error_description": message}, refused.status)
    errors = [{"domain": "global", "reason": refused.reason, "message": message}]
    document = {"error": {"code": refused.status, "message": message, "errors": errors}}
    return JSONResponse(document, refused.status, refused.headers)
