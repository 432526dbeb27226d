"""TLS 1.3 for the node's port, both sides with a certificate: which peers may connect, and under which identity.

Credentials are the node's own certificate and the authorities that it trusts, made from three files. A `Session` is the TLS of one connection and
touches no socket: wire bytes go in, plain bytes come out, and the other way round (`ssl.MemoryBIO`), so it works with any loop.

A certificate must come from an authority of the `ca` file, be valid now, and name a node or client of this cluster (`identity.py`). No data goes to a
peer before that is verified: the accepting side verifies before it answers a hello, the dialling side before it sends its own. Sessions are not
resumed, so each connection is checked against the files that are valid when it begins.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass

from ...errors import ConfigError
from ..options import TlsFiles
from ..telemetry.refusals import Refused
from .identity import Identity, identity_of
from .rotating import read_secret

Judge = Callable[["Identity | None"], "Refused | None"]
"""Decides whether the peer named in a valid certificate may go on."""

_HANDSHAKE, _ALERT = b"\x16\x03", b"\x15\x03"
"""First bytes of a TLS stream: a record's type and the major version (RFC 8446, section 5.1)."""
_TIME_CODES = {9: "not-yet-valid", 10: "expired"}
"""OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED. For any other error in a chain, no authority of ours vouches for it."""
_RECORD = 16 * 1024
_ANSWERS = 64 * 1024
"""Bytes that an established session answers by itself in its life: thousands of renewed keys, each of which serves for gigabytes."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The contexts for new connections. `expires_s` is the end of our own certificate, in seconds since 1970; `doubt` is the reason why others will
    not accept it, if there is one.
    """

    accepting: ssl.SSLContext
    dialling: ssl.SSLContext
    expires_s: int
    doubt: str | None = None


def load_credentials(files: TlsFiles, own: Identity, *, in_time: bool) -> Credentials:
    """Read and test the credentials: this node must accept its own certificate. Raises `ConfigError`, whose text contains no part of a key.

    `in_time`: a certificate that is not valid at present is refused, too. A node that starts uses it nevertheless, because its clock may be wrong,
    and new files may come.
    """
    read_secret(files.key, "tls.key")
    accepting, dialling = _context(files, accepts=True), _context(files, accepts=False)
    shown, refused = _try_on(accepting, dialling)
    if refused is not None and (in_time or refused.reason not in _TIME_CODES.values()):
        hint = "certificate and key must belong together, and the authority that signed be in the ca file"
        raise ConfigError(f"tls.certificate: {files.certificate}: {refused.message}", hint)
    if refused is None and (shown is None or shown.identity != own):
        shown_as = "no node" if shown is None or shown.identity is None else str(shown.identity)
        raise ConfigError(f"tls.certificate: {files.certificate} is that of {shown_as}", f"this is {own}: {own.uri}")
    doubt = None if refused is None else refused.message
    return Credentials(accepting, dialling, 0 if shown is None else shown.expires_s, doubt)


def _context(files: TlsFiles, *, accepts: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if accepts else ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # The name of the node counts, not an address; a `Judge` compares it.
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
    if accepts:
        context.num_tickets = 0
    try:
        context.load_verify_locations(files.ca)
    except (OSError, ValueError) as error:
        raise ConfigError(f"tls.ca: cannot use {files.ca}: {_reason(error)}", "give certificates in PEM") from None
    try:
        # An encrypted key must be refused; OpenSSL would ask for its password at a terminal.
        context.load_cert_chain(files.certificate, files.key, password=lambda: "")
    except (OSError, ValueError) as error:
        hint = "give a certificate in PEM, with its chain, and its key without a password"
        raise ConfigError(f"tls.certificate: cannot use {files.certificate}: {_reason(error)}", hint) from None
    return context


@dataclass(frozen=True, slots=True)
class _Shown:
    identity: Identity | None
    expires_s: int


def _try_on(accepting: ssl.SSLContext, dialling: ssl.SSLContext) -> tuple[_Shown | None, Refused | None]:
    """Perform a handshake with ourselves, in memory: returns what others see of us, or why they would refuse us."""
    here, there = Session(accepting, True, lambda _: None), Session(dialling, False, lambda _: None)
    try:
        here.take(there.begin())
        there.take(here.outgoing())
        here.take(there.outgoing())
    except Refused as refused:
        return None, refused
    return _Shown(here.peer, here.expires_s), None


class Session:
    """TLS of one connection. `peer` is known once it is `established`; a failed session takes and gives nothing."""

    def __init__(self, context: ssl.SSLContext, accepts: bool, judge: Judge) -> None:
        self.established = False
        self.failed = False
        self.ended = False
        """The other side announced that nothing more will come."""
        self.peer: Identity | None = None
        self.expires_s = 0
        self._accepts, self._judge = accepts, judge
        self._first = b""
        self._answered = 0
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._in, self._out, server_side=accepts)

    def begin(self) -> bytes:
        """Make the first bytes that the dialling side sends."""
        self._continue_handshake()
        return self.outgoing()

    def take(self, data: bytes) -> bytes:
        """Take wire bytes; return the complete plain bytes. Raises `Refused`; `outgoing` then holds the alert for the peer."""
        if self.failed:
            return b""
        if len(self._first) < len(_HANDSHAKE):
            self._look_at(data)
        self._in.write(data)
        try:
            if self.established:
                return self._read_bounded()
            return self._read() if self._continue_handshake() else b""
        except ssl.SSLError as error:
            self.failed = True
            raise _refused(error) from None
        except Refused:
            self.failed = self.failed or not (self._accepts and self.established)
            raise

    def seal(self, data: bytes | memoryview) -> bytes:
        """Encrypt plain bytes; requires an established session."""
        self._ssl.write(data)
        return self._out.read()

    def outgoing(self) -> bytes:
        """Bytes of the handshake that must be sent."""
        return self._out.read()

    def _look_at(self, data: bytes) -> None:
        """Recognise plaintext by its first bytes, before any work is done for it."""
        self._first = (self._first + data[:2])[:2]
        if not any(kind.startswith(self._first) for kind in (_HANDSHAKE, _ALERT)):
            self.failed = True
            raise Refused("plaintext", f"it begins with {self._first!r}: that is not TLS, which is required here")

    def _continue_handshake(self) -> bool:
        """Continue the handshake. Returns whether it is complete."""
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            return False
        certificate = self._ssl.getpeercert() or {}
        self.peer = identity_of(certificate)
        self.expires_s = int(ssl.cert_time_to_seconds(str(certificate["notAfter"])))
        refused = self._judge(self.peer)
        if refused is not None and not self._accepts:
            self._out.read()  # Our certificate, and the end of the handshake, are not sent to this peer.
            raise refused
        self.established = True
        if refused is not None:
            raise refused
        return True

    def _read_bounded(self) -> bytes:
        """Read, and refuse a peer that has TLS itself answer without end, which it need not read."""
        before = self._out.pending
        plain = self._read()
        self._answered += self._out.pending - before
        if self._answered > _ANSWERS:
            self.failed = True
            self._out.read()
            raise Refused("protocol", "it renews its keys without end")
        return plain

    def _read(self) -> bytes:
        chunks = []
        try:
            while not self.ended and (self._in.pending or self._ssl.pending()):
                chunk = self._ssl.read(_RECORD)
                self.ended = not chunk
                chunks.append(chunk)
        except ssl.SSLWantReadError:
            pass  # The rest of a record is still to come.
        except ssl.SSLZeroReturnError:
            self.ended = True
        return b"".join(chunks)


def _refused(error: ssl.SSLError) -> Refused:
    """Return why a handshake or a record failed, as one of our reasons."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = _TIME_CODES.get(error.verify_code, "authority")
        return Refused(reason, f"its certificate is not accepted: {error.verify_message}")
    reason = str(error.reason or "")
    if reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return Refused("no-certificate", "it has shown no certificate")
    if "_ALERT_" in reason:
        return Refused("refused-by-peer", f"it refused us: {_reason(error)}")
    return Refused("protocol", f"its TLS is not understood: {_reason(error)}")


def _reason(error: Exception) -> str:
    """Return OpenSSL's message, without the place in its source."""
    reason = getattr(error, "reason", None)
    if reason:
        return str(reason).lower().replace("_", " ")
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
