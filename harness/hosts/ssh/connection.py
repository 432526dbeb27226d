"""One SSH connection to one host: opened, kept, shared by threads, and opened again after it was lost. Every stage has a deadline.

Fabric resolves the user's SSH configuration and jump hosts. The socket is ours wherever possible: paramiko leaves Nagle's
algorithm on, which costs 40 ms a command. Knows nothing about commands: `remote.py` runs them on the channels.
"""

from __future__ import annotations

import base64
import contextlib
import getpass
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fabric
import paramiko
from paramiko.common import MSG_CHANNEL_DATA, MSG_CHANNEL_EXTENDED_DATA

from ..errors import ConnectError
from .diagnosis import REASON_LOST, UnknownHostKey, explain, explain_tunnel
from .places import beside_port

# Otherwise its tracebacks go to stderr; our errors contain what they say.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

_CONNECT_FAILURES = (OSError, EOFError, paramiko.SSHException, paramiko.pkey.UnknownKeyType, UnknownHostKey, ValueError)

_MACHINE_KNOWN_HOSTS = Path("/etc/ssh/ssh_known_hosts")

OpenSocket = Callable[[float], socket.socket | paramiko.Channel]


@dataclass(frozen=True, slots=True)
class Target:
    """Address, login and trusted key of one host.

    `key` is a private key file, tried alone or (not `only_key`) before the user's agent and default keys; None means these. `host_key` pins the
    host's key (`"ssh-ed25519 AAAA…"`); without it `known_hosts` must have it. `open_socket(timeout_s)` opens the TCP connection if a plain one is not
    possible. `user_config` says whether the user's `~/.ssh/config` applies. OpenSSH allows 10 channels a connection by default.
    """

    name: str
    address: str
    port: int
    user: str | None = None
    key: Path | None = None
    host_key: str | None = None
    known_hosts: Path | None = None
    open_socket: OpenSocket | None = None
    user_config: bool = False
    only_key: bool = True
    max_channels: int = 8
    connect_timeout_s: float = 10.0

    @property
    def where(self) -> str:
        return f"{self.name} ({self.user + '@' if self.user else ''}{beside_port(self.address, self.port)})"


class _RefuseUnknown(paramiko.MissingHostKeyPolicy):
    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        raise UnknownHostKey(hostname, key)


FULL_S = 10.0
CONNECT_FAILED = 2
"""The code with which sshd refuses a session beyond its `MaxSessions`."""


def _session(transport: paramiko.Transport, deadline_s: float) -> paramiko.Channel:
    """Open a session. A busy host ends sessions later than this side closes them, so on a full host the request is repeated for `FULL_S`."""
    full_s = min(deadline_s, time.monotonic() + FULL_S)
    while True:
        try:
            return transport.open_session(timeout=max(0.1, deadline_s - time.monotonic()))
        except paramiko.SSHException as error:
            full = getattr(error, "code", None) == CONNECT_FAILED or (
                REASON_LOST in str(error) and transport.is_active()
            )
            if not full or time.monotonic() > full_s:
                raise
        time.sleep(0.1)


class Connection:
    """Thread-safe. `channel` connects on first use, and again after the connection was lost."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(target.max_channels)
        self._fabric: Any = None
        self._gateways: list[Any] = []

    def connect(self, timeout_s: float) -> None:
        """Log in, unless this was already done; each step of it has the target's limit as well. Raises `ConnectError`."""
        self._transport(time.monotonic() + timeout_s)

    @contextlib.contextmanager
    def channel(self, timeout_s: float) -> Iterator[paramiko.Channel]:
        channel = self.open_channel(timeout_s)
        try:
            yield channel
        finally:
            self.close_channel(channel)

    def open_channel(self, timeout_s: float) -> paramiko.Channel:
        """A fresh session channel; `close_channel` must follow. Waits for a free one when all are in use."""
        deadline_s = time.monotonic() + timeout_s
        if not self._slots.acquire(timeout=timeout_s):
            count = self.target.max_channels
            message = f"{self.target.where}: all {count} SSH channels stayed in use for {timeout_s:.3g} s"
            raise ConnectError(self.target.name, "busy", message, "run fewer commands at once on this host")
        try:
            transport = self._transport(deadline_s)
            try:
                return _session(transport, deadline_s)
            except (paramiko.SSHException, EOFError, OSError) as error:
                if transport.is_active() and not isinstance(error, OSError | EOFError) and "imeout" not in str(error):
                    raise explain(error, self.target.where, self.target.name) from None
                # The loss was not noticed: nothing was sent to the host yet, so trying again is safe.
                transport.close()
                return _session(self._transport(deadline_s), deadline_s)
        except (paramiko.SSHException, EOFError, OSError) as error:
            self._slots.release()
            raise explain(error, self.target.where, self.target.name) from None
        except BaseException:
            self._slots.release()
            raise

    def close_channel(self, channel: paramiko.Channel) -> None:
        channel.close()
        self._slots.release()

    def open_tunnel(self, address: str, port: int, timeout_s: float) -> paramiko.Channel:
        """A connection from this machine to another, in the form of a socket. Raises `ConnectError`."""
        deadline_s = time.monotonic() + timeout_s
        transport = self._transport(deadline_s)
        try:
            return _tunnel(transport, address, port, max(0.1, deadline_s - time.monotonic()))
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise explain_tunnel(error, self.target.where, self.target.name, address, port, timeout_s) from None

    @property
    def alive(self) -> bool:
        made = self._fabric
        return made is not None and made.transport is not None and made.transport.is_active()

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        for made in (self._fabric, *self._gateways):
            if made is not None:
                made.client.close()
        self._fabric, self._gateways = None, []

    def _transport(self, deadline_s: float) -> paramiko.Transport:
        if not self._lock.acquire(timeout=max(0.0, deadline_s - time.monotonic())):
            message = f"{self.target.where}: another thread has been connecting for too long"
            raise ConnectError(self.target.name, "timeout", message, "is the host up and not overloaded?")
        try:
            if self.alive:
                transport: paramiko.Transport = self._fabric.transport
                return transport
            self._drop()
            self._fabric = self._connect(min(self.target.connect_timeout_s, max(0.1, deadline_s - time.monotonic())))
            return self._fabric.transport  # type: ignore[no-any-return]
        finally:
            self._lock.release()

    def _connect(self, timeout_s: float) -> Any:
        made: Any = None
        sock: socket.socket | paramiko.Channel | None = None
        try:
            if self.target.open_socket is not None:
                # Before anything else: where that fails, the key's file may be missing as well, but that is not the cause.
                sock = self.target.open_socket(timeout_s)
            made = self._configure(timeout_s)
            sock = sock or self._reach(made, timeout_s)
            _open(made, sock)
        except BaseException as error:
            if made is not None:
                made.client.close()
            if sock is not None:
                sock.close()
            if not isinstance(error, _CONNECT_FAILURES):
                raise
            raise explain(
                error, self.target.where, self.target.name, key=self.target.key, timeout_s=timeout_s
            ) from None
        made.transport.set_keepalive(5)
        for each in (made, *self._gateways):
            _hold_to_window(each.transport)
        return made

    def _reach(self, made: Any, timeout_s: float) -> socket.socket | paramiko.Channel | None:
        """Connect: directly, or through the jump hosts of the user's configuration, each in time. None: fabric runs a `ProxyCommand`."""
        gateway = made.gateway
        if gateway is None:
            return socket.create_connection((made.host, made.port), timeout=timeout_s)
        if isinstance(gateway, str):
            return None
        gateway.connect_timeout = 2 * timeout_s
        gateway.connect_kwargs.update(_limits(timeout_s))
        self._gateways.append(gateway)
        _open(gateway, self._reach(gateway, timeout_s))
        try:
            return _tunnel(gateway.transport, made.host, int(made.port), timeout_s)
        except (paramiko.SSHException, EOFError, OSError) as error:
            where = f"{self.target.where}: jump host {beside_port(gateway.host, gateway.port)}"
            raise explain_tunnel(error, where, self.target.name, made.host, made.port, timeout_s) from None

    def _configure(self, timeout_s: float) -> Any:
        """A fabric connection, not open yet, that trusts known keys only."""
        target = self.target
        ensure_user_name()
        config = fabric.Config() if target.user_config else fabric.Config(ssh_config=paramiko.SSHConfig())
        keywords = _limits(timeout_s)
        if target.key is not None:
            only = {"allow_agent": False, "look_for_keys": False} if target.only_key else {}
            keywords.update(pkey=_load_key(target.key), **only)
        made: Any = fabric.Connection(
            target.address,
            user=target.user,
            # A port of 22 may be the default: let the user's configuration override it.
            port=None if target.user_config and target.port == 22 else target.port,
            config=config,
            # Limit for the greeting, which also has its own, and the key exchange together: the sockets are ours.
            connect_timeout=2 * timeout_s,
            connect_kwargs=keywords,
        )
        if target.host_key is not None:
            made.client.set_missing_host_key_policy(_RefuseUnknown())
            kind, data = target.host_key.split()[:2]
            known = target.address if target.port == 22 else f"[{target.address}]:{target.port}"
            made.client.get_host_keys().add(known, kind, paramiko.PKey.from_type_string(kind, base64.b64decode(data)))
        else:
            self._trust_known_hosts(made)
        return made

    def _trust_known_hosts(self, made: Any) -> None:
        """Trust known keys only: fabric would accept any key, on the host and on each jump host before it."""
        made.client.set_missing_host_key_policy(_RefuseUnknown())
        for known_hosts in (_MACHINE_KNOWN_HOSTS, self.target.known_hosts):
            if known_hosts is not None and (known_hosts.exists() or known_hosts == self.target.known_hosts):
                made.client.load_system_host_keys(str(known_hosts))
        if isinstance(made.gateway, fabric.Connection):
            self._trust_known_hosts(made.gateway)


def _hold_to_window(transport: Any) -> None:
    """End the connection when a host sends more than the window of a channel allows: paramiko keeps it all, which would fill this machine's memory."""
    table = transport._channel_handler_table

    def within(take: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
        def took(channel: Any, message: Any) -> None:
            if len(channel.in_buffer) + len(channel.in_stderr_buffer) > channel.in_window_size:
                raise paramiko.SSHException("the host sent more than the window of a channel allows")
            take(channel, message)

        return took

    data = (MSG_CHANNEL_DATA, MSG_CHANNEL_EXTENDED_DATA)
    transport._channel_handler_table = {**table, **{kind: within(table[kind]) for kind in data}}


def _limits(timeout_s: float) -> dict[str, Any]:
    return {"banner_timeout": timeout_s, "auth_timeout": timeout_s, "channel_timeout": timeout_s}


def _open(made: Any, sock: socket.socket | paramiko.Channel | None) -> None:
    """Log in over `sock`."""
    if sock is not None:
        if isinstance(sock, socket.socket):
            _tune(sock)
        made.connect_kwargs["sock"] = sock
        made.gateway = None
    made.open()


def _tunnel(transport: paramiko.Transport, address: str, port: int, timeout_s: float) -> paramiko.Channel:
    return transport.open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=timeout_s)


def _tune(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # The kernel notices a vanished peer: paramiko's keepalive sends but does not listen.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 20_000)


def _load_key(path: Path) -> paramiko.PKey:
    try:
        return paramiko.PKey.from_path(path)
    except TypeError:
        # This is how the cryptography library reports that it needs a passphrase.
        raise paramiko.PasswordRequiredException(str(path)) from None


def ensure_user_name() -> None:
    """Set a local user name: Fabric needs one even where it is not used, and the user of a container may have none."""
    try:
        getpass.getuser()
    except (OSError, KeyError):
        os.environ["LOGNAME"] = f"uid-{os.getuid()}"
