"""An SSH server that keeps no rule of the protocol: it fills no memory here, and holds no command beyond its deadline."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest
from paramiko.common import (
    AUTH_SUCCESSFUL,
    OPEN_SUCCEEDED,
    cMSG_CHANNEL_DATA,
    cMSG_CHANNEL_EOF,
    cMSG_CHANNEL_EXTENDED_DATA,
)

from tribulation.harness.hosts.errors import CommandError
from tribulation.harness.hosts.ssh.connection import Target
from tribulation.harness.hosts.ssh.remote import RemoteHost

FLOOD = 64 << 20
PIECE = b"A" * 32_000
Misbehave = Callable[[paramiko.Channel], None]


def _message(channel: paramiko.Channel, kind: bytes, *fields: int | bytes) -> paramiko.Message:
    made = paramiko.Message()
    made.add_byte(kind)
    made.add_int(channel.remote_chanid)
    for field in fields:
        made.add_int(field) if isinstance(field, int) else made.add_string(field)
    return made


def _flood(kind: bytes, *fields: int) -> Misbehave:
    def send(channel: paramiko.Channel) -> None:
        for _ in range(FLOOD // len(PIECE)):
            channel.transport._send_message(_message(channel, kind, *fields, PIECE))

    return send


def _flood_after_the_end(channel: paramiko.Channel) -> None:
    channel.transport._send_message(_message(channel, cMSG_CHANNEL_EOF))
    _flood(cMSG_CHANNEL_DATA)(channel)


FLOODS = {
    "output": _flood(cMSG_CHANNEL_DATA),
    "errors": _flood(cMSG_CHANNEL_EXTENDED_DATA, 1),
    "after the end": _flood_after_the_end,
}


class _Server(paramiko.ServerInterface):
    def __init__(self, misbehave: Misbehave) -> None:
        self._misbehave = misbehave
        self.ended = threading.Event()

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=self._run, args=(channel,), daemon=True).start()
        return True

    def _run(self, channel: paramiko.Channel) -> None:
        time.sleep(0.1)
        try:
            self._misbehave(channel)
        except (OSError, EOFError, paramiko.SSHException):
            self.ended.set()


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[Callable[[Misbehave], tuple[RemoteHost, _Server]]]:
    opened: list[paramiko.Transport | RemoteHost | socket.socket] = []
    host_key = paramiko.ECDSAKey.generate()
    paramiko.ECDSAKey.generate().write_private_key_file(str(tmp_path / "key"))

    def started(misbehave: Misbehave) -> tuple[RemoteHost, _Server]:
        listener, server = socket.create_server(("127.0.0.1", 0)), _Server(misbehave)

        def accept() -> None:
            transport = paramiko.Transport(listener.accept()[0])
            transport.add_server_key(host_key)
            opened.append(transport)
            transport.start_server(server=server)

        threading.Thread(target=accept, daemon=True).start()
        known = f"{host_key.get_name()} {host_key.get_base64()}"
        target = Target("n1", "127.0.0.1", listener.getsockname()[1], "root", tmp_path / "key", known)
        host = RemoteHost(target, directory="/srv", python="python3", control=("127.0.0.1", 22))
        opened.extend((listener, host))
        return host, server

    yield started
    for each in opened:
        each.close()


@pytest.mark.parametrize("how", FLOODS)
def test_a_host_that_sends_beyond_its_window_loses_the_connection_and_fills_no_memory(
    how: str, hostile: Callable[[Misbehave], tuple[RemoteHost, _Server]]
) -> None:
    """The output of a helper waits until it is read."""
    host, server = hostile(FLOODS[how])
    channel = host.start("helper", timeout_s=30.0)
    kept = channel._channel  # type: ignore[attr-defined]
    assert server.ended.wait(60), "the flood was taken to its end"
    assert len(kept.in_buffer) + len(kept.in_stderr_buffer) < 2 * kept.in_window_size
    assert not host.connection.alive
    channel.close()


@pytest.mark.parametrize("how", FLOODS)
def test_a_command_of_such_a_host_ends_by_its_deadline_with_an_error(
    how: str, hostile: Callable[[Misbehave], tuple[RemoteHost, _Server]]
) -> None:
    host, _ = hostile(FLOODS[how])
    began_s = time.monotonic()
    with pytest.raises(CommandError):
        host.run("true", timeout_s=5.0)
    assert time.monotonic() - began_s < 30
