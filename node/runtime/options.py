"""Options of the runtime, and its bounds. No core option is here."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EXIT_STOPPED = 0
EXIT_CONFIG = 2
EXIT_HALTED = 3
EXIT_ENVIRONMENT = 4

MS = 1_000_000
SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of every queue, wait and count of the runtime.

    A peer that sends nothing for `peer_silence_ns` is disconnected and dialled again, without waiting for the kernel. After a partition, TCP's own
    retransmission timer may have backed off for longer than the partition lasted.
    """

    dial_attempt_ns: int = 700 * MS
    """Time of one attempt to connect, of one round trip; `hello_ns` is for each that follows. Attempts are spaced by the back-off, counted from their start."""
    backoff_first_ns: int = 20 * MS
    backoff_cap_ns: int = 500 * MS
    ping_interval_ns: int = 250 * MS
    peer_silence_ns: int = 1 * SECOND
    inbound_silence_ns: int = 3 * SECOND
    hello_ns: int = 1 * SECOND
    """A connection without a hello by then is closed (slow loris); so is an outgoing one that is silent for so long before its hello."""
    frame_ns: int = 10 * SECOND
    """A frame must be complete within this time from its beginning."""
    linger_ns: int = 1 * SECOND
    """How long a refused connection stays half open, so that its error frame arrives before the reset."""
    housekeeping_ns: int = 50 * MS
    peer_queue_bytes: int = 8 * 1024 * 1024
    client_queue_bytes: int = 4 * 1024 * 1024
    clients: int = 1024
    client_idle_ns: int = 30 * SECOND
    """A client without a request for so long may lose its place to another, when all places are taken."""
    unidentified: int = 256
    requests_in_flight: int = 256
    """Per client connection; one more is answered with `busy`."""
    user_timeout_ms: int = 2000
    handshakes_per_s: int = 100
    """TLS handshakes per address: they are expensive."""
    handshakes_burst: int = 300
    datagrams_per_s: int = 1000
    """Per address, before any other work is done for them."""
    datagrams_burst: int = 2000
    files_look_ns: int = 1 * SECOND
    """How often files of certificates and keys are checked for changes."""


@dataclass(frozen=True, slots=True)
class Address:
    """A resolved TCP address, to which a socket of its family can connect or bind."""

    family: int
    sockaddr: tuple[Any, ...]

    def __str__(self) -> str:
        host, port = self.sockaddr[:2]
        return f"[{host}]:{port}" if self.family == socket.AF_INET6 else f"{host}:{port}"


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: the trusted authorities (several during a change from one to another), this node's certificate, and its key (mode 0600)."""

    ca: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """`directory` is the node's own: it holds data/, incarnation, trace.jsonl, inputs/, node.log, ready.

    `seed` is the key of the core's random numbers; with None, each incarnation takes one from the system. `config` is recorded with the inputs, for
    replays; the runtime does not read it.
    """

    node: str
    cluster: str
    listen: Address
    peers: Mapping[str, Address]
    directory: Path
    seed: int | None = None
    record_inputs: bool = True
    config: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits = Limits()
    udp_port: int | None = None
    """UDP port for datagrams; None: none."""
    metrics: tuple[str, int] | None = None
    """Address at which metrics and health are served over HTTP; None: none."""
    handlers: Path | None = None
    """A Python file with additional handlers of tasks."""
    tls: TlsFiles | None = None
    """None: connections are plaintext, and identities are not verified."""
    datagram_key: Path | None = None
    """A file with one or two keys that authenticate datagrams; None: datagrams are not authenticated."""
    workers: int = 0
    """Tasks that run at one time, at most; 0: none."""


def numeric(host: str, port: int) -> Address | None:
    """Return the address of a host given by number; None for a name, because resolving would block."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except OSError:
        return None
    family, _, _, _, sockaddr = found[0]
    return Address(int(family), sockaddr)


_PORT = re.compile("[0-9]{1,5}")
"""`isdigit` is also true of digits that `int` does not read."""


def resolve(text: str, *, passive: bool = False) -> Address:
    """Resolve `host:port` or `[v6]:port` once, at boot: a name server must not block the loop later. Raises `ValueError`."""
    host, separator, port = text.rpartition(":")
    if not separator or not _PORT.fullmatch(port) or int(port) > 65535:
        raise ValueError(f"{text!r} is not an address\nhint: write host:port or [ipv6]:port")
    host = host.removeprefix("[").removesuffix("]")
    flags = socket.AI_PASSIVE if passive else 0
    try:
        found = socket.getaddrinfo(host or None, int(port), type=socket.SOCK_STREAM, flags=flags)
    except (OSError, UnicodeError) as error:
        raise ValueError(
            f"cannot resolve {text!r}: {error}\nhint: use an IP address, or add the name to /etc/hosts"
        ) from error
    family, _, _, _, sockaddr = found[0]
    return Address(int(family), sockaddr)
