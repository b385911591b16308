"""A certificate authority for tests: real certificates of the edge and of callers, valid for a day."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ENCODING = serialization.Encoding.PEM


@dataclass(frozen=True)
class Issued:
    """Files of one certificate and its key."""

    certificate: Path
    key: Path


class Authority:
    """Issues certificates; its own is in `file`."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = _name(name)
        self.own = _builder(self.name, self.name, self.key, x509.BasicConstraints(ca=True, path_length=0)).sign(
            self.key, hashes.SHA256()
        )
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self.own.public_bytes(ENCODING))

    def issue(self, file: str, *, uri: str | None = None, host: str | None = None) -> Issued:
        """A certificate for the edge on loopback, with `uri` for a caller, or for a server of this `host` alone; replaces the
        files by a rename.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.IPAddress(IPv4Address("127.0.0.1"))]
        if uri is not None:
            names = [x509.UniformResourceIdentifier(uri)]
        if host is not None:
            names = [x509.DNSName(host)]
        certificate = (
            _builder(_name(file), self.name, key, x509.BasicConstraints(ca=False, path_length=None))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        private = key.private_bytes(ENCODING, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        issued = Issued(self.folder / f"{file}.pem", self.folder / f"{file}.key")
        for path, content in ((issued.key, private), (issued.certificate, certificate.public_bytes(ENCODING))):
            draft = path.with_suffix(".new")
            draft.write_bytes(content)
            os.replace(draft, path)
        return issued


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, constraints: x509.BasicConstraints
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(constraints, critical=True)
    )
