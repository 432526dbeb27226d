"""The TLS of one connection, without sockets: a stranger is refused for the right reason and hears nothing, however the bytes are cut."""

from __future__ import annotations

import _ssl
import ctypes
import ssl
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tribulation.harness.systems.reference.authority import MARGIN, Authority, Issued, client_context, write_secret
from tribulation.node.errors import ConfigError
from tribulation.node.runtime.options import TlsFiles
from tribulation.node.runtime.security.identity import Identity
from tribulation.node.runtime.security.rotating import Rotating
from tribulation.node.runtime.security.tls import Credentials, Session, load_credentials
from tribulation.node.runtime.telemetry.logs import NodeLog
from tribulation.node.runtime.telemetry.refusals import Refused

ENDED = -MARGIN - timedelta(hours=1)
OWN = Identity("c", "node", "n1")
AUTHORITY, STRANGE = Authority.new("c"), Authority.new("c")


def files(directory: Path, issued: Issued, authorities: bytes = AUTHORITY.certificate) -> TlsFiles:
    paths = TlsFiles(directory / "ca.pem", directory / "certificate.pem", directory / "key.pem")
    for path, content in ((paths.ca, authorities), (paths.certificate, issued.certificate), (paths.key, issued.key)):
        write_secret(path, content)
    return paths


def _server(issued: Issued) -> Credentials:
    with TemporaryDirectory() as directory:
        return load_credentials(files(Path(directory), issued), OWN, in_time=True)


SERVER = _server(AUTHORITY.node("n1"))


def let_in(found: Identity | None) -> Refused | None:
    return None if found is not None and found.cluster == "c" else Refused("cluster", "not ours")


def exchange(one: Session, other: Session, pieces: int = 1 << 20) -> None:
    """Until neither has anything to say; `pieces` is how many bytes arrive at once. Raises what they raise."""
    first = one.begin()
    while first:
        for start in range(0, len(first), pieces):
            other.take(first[start : start + pieces])
        first = other.outgoing()
        one, other = other, one


@settings(deadline=None, max_examples=25)
@given(st.binary(min_size=1, max_size=40_000), st.integers(1, 3000))
def test_what_one_side_seals_the_other_reads_however_it_is_cut(data: bytes, pieces: int) -> None:
    here, there = Session(SERVER.accepting, True, let_in), Session(SERVER.dialling, False, let_in)
    exchange(there, here, pieces)
    assert here.established and there.established and here.peer == there.peer == OWN
    for sender, receiver in ((here, there), (there, here)):
        sealed = sender.seal(data)
        assert data[:32] not in sealed or len(data) < 8
        took = b"".join(receiver.take(sealed[at : at + pieces]) for at in range(0, len(sealed), pieces))
        assert took == data


def old_tls() -> ssl.SSLContext:
    context = client_context(AUTHORITY.certificate, AUTHORITY.node("n2"))
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2
    return context


ROGUES: dict[str, Callable[[], ssl.SSLContext]] = {
    "no-certificate": lambda: client_context(AUTHORITY.certificate, None),
    "authority": lambda: client_context(AUTHORITY.certificate, STRANGE.node("n2")),
    "expired": lambda: client_context(AUTHORITY.certificate, AUTHORITY.issue(Identity("c", "node", "n2"), ENDED)),
    "cluster": lambda: client_context(AUTHORITY.certificate, AUTHORITY.issue(Identity("d", "node", "n2"))),
    "protocol": old_tls,
}


@pytest.mark.parametrize("reason", ROGUES)
def test_who_may_not_come_is_refused_for_the_right_reason(reason: str) -> None:
    here, rogue = Session(SERVER.accepting, True, let_in), Session(ROGUES[reason](), False, lambda _: None)
    with pytest.raises(Refused) as refused:
        exchange(rogue, here)
    assert refused.value.reason == reason
    if reason != "cluster":
        # What is left to send is an alert; it is reported why, and nothing else.
        with pytest.raises(Refused, match=r"it refused us|not understood"):
            rogue.take(here.outgoing())
        assert here.take(b"anything") == b""


def test_plaintext_is_known_by_its_first_bytes() -> None:
    for cut in (1, 2, 50):
        here = Session(SERVER.accepting, True, let_in)
        with pytest.raises(Refused) as refused:
            for at in range(0, 50, cut):
                here.take((b"TR" + b"x" * 48)[at : at + cut])
        assert refused.value.reason == "plaintext"
        assert here.outgoing() == b""


def test_who_dials_shows_its_certificate_only_to_whom_it_dialled(tmp_path: Path) -> None:
    """n3 of the same cluster answers in the place of n2. The dialler's flight with its certificate is never sent."""
    issued = AUTHORITY.node("n3")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=AUTHORITY.certificate.decode())
    paths = files(tmp_path, issued)
    context.load_cert_chain(paths.certificate, paths.key)
    impostor = Session(context, True, lambda _: None)
    wanted = Identity("c", "node", "n2")
    ours = Session(SERVER.dialling, False, lambda found: None if found == wanted else Refused("name", str(found)))
    impostor.take(ours.begin())
    with pytest.raises(Refused) as refused:
        ours.take(impostor.outgoing())
    assert refused.value.reason == "name"
    assert ours.outgoing() == b"" and not ours.established


@pytest.mark.parametrize(
    ("issued", "authorities", "wrong"),
    [
        (AUTHORITY.node("n2"), AUTHORITY.certificate, "is that of node 'n2'"),
        (AUTHORITY.issue(Identity("d", "node", "n1")), AUTHORITY.certificate, "of cluster 'd'"),
        (AUTHORITY.issue(Identity("c", "client", "n1")), AUTHORITY.certificate, "is that of client 'n1'"),
        (STRANGE.node("n1"), AUTHORITY.certificate, "is not accepted"),
        (AUTHORITY.issue(OWN, ENDED), AUTHORITY.certificate, "expired"),
        (Issued(AUTHORITY.node("n1").certificate, AUTHORITY.node("n1").key), AUTHORITY.certificate, "mismatch"),
        (Issued(b"nothing", AUTHORITY.node("n1").key), AUTHORITY.certificate, "cannot use"),
        (Issued(AUTHORITY.node("n1").certificate, b"nothing"), AUTHORITY.certificate, "cannot use"),
        (AUTHORITY.node("n1"), b"nothing", "tls.ca: cannot use"),
    ],
)
def test_files_that_cannot_work_are_refused_and_no_key_is_quoted(
    issued: Issued, authorities: bytes, wrong: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=wrong) as refused:
        load_credentials(files(tmp_path, issued, authorities), OWN, in_time=True)
    assert "PRIVATE" not in str(refused.value)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    paths = files(tmp_path, AUTHORITY.node("n1"))
    paths.key.chmod(0o644)
    with pytest.raises(ConfigError, match="has mode 0644: others may read it"):
        load_credentials(paths, OWN, in_time=True)


def test_a_node_whose_clock_is_wrong_starts_all_the_same_and_says_so(tmp_path: Path) -> None:
    credentials = load_credentials(files(tmp_path, AUTHORITY.issue(OWN, ENDED)), OWN, in_time=False)
    assert credentials.doubt is not None and "expired" in credentials.doubt


def test_files_are_replaced_and_bad_ones_are_not_taken(tmp_path: Path) -> None:
    """A new certificate by a new authority, in the steps of the guide; then a broken one, which changes nothing."""
    paths = files(tmp_path, AUTHORITY.node("n1"))
    log = NodeLog(tmp_path / "node.log")
    rotating = Rotating(
        "certificate",
        (paths.ca, paths.certificate, paths.key),
        lambda again: load_credentials(paths, OWN, in_time=again),
        log,
    )
    first = rotating.value
    rotating.look()
    assert rotating.value is first, "nothing has changed"
    both = AUTHORITY.certificate + STRANGE.certificate
    files(tmp_path, AUTHORITY.node("n1"), both)
    rotating.look()
    assert rotating.value is first, "files that have just changed are left alone until they are steady"
    rotating.look()
    second = rotating.value
    assert second is not first
    issued = STRANGE.node("n1")
    write_secret(paths.certificate, issued.certificate)
    rotating.look(force=True)
    assert rotating.value is second, "of two that belong together one is old"
    write_secret(paths.key, issued.key)
    rotating.look(force=True)
    third = rotating.value
    assert third is not second
    exchange(Session(first.dialling, False, let_in), Session(second.accepting, True, let_in))
    exchange(Session(second.dialling, False, let_in), Session(third.accepting, True, let_in))
    write_secret(paths.certificate, b"broken")
    for _ in range(5):
        rotating.look()
    assert rotating.value is third
    log.close()
    said = (tmp_path / "node.log").read_text()
    assert said.count("new certificate refused, the old stays in use") == 2, "once for each bad state of the files"
    assert said.count("new certificate in use") == 2
    assert "PRIVATE" not in said


def test_a_peer_that_renews_its_keys_without_end_is_refused() -> None:
    """Each renewal is answered: of a peer that reads nothing, the answers would fill the memory."""
    server, peer = Session(SERVER.accepting, True, let_in), Session(AUTHORITY.client("x"), False, lambda _: None)
    exchange(peer, server)
    renewals = _renewals(peer)
    assert [server.take(next(renewals)) for _ in range(100)] == [b""] * 100
    answered = len(server.outgoing())
    with pytest.raises(Refused) as refused:
        for renewal in renewals:
            server.take(renewal)
            answered += len(server.outgoing())
    assert refused.value.reason == "protocol" and "renews its keys" in refused.value.message
    assert answered < 100_000 and server.take(b"more") == b""


def _renewals(peer: Session) -> Iterator[bytes]:
    """Python has no call for it: OpenSSL's is given the `SSL *` that follows an `SSLObject`'s header and its owner."""
    library = ctypes.CDLL(_ssl.__file__)
    library.SSL_key_update.argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.SSL_do_handshake.argtypes = [ctypes.c_void_p]
    ssl_object = ctypes.c_void_p.from_address(
        id(peer._ssl._sslobj) + object.__basicsize__ + ctypes.sizeof(ctypes.c_void_p)
    )
    for _ in range(100_000):
        assert library.SSL_key_update(ssl_object, 1) == 1
        library.SSL_do_handshake(ssl_object)
        yield peer.outgoing()
