"""A host over SSH: run commands, keep one running, move files. The same code for local hosts, VMs and real machines.

Commands run on raw paramiko channels, which takes 2 ms where fabric's `run` takes 3 to 44. A command that exceeds its deadline loses its
channel; processes that it started may continue there, as after any broken connection.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import select
import shlex
import time
from collections.abc import Sequence

import paramiko

from ..base import Channel, CommandResult
from ..errors import CommandError, LateLineError
from .connection import Connection, Target

_CHUNK = 1 << 18
PRINTED_BYTES = 16 << 20
"""Limit for the output of a command, and for one line of a helper. A host that prints more is broken or malicious."""
_MOST_SAID = 64
GOT_BYTES = 256 << 20
"""Limit for `get`; larger files are read in parts."""
OWN_FILES = "umask go-w\n"
"""Before every command: whatever the login's umask is, no other user of the host may write to a file that the command makes, before its mode is set."""


class RemoteHost:
    """`Host` over SSH. Thread-safe; holds one connection, made on first use.

    `wrap` runs strings by `sh -c` explicitly. Leave it off where the login's shell is known to be `sh`: it saves a process a command.
    """

    def __init__(
        self,
        target: Target,
        *,
        address: str | None = None,
        directory: str,
        python: str,
        control: tuple[str, int],
        sudo: tuple[str, ...] = (),
        wrap: bool = True,
        clock: str = "library",
    ) -> None:
        self.name = target.name
        self.address = address or target.address
        self.directory = directory
        self.python = python
        self.sudo = sudo
        self.control = control
        self.target = target
        self.connection = Connection(target)
        self.clock = clock
        self.refused: Exception | None = None
        """The reason why this host must not be used; every call on it raises this."""
        self._wrap = wrap

    def __repr__(self) -> str:
        return f"RemoteHost({self.target.where})"

    def run(
        self,
        command: str | Sequence[str],
        *,
        timeout_s: float = 20.0,
        check: bool = True,
        stdin: bytes | None = None,
        idempotent: bool = False,
    ) -> CommandResult:
        """Run a command as `Host.run` does; an `idempotent` command is repeated once if the connection was lost meanwhile."""
        began_s = time.monotonic()
        text = _text(command)
        exit_code, out, err = self._execute(text, timeout_s, stdin, idempotent)
        stdout, stderr = out.decode(errors="replace"), err.decode(errors="replace")
        if check and exit_code:
            raise self._failed(text, exit_code, stderr or stdout)
        return CommandResult(exit_code, stdout, stderr, time.monotonic() - began_s)

    def start(self, command: str | Sequence[str], *, timeout_s: float = 20.0) -> Channel:
        text = _text(command)
        self._refuse()
        channel = self.connection.open_channel(timeout_s)
        try:
            channel.settimeout(timeout_s)
            channel.exec_command(self._shell(text))
        except (paramiko.SSHException, OSError, EOFError) as error:
            self.connection.close_channel(channel)
            raise self._broken(text, f"could not be started: {error or type(error).__name__}") from None
        return _LineChannel(self, channel, text)

    def put(self, content: bytes, path: str, *, mode: int = 0o644, timeout_s: float = 60.0) -> None:
        below = self.directory if posixpath.normpath(path).startswith(f"{self.directory.rstrip('/')}/") else None
        exit_code, _, err = self._execute(put_script(path, len(content), mode, below), timeout_s, content, False)
        if exit_code:
            raise self._failed(f"put {len(content)} bytes to {path}", exit_code, err.decode(errors="replace"))

    def get(self, path: str, *, timeout_s: float = 60.0) -> bytes:
        exit_code, out, err = self._execute(f"cat {shlex.quote(path)}", timeout_s, None, True, GOT_BYTES)
        if exit_code:
            raise self._failed(f"get {path}", exit_code, err.decode(errors="replace"))
        return out

    def get_part(self, path: str, offset: int, size: int, *, timeout_s: float = 60.0) -> bytes:
        """Read a part of a file as `InParts.get_part` does."""
        quoted = shlex.quote(path)
        text = f"[ -r {quoted} ] || {{ echo cannot be read >&2; exit 1; }}; tail -c +{offset + 1} {quoted} | head -c {size}"
        exit_code, out, err = self._execute(text, timeout_s, None, True, size + PRINTED_BYTES)
        if exit_code:
            raise self._failed(f"get {path}", exit_code, err.decode(errors="replace"))
        return out

    def close(self) -> None:
        """Drop the connection; the next call makes it again."""
        self.connection.close()

    def _refuse(self) -> None:
        if self.refused is not None:
            raise self.refused

    def _execute(
        self, text: str, timeout_s: float, stdin: bytes | None, idempotent: bool, most_bytes: int = PRINTED_BYTES
    ) -> tuple[int, bytes, bytes]:
        self._refuse()
        deadline_s = time.monotonic() + timeout_s
        try:
            return self._execute_once(text, timeout_s, deadline_s, stdin, most_bytes)
        except CommandError as error:
            if not idempotent or self.connection.alive or time.monotonic() >= deadline_s:
                raise
            del error
            return self._execute_once(text, timeout_s, deadline_s, stdin, most_bytes)

    def _execute_once(
        self, text: str, timeout_s: float, deadline_s: float, stdin: bytes | None, most_bytes: int
    ) -> tuple[int, bytes, bytes]:
        with self.connection.channel(max(0.1, deadline_s - time.monotonic())) as channel:
            try:
                channel.settimeout(max(0.1, deadline_s - time.monotonic()))
                channel.exec_command(self._shell(_fed(text, stdin)))
                out, err = self._pump(channel, text, timeout_s, deadline_s, stdin or b"", most_bytes)
                if not channel.status_event.wait(max(0.0, deadline_s - time.monotonic())):
                    raise self._late(text, timeout_s, err)
            except (paramiko.SSHException, OSError, EOFError) as error:
                raise self._broken(text, f"connection lost: {error or type(error).__name__}") from None
            if channel.exit_status >= 0:
                return channel.exit_status, bytes(out), bytes(err)
            if channel.transport is not None and channel.transport.is_active():
                raise self._broken(text, "was killed by a signal, and has no exit code")
            raise self._broken(text, "connection lost while it ran")

    def _pump(
        self,
        channel: paramiko.Channel,
        text: str,
        timeout_s: float,
        deadline_s: float,
        stdin: bytes,
        most_bytes: int,
    ) -> tuple[bytearray, bytearray]:
        """Feed and drain the command until it has closed its output. Both streams share one window: reading one alone may dead-lock."""
        out, err, rest = bytearray(), bytearray(), memoryview(stdin)
        poller = select.poll()
        poller.register(channel.fileno(), select.POLLIN)
        while True:
            if rest and channel.send_ready():
                with contextlib.suppress(OSError):  # it closed its input: its exit code shows whether that matters
                    rest = rest[channel.send(bytes(rest[:_CHUNK])) :]
                    continue
                rest = rest[:0]
            # One piece of each stream a turn: a host that prints without end must not delay the checks of deadline and limit.
            if came := channel.recv_ready():
                out += channel.recv(_CHUNK)
            if came_err := channel.recv_stderr_ready():
                err += channel.recv_stderr(_CHUNK)
            if len(out) + len(err) > most_bytes:
                raise self._broken(text, f"printed more than {most_bytes >> 20} MiB")
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise self._late(text, timeout_s, err)
            if came or came_err:
                continue
            if channel.closed and not channel.eof_received and not self.connection.alive:
                # Output after its exit code may be lost with the connection: half an output must not be taken for all of it.
                raise self._broken(text, "connection lost while it ran")
            if channel.eof_received or channel.closed:
                # Data always precedes the end on the wire, so one more read takes all of it.
                out += b"".join(iter(lambda: channel.recv(_CHUNK) if channel.recv_ready() else b"", b""))
                err += b"".join(iter(lambda: channel.recv_stderr(_CHUNK) if channel.recv_stderr_ready() else b"", b""))
                return out, err
            # The channel's descriptor signals input only; while the window is full, look again soon.
            poller.poll((0.005 if rest else min(left_s, 1.0)) * 1000)

    def _shell(self, text: str) -> str:
        return f"sh -c {shlex.quote(OWN_FILES + text)}" if self._wrap else OWN_FILES + text

    def _failed(self, text: str, exit_code: int, said: str) -> CommandError:
        end = said.strip()[-600:] or "(it printed nothing)"
        message = f"{self.target.where}: `{_brief(text)}` exited with {exit_code}: {end}"
        return CommandError(self.name, text, exit_code, message, _hint(exit_code, end), said)

    def _late(self, text: str, timeout_s: float, err: bytearray) -> CommandError:
        said = err.decode(errors="replace").strip()[-300:]
        message = f"{self.target.where}: `{_brief(text)}` did not end within {timeout_s:g} s" + (
            f": {said}" if said else ""
        )
        return CommandError(
            self.name, text, None, message, "is the host overloaded, or does the command wait for something?", said
        )

    def _broken(self, text: str, what: str, kind: type[CommandError] = CommandError) -> CommandError:
        message = f"{self.target.where}: `{_brief(text)}`: {what}"
        return kind(
            self.name, text, None, message, "did the host or its sshd stop? `tri hosts list` and `tri doctor` show more"
        )


class _LineChannel:
    """A running command. One thread at a time reads, one writes; both may be the same."""

    def __init__(self, host: RemoteHost, channel: paramiko.Channel, text: str) -> None:
        self._host, self._channel, self._text = host, channel, text
        self._buffer = bytearray()
        self._stderr = bytearray()
        self._closed = False

    def send_line(self, line: str) -> None:
        try:
            self._channel.sendall(line.encode() + b"\n")
        except (OSError, EOFError) as error:
            raise self._host._broken(
                self._text, f"does not read any more: {error or type(error).__name__}{self._said()}"
            ) from None

    def read_line(self, timeout_s: float) -> str:
        deadline_s = time.monotonic() + timeout_s
        while b"\n" not in self._buffer:
            if len(self._buffer) > PRINTED_BYTES:
                raise self._host._broken(self._text, f"printed a line of more than {PRINTED_BYTES >> 20} MiB")
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                what = f"printed no line within {timeout_s:g} s{self._said()}"
                raise self._host._broken(self._text, what, LateLineError)
            self._channel.settimeout(left_s)
            try:
                chunk = self._channel.recv(_CHUNK)
            except TimeoutError:
                continue
            except (OSError, EOFError) as error:
                raise self._host._broken(self._text, f"connection lost: {error or type(error).__name__}") from None
            if not chunk:
                raise self._host._broken(self._text, f"ended{self._exit()}{self._said()}")
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode(errors="replace")

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._host.connection.close_channel(self._channel)

    def _exit(self) -> str:
        self._channel.status_event.wait(1.0)
        return f" with exit code {self._channel.exit_status}" if self._channel.exit_status >= 0 else ""

    def _said(self) -> str:
        # A host that prints without end must not keep the caller here.
        for _ in range(_MOST_SAID):
            if not self._channel.recv_stderr_ready():
                break
            self._stderr = (self._stderr + self._channel.recv_stderr(_CHUNK))[-2000:]
        said = self._stderr.decode(errors="replace").strip()[-600:]
        return f": {said}" if said else ""


def put_script(path: str, size: int, mode: int, below: str | None = None) -> str:
    """A script for `sh` that writes its input to that file, atomically and completely, or not at all.

    `below`: a directory that must be this login's or root's, as must be the one above it. Another user may make it while it is missing, where anyone
    may make one, and would own the programs that are run from it.
    """
    # The length is checked on the host, where a connection that breaks half-way looks like the end of the input.
    folder, target = shlex.quote(posixpath.dirname(path) or "."), shlex.quote(path)
    temporary = shlex.quote(f"{path}.new-{os.urandom(6).hex()}")
    return (
        f"umask 077 && {_owner_script(below)}mkdir -p -m 755 {folder} && cat >{temporary} && [ $(wc -c <{temporary}) = {size} ] "
        f"&& chmod {mode:o} {temporary} && mv -f {temporary} {target} || {{ rm -f {temporary}; exit 1; }}"
    )


def _owner_script(directory: str | None) -> str:
    if directory is None:
        return ""
    both = f"{shlex.quote(directory)} {shlex.quote(posixpath.dirname(directory))}"
    refused = 'echo "a directory on the way belongs to user number $owner" >&2; exit 1'
    return (
        f"mkdir -p -m 755 {shlex.quote(directory)} && for owner in $(stat -c %u {both}); do "
        f'[ "$owner" = 0 ] || [ "$owner" = "$(id -u)" ] || {{ {refused}; }}; done && '
    )


def _text(command: str | Sequence[str]) -> str:
    return command if isinstance(command, str) else shlex.join(command)


def _fed(text: str, stdin: bytes | None) -> str:
    """Return the command `text` with an input that ends after this number of bytes.

    EOF is never sent: when it arrives after the command has ended, sshd takes it for a message to a channel that does not
    exist, and drops the connection with every other command on it. For the same reason an unread input is read to its end.
    """
    if not stdin:
        return f"exec </dev/null\n{text}"
    return f"head -c {len(stdin)} | {{ sh -c {shlex.quote(text)}; code=$?; cat >/dev/null; exit $code; }}"


def _brief(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 160 else f"{line[:159]}…"


def _hint(exit_code: int, said: str) -> str:
    if "Read-only file system" in said:
        return "that directory is on a read-only file system: use another `directory`"
    if exit_code == 127:
        return "the program is not installed there, or not in that login's PATH"
    if exit_code == 126 or "ermission denied" in said or "not permitted" in said:
        return "the login may not do this: does the inventory need `sudo: true`, or another user or directory?"
    if "No space left" in said:
        return "free space on that host, or use another `directory`"
    return "run the command by hand on that host to see more"
