"""Each way in which an SSH connection fails gives one clear line and a hint, and takes no longer than its deadline."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import paramiko
import pytest

from tribulation.harness.hosts.errors import ConnectError, Reason
from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.hosts.ssh.connection import Connection, Target, _session
from tribulation.harness.hosts.ssh.diagnosis import explain
from tribulation.harness.hosts.ssh.remote import RemoteHost

SESSIONS = 100
"""`MaxSessions` of local hosts."""


def failure(target: Target, reason: Reason, within_s: float = 5.0) -> str:
    """What connecting to `target` says; in time, in one line with a hint, for this reason, and the same when asked again."""
    host = RemoteHost(target, directory="/srv/x", python="python3", control=("", 22))
    began_s = time.monotonic()
    with closing(host), pytest.raises(ConnectError) as caught:
        host.run("true", timeout_s=20.0)
    assert time.monotonic() - began_s < within_s
    assert caught.value.reason == reason, str(caught.value)
    assert "\n" not in caught.value.message and caught.value.hint
    assert caught.value.message.startswith(target.where)
    return str(caught.value)


@pytest.fixture
def target(lab: LocalProvider) -> Target:
    return lab.hosts[0].target


@contextmanager
def listener(accept_and_close: bool = False) -> Iterator[Target]:
    """Something on loopback that is no SSH server: it says nothing, or hangs up at once."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            try:
                server.accept()[0].close()
            except OSError:
                return  # closed by the test's end

        if accept_and_close:
            threading.Thread(target=hang_up, daemon=True).start()
        yield Target("quiet", "127.0.0.1", server.getsockname()[1], "root", connect_timeout_s=0.7)


def test_nothing_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert "connection refused" in failure(Target("x", "127.0.0.1", unused.getsockname()[1], "root"), "refused")


def test_no_route(lab: LocalProvider) -> None:
    def open_socket(timeout_s: float) -> socket.socket:
        return lab._dial_from(None, "192.0.2.1", 22, timeout_s, socket.SOCK_STREAM)

    assert "unreachable" in failure(Target("x", "192.0.2.1", 22, "root", open_socket=open_socket), "unreachable")


def test_nobody_answers(target: Target, lab: LocalProvider) -> None:
    def open_socket(timeout_s: float) -> socket.socket:
        return lab._dial_from(None, "10.77.0.77", 22, timeout_s, socket.SOCK_STREAM)

    text = failure(replace(target, open_socket=open_socket, connect_timeout_s=0.7), "timeout", within_s=2.0)
    assert "no connection within 0.7 s" in text


def test_a_name_that_does_not_resolve() -> None:
    assert "does not resolve" in failure(Target("x", "no-such-host.invalid", 22, "root"), "name", within_s=15.0)


def test_a_server_without_a_banner() -> None:
    with listener() as target:
        assert "no SSH banner came within 0.7 s" in failure(target, "banner", within_s=2.5)


def test_a_server_that_hangs_up() -> None:
    with listener(accept_and_close=True) as target:
        assert "SSH banner" in failure(target, "banner", within_s=2.5)


def test_a_wrong_key(target: Target, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    text = failure(replace(target, key=tmp_path / "other"), "auth")
    assert f"login refused with the key {tmp_path}/other" in text and "authorized_keys" in text


def test_an_encrypted_a_missing_and_a_broken_key(target: Target, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", tmp_path / "locked"], check=True)
    assert "is encrypted" in failure(replace(target, key=tmp_path / "locked"), "auth")
    assert "absent cannot be read" in failure(replace(target, key=tmp_path / "absent"), "auth")
    (tmp_path / "noise").write_text("noise")
    assert "has an unknown format" in failure(replace(target, key=tmp_path / "noise"), "auth")


class PasswordsOnly(paramiko.ServerInterface):
    def get_allowed_auths(self, username: str) -> str:
        return "password"


def test_a_server_that_takes_passwords_only(target: Target, tmp_path: Path) -> None:
    server_key = paramiko.ECDSAKey.generate()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            transport = paramiko.Transport(server.accept()[0])
            transport.add_server_key(server_key)
            transport.start_server(server=PasswordsOnly())

        threading.Thread(target=serve, daemon=True).start()
        trusted = f"{server_key.get_name()} {server_key.get_base64()}"
        port = server.getsockname()[1]
        text = failure(Target("vps", "127.0.0.1", port, "root", key=target.key, host_key=trusted), "auth")
    assert "takes no keys, only: password" in text and "ssh-copy-id" in text


def test_an_unknown_host_key(target: Target) -> None:
    text = failure(replace(target, host_key=None), "host-key")
    assert "the host's key is not known (ecdsa-sha2-nistp256 SHA256:" in text and "ssh-keyscan" in text


def test_another_host_key_than_the_known_one(target: Target, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    other = (tmp_path / "other.pub").read_text()
    assert "does not match the known one" in failure(replace(target, host_key=other), "host-key")
    (tmp_path / "known_hosts").write_text(f"{target.address} {other}")
    assert "does not match" in failure(replace(target, host_key=None, known_hosts=tmp_path / "known_hosts"), "host-key")
    assert "cannot be read" in failure(replace(target, host_key=None, known_hosts=tmp_path / "absent"), "auth")


def test_a_known_host_key_is_enough(target: Target, tmp_path: Path) -> None:
    assert target.host_key is not None
    (tmp_path / "known_hosts").write_text(f"# mine\n{target.address} {target.host_key}")
    trusting = replace(target, host_key=None, known_hosts=tmp_path / "known_hosts")
    with closing(RemoteHost(trusting, directory="/srv/x", python="python3", control=("", 22))) as host:
        assert host.run("hostname").stdout == "n1\n"
        sock = host.connection._fabric.transport.sock
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


class _Refusing:
    """A transport that refuses the first two sessions, the second with its reason lost."""

    def __init__(self) -> None:
        self.errors = [paramiko.ChannelException(2, "Connect failed"), paramiko.SSHException("Unable to open channel.")]

    def open_session(self, timeout: float) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "session"

    def is_active(self) -> bool:
        return True


def test_a_session_that_is_refused_without_a_reason_is_asked_for_again() -> None:
    """Where a busy host refuses two at once, paramiko loses the reason of one: a command of a hundred failed."""
    assert _session(_Refusing(), time.monotonic() + 5) == "session"  # type: ignore[arg-type, comparison-overlap]


def test_a_host_whose_sessions_are_all_in_use_is_asked_again_until_one_is_free(target: Target) -> None:
    """The host's limit is reached although this side counts fewer: it ends sessions later than they are closed here."""
    with closing(Connection(replace(target, max_channels=200))) as connection:
        opened = [connection.open_channel(20.0) for _ in range(SESSIONS)]
        free = threading.Timer(0.5, connection.close_channel, [opened.pop()])
        free.start()
        try:
            connection.close_channel(connection.open_channel(20.0))
        finally:
            free.join()
            for channel in opened:
                connection.close_channel(channel)


@pytest.mark.parametrize(
    "said, reason",
    [
        ("Authentication timeout.", "timeout"),
        ("Authentication failed: transport shut down or saw EOF", "lost"),
        ("Authentication failed.", "auth"),
    ],
)
def test_a_login_that_a_busy_machine_did_not_end_is_not_reported_as_refused(said: str, reason: str) -> None:
    error = explain(paramiko.AuthenticationException(said), "n1 (10.0.0.1)", "n1")
    assert error.reason == reason and ("refused" in error.message) == (reason == "auth")
