"""A small, strict Kubernetes API server over HTTP for one kind of object, so that the real client can be tested quickly.

It keeps objects as a real one does: resource versions over the whole store, generations that grow with the spec only, a
status that is written on its own path, conflicts, watches from a version on, and forgotten versions. It differs from a
real one: it holds InferenceServices alone, in memory; it refuses a field that the schema does not know, where a real
server drops it in silence; it knows two tokens instead of authenticators, with fixed rights; it knows no patch, no dry
run, no finalizers, no admission webhooks and no defaults. `make test-k8s` runs the same suite on a real one.
"""

import copy
import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from jsonschema import Draft202012Validator

from mcml_assets_tests.ports import free_ports
from mcml_assets_tests.serving.kserve_schema import inference_service_schema

GROUP = "/apis/serving.kserve.io/v1beta1"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
PLURAL = "inferenceservices"
TOKEN, READER = "may-write", "may-read"
READING = ("get", "list", "watch")
KEPT_EVENTS = 10
Object = dict[str, Any]


class Refused(Exception):
    """An answer with a Kubernetes Status."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message


class Store:
    """The objects of all namespaces, and the last events. Every method that writes raises `Refused`."""

    def __init__(self, namespaces: tuple[str, ...]) -> None:
        self.namespaces = namespaces
        self.objects: dict[tuple[str, str], Object] = {}
        self.events: list[tuple[int, Object]] = []
        self.version = 1
        self.changed = threading.Condition()
        self.schema = Draft202012Validator(inference_service_schema())

    def create(self, namespace: str, sent: Object) -> Object:
        self._check(namespace, sent)
        key = (namespace, sent["metadata"]["name"])
        if key in self.objects:
            raise Refused(409, "AlreadyExists", f'inferenceservices "{key[1]}" already exists')
        stored = copy.deepcopy(sent)
        stored.pop("status", None)
        stored["metadata"] |= {
            "namespace": namespace,
            "uid": str(uuid.uuid4()),
            "generation": 1,
            "creationTimestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return self._keep(key, stored, "ADDED")

    def replace(self, namespace: str, name: str, sent: Object, *, status: bool) -> Object:
        present = self.get(namespace, name)
        version = sent["metadata"].get("resourceVersion")
        if version is None:
            raise Refused(422, "Invalid", "metadata.resourceVersion: must be specified for an update")
        if version != present["metadata"]["resourceVersion"]:
            raise Refused(409, "Conflict", "the object has been modified; please apply your changes to the latest version")
        if status:
            stored = copy.deepcopy(present) | {"status": copy.deepcopy(sent.get("status", {}))}
            self._check(namespace, stored)
        else:
            self._check(namespace, sent)
            stored = copy.deepcopy(sent) | {"status": copy.deepcopy(present.get("status", {}))}
            stored["metadata"] |= {name: present["metadata"][name] for name in ("uid", "creationTimestamp", "namespace")}
            grown = stored["spec"] != present["spec"]
            stored["metadata"]["generation"] = present["metadata"]["generation"] + grown
        if stored == present:
            return present
        return self._keep((namespace, name), stored, "MODIFIED")

    def get(self, namespace: str, name: str) -> Object:
        try:
            return self.objects[namespace, name]
        except KeyError:
            raise Refused(404, "NotFound", f'inferenceservices.serving.kserve.io "{name}" not found') from None

    def delete(self, namespace: str, name: str) -> None:
        present = self.get(namespace, name)
        del self.objects[namespace, name]
        self._tell("DELETED", present)

    def _keep(self, key: tuple[str, str], stored: Object, event: str) -> Object:
        stored["metadata"]["resourceVersion"] = str(self.version + 1)
        self.objects[key] = stored
        self._tell(event, stored)
        return stored

    def _tell(self, event: str, stored: Object) -> None:
        self.version += 1
        self.events.append((self.version, {"type": event, "object": copy.deepcopy(stored)}))
        del self.events[:-KEPT_EVENTS]
        self.changed.notify_all()

    def since(self, version: int) -> list[tuple[int, Object]]:
        """The events after this version. Raises `Refused` with 410 when some of them are forgotten."""
        if self.events and version < self.events[0][0] - 1:
            raise Refused(410, "Expired", f"too old resource version: {version}")
        return [(number, event) for number, event in self.events if number > version]

    def _check(self, namespace: str, sent: Object) -> None:
        if namespace not in self.namespaces:
            raise Refused(404, "NotFound", f'namespaces "{namespace}" not found')
        problem = next(self.schema.iter_errors(sent), None)
        if problem is not None:
            raise Refused(422, "Invalid", f"{problem.json_path}: {problem.message}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"  # pyright: ignore[reportIncompatibleVariableOverride] - whose handler this is

    def do_GET(self) -> None:
        self._answer("get")

    def do_POST(self) -> None:
        self._answer("create")

    def do_PUT(self) -> None:
        self._answer("update")

    def do_DELETE(self) -> None:
        self._answer("delete")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Quiet: pytest shows what matters."""

    def _answer(self, verb: str) -> None:
        address = urlsplit(self.path)
        sent = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"null")
        asked = {name: values[0] for name, values in parse_qs(address.query).items()}
        if asked.get("watch", "").lower() == "true":
            verb = "watch"
        try:
            if self.server.out_of_order:
                raise Refused(503, "ServiceUnavailable", "the server is currently unable to handle the request")
            self._authenticate()
            if verb == "watch":
                self._watch(address.path, asked)
                return
            with self.server.store.changed:
                self._send(200, self._of(address.path, verb, sent))
        except Refused as refused:
            status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": refused.code}
            self._send(refused.code, status | {"reason": refused.reason, "message": refused.message})

    def _of(self, path: str, verb: str, sent: Any) -> Object:
        store = self.server.store
        if path == "/version/":
            return {"major": "1", "minor": "30", "gitVersion": "v1.30.0-of-the-tests", **dict.fromkeys(VERSION_FIELDS, "")}
        if path == REVIEWS:
            asked = sent["spec"]["resourceAttributes"]
            return sent | {"status": {"allowed": self._may(asked["verb"]), "reason": ""}}
        if path.rstrip("/") == GROUP:
            if not self.server.has_kserve:
                raise Refused(404, "NotFound", "the server could not find the requested resource")
            one = {"name": PLURAL, "namespaced": True, "kind": "InferenceService", "singularName": "inferenceservice"}
            return {"kind": "APIResourceList", "groupVersion": GROUP[6:], "resources": [one | {"verbs": [*READING, "update"]}]}
        namespace, name, status = self._place(path)
        self._authorize(verb)
        match verb:
            case "create":
                return store.create(namespace, sent)
            case "update":
                return store.replace(namespace, name, sent, status=status)
            case "delete":
                store.delete(namespace, name)
                return {"kind": "Status", "apiVersion": "v1", "status": "Success"}
            case _:
                return store.get(namespace, name)

    def _place(self, path: str) -> tuple[str, str, bool]:
        """Namespace, name (empty for the collection), and whether the status alone is meant."""
        parts = path.removeprefix(GROUP + "/").split("/")
        if not path.startswith(GROUP + "/") or not self.server.has_kserve or parts[0] != "namespaces" or parts[2] != PLURAL:
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        return parts[1], parts[3] if len(parts) > 3 else "", parts[4:] == ["status"]

    def _authenticate(self) -> None:
        if self.headers.get("authorization", "").removeprefix("Bearer ") not in (TOKEN, READER):
            raise Refused(401, "Unauthorized", "Unauthorized")

    def _may(self, verb: str) -> bool:
        return verb in READING or self.headers["authorization"] == f"Bearer {TOKEN}"

    def _authorize(self, verb: str) -> None:
        if not self._may(verb):
            raise Refused(403, "Forbidden", f'User "reader" cannot {verb} resource "{PLURAL}" in API group "serving.kserve.io"')

    def _watch(self, path: str, asked: dict[str, str]) -> None:
        namespace, _, _ = self._place(path)
        name = asked.get("fieldSelector", "").removeprefix("metadata.name=")
        seen, ends = int(asked.get("resourceVersion") or 0), time.monotonic() + float(asked["timeoutSeconds"])
        store = self.server.store
        with store.changed:
            store.since(seen)
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        while (left := ends - time.monotonic()) > 0:
            with store.changed:
                events = store.since(seen) or (store.changed.wait(min(left, 0.5)) and store.since(seen)) or []
            for number, event in events:
                seen = number
                metadata = event["object"]["metadata"]
                if (metadata["namespace"], metadata["name"]) == (namespace, name):
                    self._chunk(json.dumps(event).encode() + b"\n")
        self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        try:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()
        except OSError:
            self.close_connection = True

    def _send(self, code: int, answer: Object) -> None:
        body = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


VERSION_FIELDS = ("gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler", "platform")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, store: Store) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.store = store
        self.has_kserve = True
        self.out_of_order = False


@contextmanager
def api_server(*namespaces: str) -> Iterator[_Server]:
    """A server with these namespaces, that ends with the block."""
    (port,) = free_ports(1)
    server = _Server(port, Store(namespaces))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def kubeconfig(address: str, token: str, context: str, authority: str | None = None) -> str:
    """A kubeconfig file's content: one context, entered with a token; `authority` is the file that its certificate rests on."""
    cluster = {"server": address} | ({"certificate-authority": authority} if authority is not None else {})
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "cluster", "cluster": cluster}],
            "users": [{"name": "user", "user": {"token": token}}],
            "contexts": [{"name": context, "context": {"cluster": "cluster", "user": "user"}}],
            "current-context": "",
        }
    )
