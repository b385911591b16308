"""A real kube-apiserver with a real etcd on loopback, for `make test-k8s`: KServe's schema as a custom resource, and no
kubelet, scheduler or controller.

The server of Debian 12 is old: KServe's definition is taken without defaults of empty text, which it does not accept.
"""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mcml_assets_tests.ports import free_ports
from mcml_assets_tests.serving.kserve_schema import inference_service_schema
from mcml_assets_tests.serving.platforms.kubernetes_api import kubeconfig

ADMIN = "administrator-of-the-tests"
START_SECONDS = 60.0


@contextmanager
def real_api_server(binaries: Path, home: Path, namespaces: tuple[str, ...], context: str) -> Iterator[str]:
    """A cluster's API with KServe's custom resource and these namespaces; gives a kubeconfig file's content."""
    etcd_port, peer_port, port = free_ports(3)
    key = home / "service-account.key"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)  # noqa: S607 - Debian's
    tokens = home / "tokens.csv"
    tokens.write_text(f"{ADMIN},administrator,1,system:masters\n")
    etcd = [str(binaries / "etcd"), "--data-dir", str(home / "etcd"), "--log-level", "error"]
    etcd += [
        "--listen-client-urls",
        f"http://127.0.0.1:{etcd_port}",
        "--advertise-client-urls",
        f"http://127.0.0.1:{etcd_port}",
    ]
    etcd += ["--listen-peer-urls", f"http://127.0.0.1:{peer_port}"]
    server = [str(binaries / "kube-apiserver"), "--etcd-servers", f"http://127.0.0.1:{etcd_port}"]
    server += ["--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1", "--secure-port", str(port)]
    server += ["--cert-dir", str(home / "certificates"), "--token-auth-file", str(tokens), "--authorization-mode", "RBAC"]
    server += ["--service-account-issuer", "https://kubernetes.default.svc", "--service-account-key-file", str(key)]
    server += [
        "--service-account-signing-key-file",
        str(key),
        "--service-cluster-ip-range",
        "10.0.0.0/24",
        "--insecure-port",
        "0",
    ]
    with contextlib.ExitStack() as stack:
        for name, command in (("etcd", etcd), ("kube-apiserver", server)):
            log = stack.enter_context((home / f"{name}.log").open("wb"))
            process = subprocess.Popen(command, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        written = kubeconfig(f"https://127.0.0.1:{port}", ADMIN, context, str(home / "certificates" / "apiserver.crt"))
        (home / "admin.kubeconfig").write_text(written)
        _prepare(home / "admin.kubeconfig", context, namespaces)
        yield written


def _prepare(file: Path, context: str, namespaces: tuple[str, ...]) -> None:
    from kubernetes.client import ApiextensionsV1Api, CoreV1Api, VersionApi
    from kubernetes.config import ConfigException, new_client_from_config
    from urllib3.exceptions import HTTPError

    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            client = new_client_from_config(str(file), context)
            VersionApi(client).get_code()
            break
        except (HTTPError, ConfigException, OSError):
            assert time.monotonic() < deadline, f"no answer within {START_SECONDS} s; see the logs in {file.parent}"
            time.sleep(0.2)
    for namespace in namespaces:
        body: Any = {"metadata": {"name": namespace}}
        CoreV1Api(client).create_namespace(body)
    definitions = ApiextensionsV1Api(client)
    definitions.create_custom_resource_definition(definition())
    while not _established(definitions):
        assert time.monotonic() < deadline, "the custom resource is not served"
        time.sleep(0.1)


def _established(definitions: Any) -> bool:
    stored = definitions.read_custom_resource_definition("inferenceservices.serving.kserve.io")
    return any(one.type == "Established" and one.status == "True" for one in stored.status.conditions or ())


def definition() -> Any:
    """KServe's custom resource, with its own schema, as an old server takes it."""
    names = {"plural": "inferenceservices", "singular": "inferenceservice", "kind": "InferenceService", "shortNames": ["isvc"]}
    version = {
        "name": "v1beta1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": _accepted(inference_service_schema())},
    }
    spec = {"group": "serving.kserve.io", "scope": "Namespaced", "names": names, "versions": [version]}
    metadata = {"name": "inferenceservices.serving.kserve.io"}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": metadata, "spec": spec}


def _accepted(schema: Any) -> Any:
    """The schema without what the server of 2021 refuses: CEL rules, defaults of lists' keys, and forbidden extra fields."""
    if isinstance(schema, list):
        return [_accepted(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    properties = schema.get("properties")
    dropped = {"x-kubernetes-validations"}
    if schema.get("default") == "":
        dropped.add("default")
    if isinstance(properties, dict) and schema.get("additionalProperties") in (True, False):
        # A structural schema prunes what it does not know, and may not say so.
        dropped.add("additionalProperties")
    return {key: _accepted(value) for key, value in schema.items() if key not in dropped}
