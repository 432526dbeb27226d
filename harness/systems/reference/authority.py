"""A certificate authority for one cluster: certificates for its nodes and clients, and the key of its datagrams.

    authority = Authority.new("demo-7")                       # in the memory of this process alone, for a cluster that goes with it
    authority = Authority.kept("demo", directory)             # in a directory, for a cluster that is deployed to stay
    node = authority.node("n1")                               # node.certificate, node.key: PEM
    context = authority.client("service")                     # an ssl.SSLContext that shows a client's certificate

Keys are on the curve P-256. Certificates are X.509 version 3 and valid for `LIFE` from now on, with `MARGIN` before and after: faults move the clocks
of hosts, and a host whose clock is off by less than that must still be understood. A key on a disk has mode 0600, in a directory of mode 0700.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tribulation.histories.files.replacing import temporary_beside
from tribulation.node.runtime.security.authentic import KEY_BYTES
from tribulation.node.runtime.security.identity import Identity

from ...errors import DeployError
from ...hosts.local.layout.state import default_directory

if TYPE_CHECKING:
    import ssl

LIFE = timedelta(days=2)
LASTING_LIFE = timedelta(days=90)
"""Life of certificates of a cluster that is deployed to stay; deploying it again issues new ones."""
MARGIN = timedelta(days=1)
AUTHORITY_LIFE = timedelta(days=3650)
_CERTIFICATE, _KEY, _DATAGRAM_KEY = "authority.pem", "authority.key", "datagram.key"
_USAGES = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]


@dataclass(frozen=True, slots=True)
class Issued:
    """Both in PEM. `key` is a secret, and is not shown."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        return f"Issued({len(self.certificate)} bytes, and a key)"


class Authority:
    """`certificate` is what others must trust, in PEM. `datagram_key` is the content of the nodes' key file."""

    def __init__(self, cluster: str, key: ec.EllipticCurvePrivateKey, root: x509.Certificate, datagram_key: bytes):
        self.cluster = cluster
        self.datagram_key = datagram_key
        self.certificate = root.public_bytes(serialization.Encoding.PEM)
        self._key, self._root = key, root

    def __repr__(self) -> str:
        return f"Authority({self.cluster!r})"

    @classmethod
    def new(cls, cluster: str) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        # Two authorities of one cluster, while one takes over from the other, must not have the same name.
        name = _named(f"tribulation {cluster[:32]} {secrets.token_hex(4)}")
        root = _builder(name, name, key.public_key(), key.public_key(), AUTHORITY_LIFE)
        root = root.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        root = root.add_extension(_usage(signs=True), critical=True)
        return cls(cluster, key, root.sign(key, hashes.SHA256()), secrets.token_hex(KEY_BYTES).encode() + b"\n")

    @classmethod
    def kept(cls, cluster: str, directory: Path) -> Authority:
        """The authority of this directory, made there the first time. Raises `DeployError` when it is incomplete, or others can read it."""
        files = [directory / name for name in (_CERTIFICATE, _KEY, _DATAGRAM_KEY)]
        if not any(file.exists() for file in files):
            authority = cls.new(cluster)
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            for file, content in zip(
                files, (authority.certificate, _pem(authority._key), authority.datagram_key), strict=True
            ):
                write_secret(file, content)
        try:
            open_to_others = [file for file in files[1:] if file.stat().st_mode & 0o077]
            root = x509.load_pem_x509_certificate(files[0].read_bytes())
            key = serialization.load_pem_private_key(files[1].read_bytes(), None)
            datagram_key = files[2].read_bytes()
        except (OSError, ValueError, TypeError) as error:
            hint = f"remove {directory}, and deploy the cluster again"
            raise DeployError(
                f"the certificate authority in {directory} is not complete: {type(error).__name__}", hint
            ) from None
        if open_to_others or not isinstance(key, ec.EllipticCurvePrivateKey):
            raise DeployError(
                f"the key of the certificate authority in {directory} is not private",
                hint=f"chmod 600 {' '.join(map(str, files[1:]))}; if others may have read them, remove {directory}",
            )
        return cls(cluster, key, root, datagram_key)

    def node(self, name: str, life: timedelta = LIFE) -> Issued:
        return self.issue(Identity(self.cluster, "node", name), life)

    def issue(self, identity: Identity, life: timedelta = LIFE) -> Issued:
        """A certificate that names `identity`, valid for dialling and for accepting. A `life` below -`MARGIN` has ended."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = _builder(_named(identity.name), self._root.subject, key.public_key(), self._key.public_key(), life)
        made = made.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        made = made.add_extension(_usage(signs=False), critical=True)
        made = made.add_extension(x509.ExtendedKeyUsage(_USAGES), critical=False)
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity.uri)])
        signed = made.add_extension(names, critical=False).sign(self._key, hashes.SHA256())
        return Issued(signed.public_bytes(serialization.Encoding.PEM), _pem(key))

    def client(self, name: str) -> ssl.SSLContext:
        """A context for connections to nodes of this cluster. The caller must compare the name in the other side's certificate: the authority signs
        for all of them.
        """
        return client_context(self.certificate, self.issue(Identity(self.cluster, "client", name)))


def kept_directory(cluster: str) -> Path:
    """Return the directory in which this user keeps the authority of a cluster that is deployed to stay: next to the labs."""
    labs = default_directory()
    return labs.with_name(f"{labs.name}-authorities") / quote(cluster, safe="")


def client_context(authorities: bytes, shown: Issued | None) -> ssl.SSLContext:
    """A TLS 1.3 context that trusts only these authorities (PEM), and shows this certificate, if any."""
    # Imported here: it takes time to load, and most clusters on this machine do not use it.
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=authorities.decode("ascii"))
    if shown is not None:
        # OpenSSL reads certificates only from files: these are in memory, and gone with their descriptors.
        with _in_memory(shown.certificate) as certificate, _in_memory(shown.key) as key:
            context.load_cert_chain(certificate, key)
    return context


def write_secret(path: Path, content: bytes) -> None:
    """Write atomically, readable only for the owner from the first byte on."""
    temporary = temporary_beside(path)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    temporary.rename(path)


@contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    descriptor = os.memfd_create("certificate")
    try:
        os.write(descriptor, content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    issuer_public: ec.EllipticCurvePublicKey,
    life: timedelta,
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    until = now + life + MARGIN
    builder = x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=public)
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(min(now, until) - MARGIN).not_valid_after(until)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    known = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_public)
    return builder.add_extension(known, critical=False)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
