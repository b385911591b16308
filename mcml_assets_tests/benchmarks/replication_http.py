"""nginx with WebDAV as a plain HTTP store: a bucket whose service costs next to nothing, so that clients are compared.

For benchmarks only: WebDAV in nginx has no conditional writes, so two writers of one pointer are not kept apart, and its
uploads are in one piece. Imports obstore.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import obstore
from obstore.store import HTTPStore as HttpClient

from mcml_assets.clouds.chunks import file_chunks
from mcml_assets.clouds.interfaces import ObjectMeta
from mcml_assets.clouds.obstore_store import ObstoreStore
from mcml_assets.domain.errors import ConfigurationError, ObjectNotFound, PreconditionFailed
from mcml_assets_tests.ports import free_ports

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Client

LISTING_MODULE = Path("/usr/lib/nginx/modules/ngx_http_dav_ext_module.so")
START_SECONDS = 10.0


class HttpStore(ObstoreStore):
    """An `ObjectStore` in a folder behind WebDAV, for one writer at a time."""

    def __init__(self, location: str, url: str) -> None:
        super().__init__(location, partial(_client, url))

    def put(self, key: str, data: bytes | Path | Iterator[bytes]) -> ObjectMeta:
        """Write or replace the object in one request."""
        if not isinstance(data, bytes):
            data = b"".join(file_chunks(data) if isinstance(data, Path) else data)
        return self._put(key, data, "overwrite")

    def put_if_absent(self, key: str, data: bytes) -> ObjectMeta:
        """Write the object if nothing was there when it was looked for."""
        try:
            self.head(key)
        except ObjectNotFound:
            self._put(key, data, "overwrite")
            return self.head(key)
        raise PreconditionFailed(f"{self.location}: {key!r} is there")

    def put_if_match(self, key: str, data: bytes, etag: str) -> ObjectMeta:
        """Replace the object if it had this version when it was looked at."""
        if self.head(key).etag != etag:
            raise PreconditionFailed(f"{self.location}: {key!r} was written by somebody else meanwhile")
        self._put(key, data, "overwrite")
        return self.head(key)

    def list(self, prefix: str) -> Iterator[ObjectMeta]:
        """Every object below the folder `prefix`, folder by folder: nginx refuses to list a whole tree at once."""
        try:
            with self.translated(prefix):
                found = obstore.list_with_delimiter(self.client, prefix)
        except ObjectNotFound:
            return
        for meta in found["objects"]:
            yield ObjectMeta(meta["path"], meta["size"], meta["e_tag"] or "")
        for folder in found["common_prefixes"]:
            yield from self.list(folder)


def _client(url: str) -> "Client":
    return HttpClient.from_url(url, client_options={"allow_http": True})


CONFIGURATION = """
{modules}
{user}
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_max_body_size 0;
    client_body_buffer_size 128k;
    client_body_temp_path {folder}/uploads;
    keepalive_requests 1000000;
    {servers}
}}
"""
SERVER = """
    server {{
        listen 127.0.0.1:{port};
        root {folder}/{port};
        location / {{
            create_full_put_path on;
            dav_methods PUT DELETE MKCOL COPY MOVE;
            {listing}
        }}
    }}
"""


@contextmanager
def webdav_server(folder: Path, servers: int) -> Iterator[list[str]]:
    """One nginx that serves so many empty folders, each at an address of its own. Ends with the block.

    Raises `ConfigurationError` when nginx or its WebDAV listing is not installed.
    """
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if nginx is None or not LISTING_MODULE.exists():
        raise ConfigurationError("nginx with WebDAV is not installed; apt install nginx libnginx-mod-http-dav-ext")
    ports = free_ports(servers)
    listing = "dav_ext_methods PROPFIND OPTIONS;"
    for port in ports:
        (folder / str(port)).mkdir()
    configuration = folder / "nginx.conf"
    configuration.write_text(
        CONFIGURATION.format(
            modules=f"load_module {LISTING_MODULE};",
            user="user root;" if os.geteuid() == 0 else "",
            folder=folder,
            servers="".join(SERVER.format(port=port, folder=folder, listing=listing) for port in ports),
        )
    )
    with (folder / "output.log").open("wb") as log:
        command = [nginx, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(configuration)]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        addresses = [f"http://127.0.0.1:{port}" for port in ports]
        _wait_until_up(addresses, process, folder / "output.log")
        yield addresses
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def _wait_until_up(addresses: list[str], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    for address in addresses:
        while True:
            try:
                httpx.get(address, trust_env=False)
                break
            except httpx.TransportError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise ConfigurationError(f"nginx did not start: {log.read_text()[-500:]}") from None
                time.sleep(0.05)
