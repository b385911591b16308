"""Pods over the Kubernetes API, and who runs them: a small API server, and the part of a kubelet that starts a container.

The server keeps pods as a real one does, as far as the clients here ask: names, phases, statuses on their own path, one
selector, and 404. It has no admission, no schema and no scheduler. The kubelet works against this server and against a real
one alike: it runs a pod's command as a process of this machine, with the pod's environment, and reports its phases. A pod
that asks for a GPU finds no node.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from mcml_assets.compute.pods import HOME_MOUNT
from mcml_assets_tests.ports import free_ports
from mcml_assets_tests.serving.platforms.kubernetes_api import TOKEN

Object = dict[str, Any]
NO_GPU = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"  # pyright: ignore[reportIncompatibleVariableOverride] - whose handler this is

    def do_GET(self) -> None:
        namespace, name = self._place()
        pods = self.server.pods
        if name:
            self._send(*((200, pods[name]) if name in pods else _absent(name)))
            return
        wanted = parse_qs(urlsplit(self.path).query).get("fieldSelector", [""])[0].removeprefix("metadata.name=")
        items = [pod for key, pod in pods.items() if wanted in ("", key) and pod["metadata"]["namespace"] == namespace]
        self._send(200, {"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": items})

    def do_POST(self) -> None:
        namespace, _ = self._place()
        pod = self._sent()
        pod["metadata"]["namespace"] = namespace
        self.server.pods[pod["metadata"]["name"]] = pod | {"status": {"phase": "Pending"}}
        self.server.created.append(pod)
        self._send(201, pod)

    def do_PATCH(self) -> None:
        _, name = self._place()
        sent = self._sent()
        if name in self.server.pods:
            self.server.pods[name]["status"] |= sent["status"]
        self._send(*((200, self.server.pods[name]) if name in self.server.pods else _absent(name)))

    def do_DELETE(self) -> None:
        _, name = self._place()
        removed = self.server.pods.pop(name, None)
        self._send(*((200, removed) if removed else _absent(name)))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Quiet: pytest shows what matters."""

    def _place(self) -> tuple[str, str]:
        parts = urlsplit(self.path).path.removeprefix("/api/v1/namespaces/").split("/")
        assert parts[1] == "pods", self.path
        assert self.headers["authorization"] == f"Bearer {TOKEN}"
        return parts[0], parts[2] if len(parts) > 2 else ""

    def _sent(self) -> Object:
        return json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))

    def _send(self, code: int, answer: Object) -> None:
        body = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _absent(name: str) -> tuple[int, Object]:
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404, "reason": "NotFound"}
    return 404, status | {"message": f'pods "{name}" not found'}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.pods: dict[str, Object] = {}
        self.created: list[Object] = []


@contextmanager
def pods_server() -> Iterator[_Server]:
    """A server without pods, that ends with the block."""
    server = _Server(free_ports(1)[0])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Kubelet:
    """Runs the pods of one namespace on this machine; `home` is what their claim is."""

    def __init__(self, kubeconfig: Path, context: str, namespace: str, home: Path) -> None:
        from kubernetes.client import CoreV1Api
        from kubernetes.config import new_client_from_config

        self.api: Any = CoreV1Api(new_client_from_config(str(kubeconfig), context))
        self._namespace, self._home = namespace, home
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.ran: list[Any] = []

    def __enter__(self) -> "Kubelet":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()
        for process in self._processes.values():
            process.kill()
            process.wait()

    def _run(self) -> None:
        while not self._ends.wait(0.3):
            for pod in self.api.list_namespaced_pod(self._namespace).items:
                name = pod.metadata.name
                if name not in self._processes and pod.status.phase == "Pending":
                    self._start(pod)
                ended = self._processes[name].poll() if name in self._processes else None
                if ended is not None and pod.status.phase == "Running":
                    self._report(pod, "Failed" if ended else "Succeeded", {"terminated": {"exitCode": ended}})

    def _start(self, pod: Any) -> None:
        (container,) = pod.spec.containers
        if "nvidia.com/gpu" in (container.resources.limits or {}):
            condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": NO_GPU}
            self._patch(pod.metadata.name, {"phase": "Pending", "conditions": [condition]})
            return
        given = {one.name: one.value.replace(HOME_MOUNT, str(self._home)) for one in container.env}
        command = [sys.executable if word == "python" else word for word in container.command]
        self._report(pod, "Running", {"running": {"startedAt": "2026-01-01T00:00:00Z"}})
        self.ran.append(pod)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MCML_")}
        self._processes[pod.metadata.name] = subprocess.Popen(command, env=environment | given, stdin=subprocess.DEVNULL)

    def _report(self, pod: Any, phase: str, state: Object) -> None:
        (container,) = pod.spec.containers
        status = {"name": container.name, "image": container.image, "imageID": "", "restartCount": 0, "state": state}
        self._patch(pod.metadata.name, {"phase": phase, "containerStatuses": [status | {"ready": "running" in state}]})

    def _patch(self, name: str, status: Object) -> None:
        from kubernetes.client import ApiException

        try:
            self.api.patch_namespaced_pod_status(name, self._namespace, {"status": status})
        except ApiException as error:
            if error.status != 404:  # deleted meanwhile
                raise
