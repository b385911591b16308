"""What Envoy's files have in common: how a watched one is named and what form its content has, and addresses. Pure."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from mcml_assets.domain.snapshot import canonical_json

TYPE = "type.googleapis.com/envoy"
EXTENSIONS = f"{TYPE}.extensions"

HOST = "127.0.0.1"

Json = dict[str, Any]


def watched(path: Path) -> Json:
    """The source of a configuration that is read from this file, and again whenever a rename replaces it."""
    return {"resource_api_version": "V3", "path_config_source": {"path": str(path)}}


def discovery(resources: Sequence[Json]) -> bytes:
    """The content of a watched file: the same bytes, and version, for the same resources."""
    content = canonical_json(list(resources))
    return canonical_json({"version_info": sha256(content).hexdigest()[:16], "resources": list(resources)}) + b"\n"


def socket_address(port: int, host: str = HOST) -> Json:
    """A port of this machine's loopback, or of another address of it."""
    return {"socket_address": {"address": host, "port_value": port}}
