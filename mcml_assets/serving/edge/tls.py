"""TLS of the edge as Envoy's configuration: its own certificate, and the authorities of callers'. Pure.

Envoy reads certificate and key itself, from files that are named here (secret discovery by file), and again whenever a
rename in their folder replaces one: so it is with cert-manager, certbot and mounted Kubernetes secrets. A file that is
written over in place is only seen at the next rename.
"""

from pathlib import Path

from mcml_assets.serving.edge.entrance import Identity
from mcml_assets.serving.edge.watched import EXTENSIONS, Json, discovery, watched

OWN, AUTHORITY = "certificate", "client_authority"
HANDSHAKE_SECONDS = 5
SECRET = f"{EXTENSIONS}.transport_sockets.tls.v3.Secret"


def transport_socket(folder: Path, identity: Identity) -> Json:
    """TLS 1.2 and newer. A caller may show a certificate of the authority; one that does not verify is refused at once."""
    common: Json = {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "alpn_protocols": ["http/1.1"],
        "tls_certificate_sds_secret_configs": [{"name": OWN, "sds_config": watched(_file(folder, OWN))}],
    }
    if identity.client_authority is not None:
        common["validation_context_sds_secret_config"] = {
            "name": AUTHORITY,
            "sds_config": watched(_file(folder, AUTHORITY)),
        }
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": f"{EXTENSIONS}.transport_sockets.tls.v3.DownstreamTlsContext",
            # Who comes with a token needs no certificate; who comes with neither is refused request by request.
            "require_client_certificate": False,
            "common_tls_context": common,
        },
    }


def tls_files(folder: Path, identity: Identity) -> dict[Path, bytes]:
    """The watched files, which only name the files of certificate, key and authorities."""
    own = {
        "certificate_chain": {"filename": str(identity.certificate)},
        "private_key": {"filename": str(identity.key)},
    }
    files = {_file(folder, OWN): discovery([{"@type": SECRET, "name": OWN, "tls_certificate": own}])}
    if identity.client_authority is not None:
        trusted = {"trusted_ca": {"filename": str(identity.client_authority)}}
        files[_file(folder, AUTHORITY)] = discovery([{"@type": SECRET, "name": AUTHORITY, "validation_context": trusted}])
    return files


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"
